import type { ReactNode } from "react";
import { useWords } from "../../language/useWords";
import { sum } from "../../numbers/decimal";
import { count } from "../../numbers/figures";
import { Amount } from "../../parts/Amount";
import { Popover } from "../../parts/controls/Popover";
import { PlainTable } from "../../parts/PlainTable";
import { words as callWords } from "../../calls/words";
import { clock, useZone } from "../../time/zone";
import type { Counted } from "./histogram/useHistogram";
import { words } from "./words";

/** How many calls there are in all, how many failed, and what they cost; each currency by itself. At its end what else is
 * said of the list. */
export function Summary({ counted, children }: { counted: Counted; children: ReactNode }) {
  const word = useWords(words);
  const call = useWords(callWords);
  const zone = useZone();
  const { totals, bars } = counted;
  if (totals === null) return <div className="summary">{children}</div>;
  const calls = sum(totals.map((row) => row.calls));
  const errors = sum(totals.map((row) => row.errors));
  const rows = bars === null ? [] : bars.succeeded.map((succeeded, index) => ({ at: bars.edges[index] ?? "", succeeded, failed: bars.failed[index] ?? 0 }));
  return (
    <div className="summary" data-waiting={counted.waiting}>
      <strong>{word.total(count(calls), calls)}</strong>
      {errors !== "0" && <span className="summary-bad">{word.failed(count(errors))}</span>}
      {totals.map(({ amount }) => amount && <Amount key={amount.currency} amount={amount.amount} currency={amount.currency} />)}
      {children}
      {rows.length > 0 && (
        <span>
          <Popover label={word.histogramTable} kind="quiet" side="end" text={word.asTable}>
            <PlainTable
              caption={word.histogramTable}
              rows={rows}
              keyOf={(row) => row.at}
              columns={[
                { name: "from", title: word.from, cell: (row) => clock(row.at, zone) },
                { name: "succeeded", title: call.status.SUCCEEDED, figures: true, cell: (row) => count(row.succeeded) },
                { name: "failed", title: call.status.FAILED, figures: true, cell: (row) => count(row.failed) },
              ]}
            />
          </Popover>
        </span>
      )}
    </div>
  );
}
