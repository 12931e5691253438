import { useAnswer } from "../../../api/useAnswer";
import { useWords } from "../../../language/useWords";
import { duration } from "../../../numbers/figures";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useSession } from "../../../session/SessionContext";
import { words as callWords } from "../../../calls/words";
import { Attempts as AttemptsQuery } from "./documents";
import { type Call, seenOf } from "./useCall";
import { waterfall } from "./waterfall";
import { words } from "./words";

const AROUND_MS = 3_600_000;
const SEEN = ["provider", "attempt", "cacheHit", "errorType", "latencyMs", "timeToFirstTokenMs"] as const;

/** How the request went: each attempt as a bar from its beginning to its end, with the mark of its first token. Retries,
 * fallbacks to another model and answers from a cache are the other calls of the same trace. */
export function Attempts({ call, show }: { call: Call; show(id: string): void }) {
  const word = useWords(words);
  const { status } = useWords(callWords);
  const session = useSession();
  const { traceId } = call;
  const at = Date.parse(call.startedAt);
  const filter = {
    traceId: { eq: traceId ?? "" },
    ...(call.account != null && { account: { eq: call.account } }),
    startedAt: { gte: new Date(at - AROUND_MS).toISOString(), lt: new Date(at + AROUND_MS).toISOString() },
    isCorrection: { eq: false },
  };
  const wanted = traceId != null && session.mayFilter("Call.traceId") && session.mayAsk("calls");
  const { data, problem, again } = useAnswer(AttemptsQuery, { filter, ...seenOf(session, SEEN) }, { wanted });
  const attempts = data?.calls?.nodes ?? [call];
  const { spans, totalMs } = waterfall(attempts);
  const first = attempts[0];
  if (call.latencyMs == null) return null;
  const kind = (attempt: (typeof attempts)[number], index: number) => {
    if (attempt.cacheHit) return word.fromCache;
    if (index === 0) return null;
    return attempt.model === first?.model && attempt.provider === first?.provider ? word.retry : word.fallback;
  };
  return (
    <section className="call-part">
      <h3>{attempts.length > 1 ? word.attempts(attempts.length, duration(totalMs)) : word.time}</h3>
      {problem !== null && <ProblemNote problem={problem} again={again} />}
      <ol className="waterfall">
        {attempts.map((attempt, index) => {
          const span = spans[index];
          const said = kind(attempt, index);
          const state = attempt.cacheHit ? "cache" : attempt.status === "FAILED" ? "bad" : "good";
          return (
            <li key={attempt.id} aria-current={attempt.id === call.id ? "true" : undefined}>
              <button type="button" className="waterfall-row" disabled={attempt.id === call.id} onClick={() => show(attempt.id)}>
                <span className="waterfall-name">
                  {attempt.model}
                  {said !== null && <span className="badge">{said}</span>}
                  {attempt.errorType != null && <span className="badge badge-bad">{attempt.errorType}</span>}
                  <span className="unseen">{status[attempt.status]}</span>
                </span>
                <span className="figures">{attempt.latencyMs == null ? word.unknown : duration(attempt.latencyMs)}</span>
                <span className="waterfall-lane">
                  {span && (
                    <span
                      className={`waterfall-span waterfall-${state}`}
                      style={{ left: `${span.left * 100}%`, width: `max(3px, ${span.width * 100}%)` }}
                    >
                      {span.firstToken !== null && <i style={{ left: `${span.firstToken * 100}%` }} title={word.firstToken(duration(attempt.timeToFirstTokenMs ?? 0))} />}
                    </span>
                  )}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
      {call.timeToFirstTokenMs != null && <p className="quiet">{word.firstToken(duration(call.timeToFirstTokenMs))}</p>}
    </section>
  );
}
