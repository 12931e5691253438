import type { ReactNode } from "react";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Copied } from "../../parts/copying/Copied";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { toTheMinute } from "../../time/zone";
import { Waiting } from "../../parts/Waiting";
import { useWordOf } from "./useWordOf";
import { Kept } from "./documents";
import { words } from "./words";

/** What is kept, for how long, and whether anything older is here now. */
export function Classes() {
  const word = useWords(words);
  const text = useWordOf();
  const { data, problem, waiting, again } = useAnswer(Kept, {});
  const report = data?.retention;
  if (problem && !report) return <NoAnswer problem={problem} again={again} />;
  if (!report) return <Waiting lines={8} />;
  const overdue = report.classes.reduce((sum, one) => sum + BigInt(one.overdue), 0n);
  const lost = report.classes.reduce((sum, one) => sum + BigInt(one.keys.lost), 0n);
  return (
    <div className="retention-part" aria-busy={waiting}>
      {problem && <NoAnswer problem={problem} again={again} />}
      <dl className="figures-grid">
        <Check name={word.overdue} good={overdue === 0n}>
          {count(String(overdue))}
        </Check>
        <Check name={word.lostKeys} good={lost === 0n}>
          {count(String(lost))}
        </Check>
        <Check name={word.missing} good={report.missing.length === 0}>
          {report.missing.length}
        </Check>
        <Check name={word.detached} good={report.detached.length === 0}>
          {report.detached.length}
        </Check>
        <div className="figure">
          <dt>{word.lastPurge}</dt>
          <dd>{report.lastPurge?.finishedAt ? <Moment at={report.lastPurge.finishedAt} text={toTheMinute} /> : "–"}</dd>
        </div>
        <div className="figure">
          <dt>{word.nextPurge}</dt>
          <dd>{report.nextPurgeAt ? <Moment at={report.nextPurgeAt} text={toTheMinute} /> : "–"}</dd>
        </div>
      </dl>
      {[...report.missing, ...report.detached].map((one) => (
        <p key={one} className="retention-missing">
          <Said text={one} />
        </p>
      ))}
      <PlainTable
        caption={word.classes}
        rows={report.classes}
        keyOf={({ name, tier, store }) => `${name} ${tier} ${store}`}
        columns={[
          { name: "class", title: word.class, cell: ({ name }) => text("dataClass", name) },
          { name: "store", title: word.store, cell: ({ store }) => text("stores", store) },
          { name: "tier", title: word.tier, cell: ({ tier }) => tier },
          { name: "window", title: word.window, figures: true, cell: ({ windowDays }) => word.days(count(windowDays)) },
          { name: "most", title: word.keptAtMost, figures: true, cell: ({ keptAtMostDays }) => word.days(count(keptAtMostDays)) },
          {
            name: "everywhere",
            title: word.unreadable,
            figures: true,
            cell: ({ unreadableEverywhereDays }) => (unreadableEverywhereDays == null ? "–" : word.days(count(unreadableEverywhereDays))),
          },
          { name: "oldest", title: word.oldest, cell: ({ oldestServed }) => (oldestServed ? <Moment at={oldestServed} /> : "–") },
          {
            name: "overdue",
            title: word.overdue,
            figures: true,
            cell: ({ overdue: rows }) => (rows === "0" ? "0" : <span className="badge badge-bad">{count(rows)}</span>),
          },
          { name: "hidden", title: word.hidden, figures: true, cell: ({ hidden }) => count(hidden) },
          { name: "held", title: word.held, figures: true, cell: ({ held }) => count(held) },
          { name: "keys", title: word.keys, figures: true, cell: ({ keys }) => `${count(keys.live)} / ${count(keys.destroyed)} / ${count(keys.lost)}` },
          { name: "next", title: word.nextPurge, cell: ({ nextPurgeAt }) => (nextPurgeAt ? <Moment at={nextPurgeAt} /> : "–") },
        ]}
      />
      <p className="quiet">
        {word.asOf} <Moment at={report.asOf} /> · {word.policyDigest} <Copied text={report.policyDigest} shown={report.policyDigest.slice(0, 19)} />
      </p>
    </div>
  );
}

function Check({ name, good, children }: { name: string; good: boolean; children: ReactNode }) {
  const word = useWords(words);
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd>
        {children} <span className={good ? "badge badge-good" : "badge badge-bad"}>{good ? word.good : word.bad}</span>
      </dd>
    </div>
  );
}
