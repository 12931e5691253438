import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Copied } from "../../parts/copying/Copied";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { type PageInfo, Pager, type Pages, usePages } from "../../parts/Pager";
import { type PlainColumn, PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { Destroyed } from "./documents";
import { useWordOf } from "./useWordOf";
import { words } from "./words";

const at = (moment: string | null | undefined) => (moment ? <Moment at={moment} /> : "–");
const entry = (index: string | null | undefined) => (index == null ? "–" : `#${index}`);

/** What was destroyed, what is held from destruction, and whom somebody asked to erase. */
export function Destructions() {
  const word = useWords(words);
  const text = useWordOf();
  const session = useSession();
  const [purges, holds, erasures] = [usePages(), usePages(), usePages()];
  const { data, problem, again } = useAnswer(Destroyed, {
    purgesAfter: purges.after,
    holdsAfter: holds.after,
    erasuresAfter: erasures.after,
    purges: session.mayAsk("purgeRuns"),
    holds: session.mayAsk("holds"),
    erasures: session.mayAsk("erasures"),
  });
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!data) return <Waiting lines={8} />;
  return (
    <div className="retention-part">
      <Listed
        caption={word.purgeRuns}
        none={word.noPurges}
        pages={purges}
        list={data.purgeRuns}
        columns={[
          { name: "planned", title: word.planned, cell: (run) => at(run.plannedAt) },
          { name: "state", title: word.state, cell: ({ state }) => <span className={state === "DONE" ? "badge badge-good" : state === "FAILED" ? "badge badge-bad" : "badge"}>{text("purges", state)}</span> },
          { name: "by", title: word.by, cell: (run) => <code>{run.requestedBy ?? "–"}</code> },
          { name: "partitions", title: word.partitions, figures: true, cell: (run) => count(run.partitions.length) },
          { name: "rows", title: word.rows, figures: true, cell: (run) => count(String(run.partitions.reduce((sum, one) => sum + BigInt(one.rows), 0n))) },
          { name: "keys", title: word.keysDestroyed, figures: true, cell: (run) => count(run.keysDestroyed) },
          { name: "held", title: word.held, figures: true, cell: (run) => count(run.rowsHeldBack) },
          { name: "ended", title: word.ended, cell: (run) => at(run.finishedAt) },
          { name: "entry", title: word.entry, figures: true, cell: (run) => entry(run.ledgerIndex) },
          { name: "failure", title: word.failure, cell: (run) => (run.failure == null ? "–" : <Said text={run.failure} />) },
        ]}
      />
      <Listed
        caption={word.holds}
        none={word.noHolds}
        pages={holds}
        list={data.holds}
        columns={[
          { name: "name", title: word.name, cell: (hold) => hold.name },
          { name: "owner", title: word.owner, cell: (hold) => hold.owner },
          { name: "account", title: word.account, cell: ({ scope }) => [scope.account, scope.model].filter(Boolean).join(" · ") },
          { name: "reason", title: word.reason, cell: (hold) => hold.reason ?? word.erased },
          { name: "placed", title: word.placed, cell: (hold) => at(hold.placedAt) },
          { name: "state", title: word.state, cell: (hold) => <span className={hold.liftedAt ? "badge" : "badge badge-warn"}>{hold.liftedAt ? word.lifted : word.inForce}</span> },
          { name: "ends", title: word.ended, cell: (hold) => at(hold.liftedAt ?? hold.expiresAt) },
          { name: "rows", title: word.rows, figures: true, cell: (hold) => count(hold.rows) },
          { name: "entry", title: word.entry, figures: true, cell: (hold) => entry(hold.ledgerIndex) },
        ]}
      />
      <Listed
        caption={word.erasures}
        none={word.noErasures}
        pages={erasures}
        list={data.erasures}
        columns={[
          { name: "id", title: word.id, cell: ({ id }) => <Copied text={id} shown={`${id.slice(0, 12)}…`} /> },
          { name: "kind", title: word.whom, cell: ({ kind }) => (kind === "USER" ? word.person : word.account) },
          { name: "account", title: word.account, cell: (erasure) => erasure.account },
          { name: "state", title: word.state, cell: ({ state }) => <span className={state === "DONE" ? "badge badge-good" : "badge badge-warn"}>{text("erasureStates", state)}</span> },
          { name: "asked", title: word.asked, cell: (erasure) => at(erasure.requestedAt) },
          { name: "ended", title: word.ended, cell: (erasure) => at(erasure.finishedAt) },
          { name: "rows", title: word.rows, figures: true, cell: (erasure) => count(erasure.rows) },
          { name: "blocked", title: word.blocked, figures: true, cell: (erasure) => count(erasure.blockedByHolds.length) },
          { name: "backups", title: word.backups, cell: (erasure) => at(erasure.unreadableInBackupsAt) },
          { name: "entry", title: word.entry, figures: true, cell: (erasure) => entry(erasure.ledgerIndex) },
        ]}
      />
    </div>
  );
}

interface ListedProps<Row extends { readonly id: string }> {
  caption: string;
  none: string;
  /** Undefined: the role may not ask. */
  list: { readonly nodes: readonly Row[]; readonly pageInfo: PageInfo } | null | undefined;
  pages: Pages;
  columns: readonly PlainColumn<Row>[];
}

function Listed<Row extends { readonly id: string }>({ caption, none, list, pages, columns }: ListedProps<Row>) {
  if (!list) return null;
  if (list.nodes.length === 0) return <Empty title={none} />;
  return (
    <>
      <PlainTable caption={caption} rows={list.nodes} keyOf={({ id }) => id} columns={columns} />
      <Pager pages={pages} pageInfo={list.pageInfo} />
    </>
  );
}
