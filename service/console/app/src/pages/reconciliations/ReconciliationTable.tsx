import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { PlainTable } from "../../parts/PlainTable";
import { Waiting } from "../../parts/Waiting";
import { Reconciliations } from "./documents";
import { Totals } from "./Totals";
import { words } from "./words";

const COMMAND = "calledger reconcile november.csv";

/** The comparisons that were made, newest first; a name opens one. */
export function ReconciliationTable({ open, show }: { open: string | null; show(id: string | null): void }) {
  const word = useWords(words);
  const pages = usePages();
  const { data, problem, waiting, again } = useAnswer(Reconciliations, { after: pages.after });
  const page = data?.reconciliations;
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!page) return <Waiting lines={6} />;
  if (page.nodes.length === 0) {
    return (
      <Empty title={word.none}>
        <p>{word.noneWhy}</p>
        <pre className="mono">{COMMAND}</pre>
      </Empty>
    );
  }
  return (
    <section className="panel" aria-busy={waiting}>
      <PlainTable
        caption={word.made(count(page.totalCount), page.totalCount)}
        rows={page.nodes}
        keyOf={({ id }) => id}
        columns={[
          {
            name: "name",
            title: word.with,
            cell: ({ id, name }) => (
              <button type="button" className="linkish recon-name" data-reconciliation={id} aria-expanded={id === open} onClick={() => show(id === open ? null : id)}>
                {name}
              </button>
            ),
          },
          { name: "days", title: word.days, cell: (one) => <Days {...one} /> },
          { name: "accounts", title: word.accounts, cell: ({ accounts }) => accounts?.join(", ") ?? word.everybody },
          { name: "differing", title: word.differing, figures: true, cell: (one) => <Outcome {...one} /> },
          { name: "totals", title: word.totals, cell: ({ totals }) => <Totals totals={totals} /> },
          { name: "how", title: word.compared, cell: ({ byIds, failure }) => (failure == null ? (byIds ? word.byIds : word.bySums) : "–") },
          { name: "made", title: word.madeAt, cell: ({ madeAt }) => <Moment at={madeAt} /> },
          { name: "by", title: word.madeBy, cell: ({ requestedBy }) => word.by[requestedBy as keyof typeof word.by] ?? requestedBy },
        ]}
      />
      <Pager pages={pages} pageInfo={page.pageInfo} />
    </section>
  );
}

/** The days that were compared, in whose zone. */
export function Days({ firstDay, lastDay, timeZone }: { firstDay: string; lastDay: string; timeZone: string }) {
  return (
    <span title={timeZone}>
      {firstDay === lastDay ? firstDay : `${firstDay} – ${lastDay}`} <span className="quiet">{timeZone}</span>
    </span>
  );
}

/** How many calls differ, or that nothing could be compared. */
export function Outcome({ differing, failure }: { differing: number; failure?: string | null }) {
  const word = useWords(words);
  if (failure != null) return <span className="badge badge-warn" title={failure}>{word.failed}</span>;
  if (differing === 0) return <span className="badge badge-good">{word.agrees}</span>;
  return <span className="badge badge-bad">{count(differing)}</span>;
}
