import { Link } from "wouter";
import { type Change, linkTo } from "../../address/search";
import { useWords } from "../../language/useWords";
import { exact, readable } from "../../numbers/decimal";
import { count } from "../../numbers/figures";
import { PlainTable } from "../../parts/PlainTable";
import { fromClock } from "../../time/zone";
import type { Difference } from "./file";
import { signed } from "./Totals";
import { words } from "./words";

const DAY_MS = 86_400_000;

interface Props {
  differences: readonly Difference[];
  total: number;
  /** Whether single calls were compared. */
  byIds: boolean;
  /** The zone that the days are of. */
  timeZone: string;
}

/** What the logs are asked for of a difference: the calls of its day and model. */
export function callsOf({ day, model }: Pick<Difference, "day" | "model">, timeZone: string): Change {
  const next = new Date(Date.parse(`${day}T00:00Z`) + DAY_MS).toISOString().slice(0, 10);
  return { from: fromClock(`${day}T00:00`, timeZone), to: fromClock(`${next}T00:00`, timeZone), ...(model && { model }) };
}

/** What differs, by day, kind, model and currency, with some of the calls. */
export function DifferenceTable({ differences, total, byIds, timeZone }: Props) {
  const word = useWords(words);
  return (
    <PlainTable
      caption={word.differences(count(total))}
      rows={differences}
      keyOf={(one) => [one.kind, one.day, one.model, one.currency].join("\n")}
      columns={[
        { name: "day", title: word.day, cell: ({ day }) => day },
        { name: "kind", title: word.kindOf, cell: ({ kind }) => word.kind[kind] },
        { name: "model", title: word.model, cell: (one) => (one.model ? <Link href={linkTo("logs", callsOf(one, timeZone))}>{one.model}</Link> : "–") },
        { name: "calls", title: byIds ? word.callsOf : word.rowsOf, figures: true, cell: ({ calls }) => count(calls) },
        { name: "theirs", title: word.theirs, figures: true, cell: ({ theirs }) => <span title={exact(theirs)}>{readable(theirs)}</span> },
        { name: "ours", title: word.ours, figures: true, cell: ({ ours }) => <span title={exact(ours)}>{readable(ours)}</span> },
        { name: "difference", title: word.difference, figures: true, cell: (one) => <strong title={exact(one.difference)}>{signed(one.difference)}</strong> },
        { name: "currency", title: word.currency, cell: ({ currency }) => currency || "–" },
        {
          name: "ids",
          title: word.someCalls,
          cell: (one) =>
            one.callIds == null || one.callIds.length === 0
              ? "–"
              : one.callIds.map((id, index) => (
                  <Link key={id} href={linkTo("logs", { ...callsOf(one, timeZone), call: id })} className="recon-call" title={id} aria-label={word.openCall(id)}>
                    {index + 1}
                  </Link>
                )),
        },
      ]}
    />
  );
}
