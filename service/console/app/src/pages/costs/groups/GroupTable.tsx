import type { ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { shareOf } from "../../../numbers/decimal";
import { count, percent } from "../../../numbers/figures";
import { Amount } from "../../../parts/Amount";
import { Moment } from "../../../parts/Moment";
import { type PlainColumn, PlainTable } from "../../../parts/PlainTable";
import { useRange } from "../../../time/RangeContext";
import { day } from "../../../time/zone";
import type { Costs } from "../useCosts";
import { words } from "../words";
import { DAY, WITHOUT, linkable, timeOf } from "./dimension";
import { type FigureRow, type Group, cacheShare } from "./group";

/** Costs and how well tokens were used, one row for each value, and all of them; a value opens its calls. */
export function GroupTable({ costs, currency }: { costs: Costs; currency: string }) {
  const word = useWords(words);
  const text = useFieldText();
  const { dimension, groups, total, truncated } = costs;
  const name = text.name(dimension);
  const amount = (value: string | null | undefined) => (value == null ? "–" : <Amount amount={value} currency={currency} />);
  const part = (value: number | null | undefined) => (value == null ? "–" : percent(value));
  // Of many days each is a small part of the whole: their bars are beside each other's.
  const most = dimension === DAY ? Math.max(...groups.map(({ share }) => share ?? 0)) : 1;
  const tokens = groups[0]?.row.inputTokens !== undefined;
  const derived = groups[0]?.row.averageCost !== undefined;
  /** A figure of each group, and of all of them. */
  const figure = (of: string, title: string, shown: (row: FigureRow) => ReactNode): PlainColumn<Group> => ({
    name: of,
    title,
    figures: true,
    cell: ({ row }) => shown(row),
    ...(total && { foot: shown(total) }),
  });
  const columns: (PlainColumn<Group> | false)[] = [
    { name: "value", title: name, foot: word.total, cell: (group) => <Value group={group} dimension={dimension} currency={currency} /> },
    { name: "cost", title: word.cost, figures: true, cell: (group) => amount(group.amount), foot: amount(total?.amount?.amount) },
    { name: "share", title: word.share, figures: true, cell: ({ share }) => <ShareBar share={share} most={most} /> },
    figure("calls", word.calls, (row) => count(row.calls)),
    figure("failed", word.failed, (row) => part(shareOf(row.errors, row.calls))),
    tokens && figure("input", word.input, (row) => count(row.inputTokens ?? "0")),
    tokens && figure("output", word.output, (row) => count(row.outputTokens ?? "0")),
    tokens && figure("efficiency", word.efficiency, (row) => row.tokenEfficiency?.toFixed(3) ?? "–"),
    tokens && figure("cached", word.cached, (row) => part(cacheShare(row))),
    derived && figure("average", word.average, (row) => amount(row.averageCost)),
    derived && figure("thousand", word.perThousand, (row) => amount(row.costPerThousandOutputTokens)),
    derived && figure("failures", word.failures, (row) => amount(row.wastedOnFailures)),
  ];
  return (
    <section className="panel">
      <PlainTable
        caption={word.costsBy(name, currency)}
        columns={columns.filter((column) => column !== false)}
        rows={groups}
        keyOf={({ value }) => value}
      />
      {truncated && <p className="quiet panel-note">{word.truncated}</p>}
    </section>
  );
}

/** What a row is of, and the way to its calls. */
function Value({ group: { value, end }, dimension, currency }: { group: Group; dimension: string; currency: string }) {
  const text = useFieldText();
  const search = useSearch();
  const { period } = useRange();
  const days = dimension === DAY;
  const shown = days ? <Moment at={value} text={day} /> : text.value(dimension, value);
  const of = days ? timeOf(value, end, period) : { [dimension]: value };
  return linkable(dimension, value) ? <Link href={linkTo("logs", changed(search, { ...WITHOUT, currency, ...of }))}>{shown}</Link> : shown;
}

function ShareBar({ share, most }: { share: number | null; most: number }) {
  if (share === null) return "–";
  const width = most > 0 ? Math.max(0, Math.min(1, share / most)) : 0;
  return (
    <span className="share">
      <span className="share-bar" aria-hidden="true">
        <span style={{ width: `${width * 100}%` }} />
      </span>
      <span className="share-figure">{percent(share)}</span>
    </span>
  );
}
