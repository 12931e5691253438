import type { ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../address/search";
import { useWords } from "../../language/useWords";
import { sum } from "../../numbers/decimal";
import { compact, count } from "../../numbers/figures";
import { Amount } from "../../parts/Amount";
import { Popover } from "../../parts/controls/Popover";
import { PlainTable } from "../../parts/PlainTable";
import { words as callWords } from "../../calls/words";
import { useSession } from "../../session/SessionContext";
import { pagesOf } from "../../shell/pages";
import { clock, useZone } from "../../time/zone";
import type { Counted } from "./histogram/useHistogram";
import { OF_LIST } from "./list/order";
import { words } from "./words";

/** How many calls there are in all, how many failed, their tokens, and what they cost, each currency by itself: each leads
 * to the page that tells more of it, of the same calls. At its end what else is said of the list. */
export function Summary({ counted, children }: { counted: Counted; children: ReactNode }) {
  const word = useWords(words);
  const call = useWords(callWords);
  const zone = useZone();
  const { totals, bars } = counted;
  if (totals === null) return <div className="summary"><span className="summary-end">{children}</span></div>;
  const calls = sum(totals.map((row) => row.calls));
  const errors = sum(totals.map((row) => row.errors));
  const tokens = totals.flatMap((row) => [row.inputTokens ?? [], row.outputTokens ?? []].flat());
  const rows = bars === null ? [] : bars.succeeded.map((succeeded, index) => ({ at: bars.edges[index] ?? "", succeeded, failed: bars.failed[index] ?? 0 }));
  return (
    <div className="summary" data-waiting={counted.waiting}>
      <strong>{word.total(count(calls), calls)}</strong>
      {errors !== "0" && (
        <OnPage page="errors" title={word.errorsOf} more={{}}>
          <span className="summary-bad">{word.failed(count(errors))}</span>
        </OnPage>
      )}
      {tokens.length > 0 && <span title={count(sum(tokens))}>{word.tokens(compact(sum(tokens)))}</span>}
      {totals.map(
        ({ amount }) =>
          amount && (
            <OnPage key={amount.currency} page="costs" title={word.costsOf} more={{ money: amount.currency }}>
              <Amount amount={amount.amount} currency={amount.currency} />
            </OnPage>
          ),
      )}
      <span className="summary-end">
        {children}
        {rows.length > 0 && (
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
        )}
      </span>
    </div>
  );
}

interface OnPageProps {
  page: string;
  title: string;
  more: Readonly<Record<string, string>>;
  children: ReactNode;
}

/** The way to another page for the same calls; for who has no such page, what it would stand on alone. */
function OnPage({ page, title, more, children }: OnPageProps) {
  const session = useSession();
  const search = useSearch();
  if (!pagesOf(session).some(({ path }) => path === page)) return children;
  return (
    <Link className="summary-link" href={linkTo(page, changed(search, { ...OF_LIST, ...more }))} title={title}>
      {children}
    </Link>
  );
}
