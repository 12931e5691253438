import { Link } from "wouter";
import { linkTo } from "../../address/search";
import { useWords } from "../../language/useWords";
import { exact, readable } from "../../numbers/decimal";
import { count } from "../../numbers/figures";
import { PlainTable } from "../../parts/PlainTable";
import type { Difference } from "./file";
import { signed } from "./Totals";
import { words } from "./words";

interface Props {
  differences: readonly Difference[];
  total: number;
  /** Whether single calls were compared. */
  byIds: boolean;
}

/** What differs, by day, kind, model and currency, with some of the calls. */
export function DifferenceTable({ differences, total, byIds }: Props) {
  const word = useWords(words);
  return (
    <PlainTable
      caption={word.differences(count(total))}
      rows={differences}
      keyOf={(one) => [one.kind, one.day, one.model, one.currency].join("\n")}
      columns={[
        { name: "day", title: word.day, cell: ({ day }) => day },
        { name: "kind", title: word.kindOf, cell: ({ kind }) => word.kind[kind] },
        { name: "model", title: word.model, cell: ({ model }) => model || "–" },
        { name: "calls", title: byIds ? word.callsOf : word.rowsOf, figures: true, cell: ({ calls }) => count(calls) },
        { name: "theirs", title: word.theirs, figures: true, cell: ({ theirs }) => <span title={exact(theirs)}>{readable(theirs)}</span> },
        { name: "ours", title: word.ours, figures: true, cell: ({ ours }) => <span title={exact(ours)}>{readable(ours)}</span> },
        { name: "difference", title: word.difference, figures: true, cell: (one) => <strong title={exact(one.difference)}>{signed(one.difference)}</strong> },
        { name: "currency", title: word.currency, cell: ({ currency }) => currency || "–" },
        {
          name: "ids",
          title: word.someCalls,
          cell: ({ callIds }) =>
            callIds == null || callIds.length === 0
              ? "–"
              : callIds.map((id, index) => (
                  <Link key={id} href={linkTo("logs", { range: "90d", call: id })} className="recon-call" title={id} aria-label={word.openCall(id)}>
                    {index + 1}
                  </Link>
                )),
        },
      ]}
    />
  );
}
