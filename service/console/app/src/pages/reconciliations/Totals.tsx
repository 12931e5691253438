import { useWords } from "../../language/useWords";
import { compare, difference, exact, readable } from "../../numbers/decimal";
import { words } from "./words";

interface Props {
  totals: readonly { readonly currency: string; readonly theirs: string; readonly ours: string }[];
}

/** What both sides come to, a line for each currency, and by how much they differ. */
export function Totals({ totals }: Props) {
  const word = useWords(words);
  if (totals.length === 0) return "–";
  return (
    <ul className="recon-totals">
      {totals.map(({ currency, theirs, ours }) => (
        <li key={currency} title={`${word.theirs} ${exact(theirs)}, ${word.ours} ${exact(ours)} ${currency}`}>
          {readable(theirs)} / {readable(ours)} <span className="amount-currency">{currency}</span>
          {compare(theirs, ours) !== 0 && <span className="recon-off"> {signed(difference(theirs, ours))}</span>}
        </li>
      ))}
    </ul>
  );
}

/** A difference with its sign, which says who has more. */
export function signed(decimal: string): string {
  return compare(decimal, "0") > 0 ? `+${readable(decimal)}` : readable(decimal);
}
