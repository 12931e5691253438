import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useWords } from "../../../language/useWords";
import { sum } from "../../../numbers/decimal";
import { Amount } from "../../../parts/Amount";
import { Moment } from "../../../parts/Moment";
import { type PlainColumn, PlainTable } from "../../../parts/PlainTable";
import { useRange } from "../../../time/RangeContext";
import { clock, day } from "../../../time/zone";
import { Changed } from "../Changed";
import { WITHOUT, timeOf } from "../groups/dimension";
import { changeOf } from "../groups/group";
import type { Line, Timeline } from "./timeline";
import { words } from "../words";

interface Props {
  timeline: Timeline;
  /** The period before, in all: it may have a day more than this one. */
  was: string;
  named(line: Line): string;
  currency: string;
  caption: string;
  /** Otherwise it is there for screen readers alone. */
  shown: boolean;
}

const DAY_MS = 86_400_000;

/** The bars of the chart as rows: each bucket with its parts, its sum, and the period before; under them what that is in
 * all. */
export function TimelineTable({ timeline, was, named, currency, caption, shown }: Props) {
  const word = useWords(words);
  const search = useSearch();
  const { period } = useRange();
  const { edges, totals, before } = timeline;
  const short = Date.parse(edges[1] ?? "") - Date.parse(edges[0] ?? "") < DAY_MS / 2;
  // One line that has no name is the sum itself.
  const lines = timeline.lines.length === 1 && timeline.lines[0]?.value === null ? [] : timeline.lines;
  const amount = (text: string | undefined) => (text === undefined ? "–" : <Amount amount={text} currency={currency} />);
  const calls = (at: number) => linkTo("logs", changed(search, { ...WITHOUT, currency, ...timeOf(edges[at], edges[at + 1], period) }));
  const columns: PlainColumn<number>[] = [
    {
      name: "time",
      title: word.time,
      foot: word.total,
      cell: (at) => (
        <Link href={calls(at)} tabIndex={shown ? undefined : -1}>
          <Moment at={edges[at] ?? ""} text={short ? clock : day} />
        </Link>
      ),
    },
    ...lines.map((line, index) => ({
      name: String(index),
      title: named(line),
      figures: true,
      cell: (at: number) => amount(line.amounts[at]),
      foot: amount(sum(line.amounts)),
    })),
    { name: "total", title: word.total, figures: true, cell: (at) => <strong>{amount(totals[at])}</strong>, foot: amount(sum(totals)) },
  ];
  if (before !== null) {
    const now = sum(totals);
    columns.push({ name: "before", title: word.before, figures: true, cell: (at) => amount(before[at]), foot: amount(was) });
    columns.push({
      name: "change",
      title: word.change,
      figures: true,
      cell: (at) => <Changed change={changeOf(totals[at] ?? "0", before[at])} good="less" />,
      foot: <Changed change={changeOf(now, was)} good="less" />,
    });
  }
  return (
    <div className={shown ? "panel-table" : "unseen"}>
      <PlainTable caption={caption} quietCaption columns={columns} rows={totals.map((_, at) => at)} keyOf={(at) => edges[at] ?? ""} />
    </div>
  );
}
