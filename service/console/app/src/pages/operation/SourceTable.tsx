import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count, duration } from "../../numbers/figures";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { Sources } from "./documents";
import { words } from "./words";

/** So many of its intervals may pass before a gateway that was not read is said to lag. */
const LATE = 3;

/** Gateways whose logs are pulled: how far each was read, how long ago, and why it cannot be read. None: no table. */
export function SourceTable() {
  const word = useWords(words);
  const pages = usePages();
  const { data, problem, again } = useAnswer(Sources, { after: pages.after });
  const page = data?.sources;
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!page || page.totalCount === 0) return null;
  const state = ({ failures, lagSeconds, everySeconds }: (typeof page.nodes)[number]) =>
    failures > 0 ? { look: "badge-bad", text: word.failing } : lagSeconds > LATE * everySeconds ? { look: "badge-warn", text: word.late } : { look: "badge-good", text: word.good };
  return (
    <section className="panel">
      <PlainTable
        caption={word.pulled}
        rows={page.nodes}
        keyOf={({ id }) => id}
        columns={[
          { name: "name", title: word.name, cell: ({ name, format }) => <span title={format}>{name} <span className="quiet">{format}</span></span> },
          { name: "state", title: word.state, cell: (source) => <span className={`badge ${state(source).look}`}>{state(source).text}</span> },
          { name: "address", title: word.address, cell: ({ address }) => <code>{address}</code> },
          { name: "account", title: word.pulledFor, cell: ({ account }) => account ?? "–" },
          { name: "newest", title: word.lastRow, cell: ({ lastRowAt }) => (lastRowAt ? <Moment at={lastRowAt} /> : "–") },
          { name: "lag", title: word.lag, figures: true, cell: ({ lagSeconds }) => duration(lagSeconds * 1000) },
          { name: "rows", title: word.rows, figures: true, cell: ({ rows }) => count(rows) },
          { name: "refused", title: word.count, figures: true, cell: ({ refused }) => count(refused) },
          { name: "failures", title: word.failures, figures: true, cell: ({ failures }) => count(failures) },
          { name: "failure", wide: true, title: word.failure, cell: ({ failure }) => <span className="source-failure">{failure == null ? "–" : <Said text={failure} />}</span> },
          { name: "due", title: word.due, cell: ({ dueAt }) => <Moment at={dueAt} /> },
        ]}
      />
      <Pager pages={pages} pageInfo={page.pageInfo} />
    </section>
  );
}
