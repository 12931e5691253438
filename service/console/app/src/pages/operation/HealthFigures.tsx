import { type ReactNode, useEffect, useState } from "react";
import type { HealthQuery } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Said } from "../../parts/Said";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { Health, Sums } from "./documents";
import { words } from "./words";

/** Whether the service says that it can be asked, its database included (GET /readyz); null: not answered yet. */
function useReady(look: string): boolean | null {
  const [ready, setReady] = useState<boolean | null>(null);
  useEffect(() => {
    const ended = new AbortController();
    fetch(new URL("../readyz", document.baseURI), { signal: ended.signal, credentials: "omit" }).then(
      (answer) => setReady(answer.ok),
      () => ended.signal.aborted || setReady(false),
    );
    return () => ended.abort();
  }, [look]);
  return ready;
}

/** Database, keyring, purge, protections and sums, each with whether it is as it should be. */
export function HealthFigures() {
  const word = useWords(words);
  const session = useSession();
  const { period } = useRange();
  const ready = useReady(period.to);
  const { data, problem, again } = useAnswer(Health, { purges: session.mayAsk("purgeRuns") }, { wanted: session.mayAsk("retention") });
  const sums = useAnswer(Sums, { filter: { startedAt: { gte: period.from, lt: period.to } } }, { wanted: session.mayAsk("costs") });
  const report = data?.retention;
  return (
    <section className="panel">
      <h2>{word.health}</h2>
      {problem && <NoAnswer problem={problem} again={again} />}
      {sums.problem && <NoAnswer problem={sums.problem} again={sums.again} />}
      <dl className="figures-grid">
        <Check name={word.database} good={ready}>
          {ready === null ? "…" : ready ? word.answers : word.away}
        </Check>
        {report && <Kept report={report} />}
        {sums.data?.costs && (
          <Check name={word.sums} good={null}>
            {word.sources[sums.data.costs.coverage.source]}
            <small>
              {word.upTo} <Moment at={sums.data.costs.coverage.to} />
            </small>
          </Check>
        )}
      </dl>
      {[...(report?.missing ?? []), ...(report?.detached ?? [])].map((one) => (
        <p key={one} className="operation-missing">
          <Said text={one} />
        </p>
      ))}
    </section>
  );
}

type Report = NonNullable<HealthQuery["retention"]>;

/** Keyring, purge and protections. */
function Kept({ report }: { report: Report }) {
  const word = useWords(words);
  const total = (of: (one: Report["classes"][number]) => string) => report.classes.reduce((sum, one) => sum + BigInt(of(one)), 0n);
  const lost = total((one) => one.keys.lost);
  const overdue = total((one) => one.overdue);
  const failed = report.lastPurge?.state === "FAILED";
  return (
    <>
      <Check name={word.keyring} good={lost === 0n}>
        {word.lost(count(String(lost)), count(String(total((one) => one.keys.live))))}
      </Check>
      <Check name={word.purge} good={overdue === 0n && !failed}>
        {word.overdue(count(String(overdue)))}
        {report.lastPurge?.finishedAt && (
          <small>
            {word.last} <Moment at={report.lastPurge.finishedAt} />
          </small>
        )}
        {report.lastPurge?.failure && (
          <small>
            <Said text={report.lastPurge.failure} />
          </small>
        )}
      </Check>
      <Check name={word.protections} good={report.missing.length === 0 && report.detached.length === 0}>
        {word.missing(count(report.missing.length + report.detached.length))}
      </Check>
    </>
  );
}

function Check({ name, good, children }: { name: string; good: boolean | null; children: ReactNode }) {
  const word = useWords(words);
  return (
    <div className="figure">
      <dt>
        {name} {good !== null && <span className={good ? "badge badge-good" : "badge badge-bad"}>{good ? word.good : word.bad}</span>}
      </dt>
      <dd>{children}</dd>
    </div>
  );
}
