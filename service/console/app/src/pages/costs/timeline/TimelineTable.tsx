import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useWords } from "../../../language/useWords";
import { Amount } from "../../../parts/Amount";
import { Moment } from "../../../parts/Moment";
import { type PlainColumn, PlainTable } from "../../../parts/PlainTable";
import { clock, day } from "../../../time/zone";
import { Changed } from "../Changed";
import { WITHOUT } from "../groups/dimension";
import { changeOf } from "../groups/group";
import type { Line, Timeline } from "./timeline";
import { words } from "../words";

interface Props {
  timeline: Timeline;
  named(line: Line): string;
  currency: string;
  caption: string;
  /** Otherwise it is there for screen readers alone. */
  shown: boolean;
}

const DAY_MS = 86_400_000;

/** The bars of the chart as rows: each bucket with its parts, its sum, and the period before. */
export function TimelineTable({ timeline, named, currency, caption, shown }: Props) {
  const word = useWords(words);
  const search = useSearch();
  const { edges, lines, totals, before } = timeline;
  const short = Date.parse(edges[1] ?? "") - Date.parse(edges[0] ?? "") < DAY_MS / 2;
  const amount = (text: string | undefined) => (text === undefined ? "–" : <Amount amount={text} currency={currency} />);
  const columns: PlainColumn<number>[] = [
    {
      name: "time",
      title: word.time,
      cell: (at) => (
        <Link
          href={linkTo("logs", changed(search, { ...WITHOUT, currency, range: null, from: iso(edges[at]), to: iso(edges[at + 1]) }))}
          tabIndex={shown ? undefined : -1}
        >
          <Moment at={edges[at] ?? ""} text={short ? clock : day} />
        </Link>
      ),
    },
    ...lines.map((line, index) => ({ name: String(index), title: named(line), figures: true, cell: (at: number) => amount(line.amounts[at]) })),
    { name: "total", title: word.total, figures: true, cell: (at) => <strong>{amount(totals[at])}</strong> },
  ];
  if (before !== null) {
    columns.push({ name: "before", title: word.before, figures: true, cell: (at) => amount(before[at]) });
    columns.push({ name: "change", title: word.change, figures: true, cell: (at) => <Changed change={changeOf(totals[at] ?? "0", before[at])} good="less" /> });
  }
  return (
    <div className={shown ? "panel-table" : "unseen"}>
      <PlainTable caption={caption} quietCaption columns={columns} rows={totals.map((_, at) => at)} keyOf={(at) => edges[at] ?? ""} />
    </div>
  );
}

function iso(moment: string | undefined): string | null {
  return moment === undefined ? null : new Date(moment).toISOString();
}
