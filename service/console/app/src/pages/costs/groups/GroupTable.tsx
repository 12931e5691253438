import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { shareOf } from "../../../numbers/decimal";
import { count, percent } from "../../../numbers/figures";
import { Amount } from "../../../parts/Amount";
import { type PlainColumn, PlainTable } from "../../../parts/PlainTable";
import { WITHOUT, linkable } from "./dimension";
import { type Group, cacheShare } from "./group";
import type { Costs } from "../useCosts";
import { words } from "../words";

/** Costs and how well tokens were used, one row for each value; its name opens its calls. */
export function GroupTable({ costs, currency }: { costs: Costs; currency: string }) {
  const word = useWords(words);
  const text = useFieldText();
  const search = useSearch();
  const { dimension, groups, truncated } = costs;
  const name = text.name(dimension);
  const amount = (value: string | null | undefined) => (value == null ? "–" : <Amount amount={value} currency={currency} />);
  const part = (value: number | null | undefined) => (value == null ? "–" : percent(value));
  const calls = (value: string) => linkTo("logs", changed(search, { ...WITHOUT, currency, [dimension]: value }));
  const tokens = groups[0]?.row.inputTokens !== undefined;
  const derived = groups[0]?.row.averageCost !== undefined;
  const columns: (PlainColumn<Group> | false)[] = [
    {
      name: "value",
      title: name,
      cell: ({ value }) => (linkable(dimension, value) ? <Link href={calls(value)}>{text.value(dimension, value)}</Link> : text.value(dimension, value)),
    },
    { name: "cost", title: word.cost, figures: true, cell: (group) => amount(group.amount) },
    { name: "share", title: word.share, figures: true, cell: ({ share }) => <ShareBar share={share} /> },
    { name: "calls", title: word.calls, figures: true, cell: ({ row }) => count(row.calls) },
    { name: "failed", title: word.failed, figures: true, cell: ({ row }) => part(shareOf(row.errors, row.calls)) },
    tokens && { name: "input", title: word.input, figures: true, cell: ({ row }) => count(row.inputTokens ?? "0") },
    tokens && { name: "output", title: word.output, figures: true, cell: ({ row }) => count(row.outputTokens ?? "0") },
    tokens && { name: "efficiency", title: word.efficiency, figures: true, cell: ({ row }) => row.tokenEfficiency?.toFixed(3) ?? "–" },
    tokens && { name: "cached", title: word.cached, figures: true, cell: ({ row }) => part(cacheShare(row)) },
    derived && { name: "average", title: word.average, figures: true, cell: ({ row }) => amount(row.averageCost) },
    derived && { name: "thousand", title: word.perThousand, figures: true, cell: ({ row }) => amount(row.costPerThousandOutputTokens) },
    derived && { name: "failures", title: word.failures, figures: true, cell: ({ row }) => amount(row.wastedOnFailures) },
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

function ShareBar({ share }: { share: number | null }) {
  if (share === null) return "–";
  return (
    <span className="share">
      <span className="share-bar" aria-hidden="true">
        <span style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
      </span>
      <span className="share-figure">{percent(share)}</span>
    </span>
  );
}
