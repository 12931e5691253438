import type { CSSProperties } from "react";
import type { AttemptsQuery } from "../../../api/gql/graphql";
import { useAnswer } from "../../../api/useAnswer";
import { useWords } from "../../../language/useWords";
import { duration } from "../../../numbers/figures";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useSession } from "../../../session/SessionContext";
import { words as callWords } from "../../../calls/words";
import { Attempts as OfTrace } from "./documents";
import { type Nested, nested } from "./nesting";
import { type Call, seenOf } from "./useCall";
import { type Span, waterfall } from "./waterfall";
import { words } from "./words";

type Listed = NonNullable<AttemptsQuery["calls"]>["nodes"][number];

const AROUND_MS = 3_600_000;
/** How many calls within each other are shown as such: a phone has no room for more. */
const DEPTH_SHOWN = 6;
const SEEN = ["sourceId", "parentSpanId", "provider", "operation", "attempt", "cacheHit", "errorType", "latencyMs", "timeToFirstTokenMs"] as const;

/** How the request went: each call of its trace as a bar from its beginning to its end, with the mark of its first token,
 * behind the call that it is a part of. Retries, fallbacks to another model and answers from a cache are among them. */
export function Attempts({ call, show }: { call: Call; show(id: string): void }) {
  const word = useWords(words);
  const { listed, more, problem, again } = useTrace(call);
  const rows = nested(listed.some(({ id }) => id === call.id) ? listed : [...listed, call]);
  const { spans, totalMs } = waterfall(rows.map((row) => row.call));
  if (rows.length === 1 && call.latencyMs == null) return null;
  const title = rows.slice(1).every((row) => row.kind !== null) ? word.attempts : word.calls;
  return (
    <section className="call-part">
      <h3>{rows.length === 1 ? word.time : title(rows.length, duration(totalMs))}</h3>
      {problem !== null && <ProblemNote problem={problem} again={again} />}
      <ol className="waterfall">
        {rows.map((row, index) => (
          <Attempt key={row.call.id} row={row} span={spans[index]} open={row.call.id === call.id} show={show} />
        ))}
      </ol>
      {more && <p className="quiet">{word.firstOfMany(listed.length)}</p>}
      {call.timeToFirstTokenMs != null && <p className="quiet">{word.firstToken(duration(call.timeToFirstTokenMs))}</p>}
    </section>
  );
}

/** The calls of the same trace, an hour before and after; none where the role may not look for them. */
function useTrace({ traceId, account, startedAt }: Call) {
  const session = useSession();
  const at = Date.parse(startedAt);
  const filter = {
    traceId: { eq: traceId ?? "" },
    ...(account != null && { account: { eq: account } }),
    startedAt: { gte: new Date(at - AROUND_MS).toISOString(), lt: new Date(at + AROUND_MS).toISOString() },
    isCorrection: { eq: false },
  };
  const wanted = traceId != null && session.mayFilter("Call.traceId") && session.mayAsk("calls");
  const { data, problem, again } = useAnswer(OfTrace, { filter, ...seenOf(session, SEEN) }, { wanted });
  return { listed: data?.calls?.nodes ?? [], more: data?.calls?.pageInfo.hasNextPage ?? false, problem, again };
}

interface AttemptProps {
  row: Nested<Listed>;
  span: Span | undefined;
  open: boolean;
  show(id: string): void;
}

function Attempt({ row: { call, depth, within, kind }, span, open, show }: AttemptProps) {
  const word = useWords(words);
  const { status } = useWords(callWords);
  const state = call.cacheHit ? "cache" : call.status === "FAILED" ? "bad" : "good";
  return (
    <li aria-current={open ? "true" : undefined} style={{ "--depth": Math.min(depth, DEPTH_SHOWN) } as CSSProperties}>
      <button type="button" className="waterfall-row" disabled={open} onClick={() => show(call.id)}>
        <span className="waterfall-name">
          {call.model}
          {kind !== null && <span className="badge">{word.kind[kind]}</span>}
          {call.errorType != null && <span className="badge badge-bad">{call.errorType}</span>}
          <span className="unseen">
            {status[call.status]} {within !== null && word.partOf(within.model)}
          </span>
        </span>
        <span className="figures">{call.latencyMs == null ? word.unknown : duration(call.latencyMs)}</span>
        <span className="waterfall-lane">
          {span && (
            <span className={`waterfall-span waterfall-${state}`} style={{ left: `${span.left * 100}%`, width: `max(3px, ${span.width * 100}%)` }}>
              {span.firstToken !== null && <i style={{ left: `${span.firstToken * 100}%` }} title={word.firstToken(duration(call.timeToFirstTokenMs ?? 0))} />}
            </span>
          )}
        </span>
      </button>
    </li>
  );
}
