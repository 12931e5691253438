import { useEffect, useLayoutEffect, useRef } from "react";
import type { DifferenceKind } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count, percent } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { Said } from "../../parts/Said";
import { Waiting } from "../../parts/Waiting";
import { DifferenceTable } from "./DifferenceTable";
import { OneReconciliation } from "./documents";
import { Download } from "./Download";
import { type Report, reportOf } from "./file";
import { Kinds } from "./Kinds";
import { Days } from "./ReconciliationTable";
import { Totals } from "./Totals";
import { words } from "./words";

const A_PAGE = 50;

interface Props {
  id: string;
  /** Kinds of differences that the address names; none: all. */
  kinds: readonly string[];
  choose(kinds: readonly string[]): void;
  close(): void;
}

/** One comparison: what both sides come to, what could not be read, and what differs. */
export function ReportView({ id, kinds, choose, close }: Props) {
  const word = useWords(words);
  const known = kinds.filter((kind): kind is DifferenceKind => Object.hasOwn(word.kind, kind));
  const pages = usePages(known.join());
  const { data, problem, waiting, again } = useAnswer(OneReconciliation, { id, first: A_PAGE, after: pages.after, kinds: known.length > 0 ? known : null });
  const report = reportOf(data);
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (data === undefined) return <Waiting lines={6} />;
  if (report === null) return <Empty title={word.gone} />;
  return (
    <section className="panel recon" aria-busy={waiting} aria-label={word.report(report.name)}>
      <div className="panel-head">
        <Heading id={id} text={report.name} />
        <Copied text={report.id} />
        <Button kind="quiet" icon="close" aria-label={word.close} onClick={close} />
      </div>
      <Facts report={report} />
      {report.failure != null && <p className="recon-failure"><Said text={report.failure} /></p>}
      {report.unread.length > 0 && (
        <ul className="recon-failure">
          {report.unread.map(({ reason, rows }) => (
            <li key={reason}>
              {word.unread(count(rows))} <Said text={reason} />
            </li>
          ))}
        </ul>
      )}
      {report.kinds.length > 0 && (
        <div className="recon-bar">
          <Kinds kinds={report.kinds} chosen={known} choose={choose} />
          <Download report={report} kinds={known} />
        </div>
      )}
      {report.differences.nodes.length > 0 ? (
        <DifferenceTable differences={report.differences.nodes} total={report.differences.totalCount} byIds={report.byIds} timeZone={report.timeZone} />
      ) : (
        report.failure == null && <p className="quiet">{report.differing === 0 ? word.nothingDiffers : word.noneOfThese}</p>
      )}
      <Pager pages={pages} pageInfo={report.differences.pageInfo} />
    </section>
  );
}

/** What was compared with what, and how. */
function Facts({ report }: { report: Report }) {
  const word = useWords(words);
  const figures = [
    { name: word.days, shown: <Days {...report} /> },
    { name: word.rows, shown: count(report.rows) },
    { name: word.calls, shown: count(report.calls) },
    { name: word.differing, shown: count(report.differing) },
    { name: word.totals, shown: <Totals totals={report.totals} /> },
    { name: word.accounts, shown: report.accounts?.join(", ") ?? word.everybody },
    { name: word.compared, shown: report.byIds ? word.byIds : word.bySums },
    { name: word.layout, shown: report.layout ?? "–" },
    { name: word.tolerance, shown: percent(Number(report.tolerance)) },
    { name: word.madeAt, shown: <Moment at={report.madeAt} /> },
  ];
  return (
    <dl className="figures-grid recon-facts">
      {figures.map(({ name, shown }) => (
        <div key={name} className="figure">
          <dt>{name}</dt>
          <dd>{shown}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Takes the focus, as it stands above what opened it; whoever closes it from within goes on there. */
function Heading({ id, text }: { id: string; text: string }) {
  const element = useRef<HTMLHeadingElement>(null);
  useEffect(() => element.current?.focus(), [id]);
  useLayoutEffect(() => {
    const part = element.current?.closest("section");
    return () => {
      if (part?.contains(document.activeElement)) document.querySelector<HTMLElement>(`[data-reconciliation="${id}"]`)?.focus();
    };
  }, [id]);
  return (
    <h2 ref={element} tabIndex={-1}>
      {text}
    </h2>
  );
}
