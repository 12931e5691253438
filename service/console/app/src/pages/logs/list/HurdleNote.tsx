import { useAddress } from "../../../address/address";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { Empty } from "../../../parts/Empty";
import { useRange } from "../../../time/RangeContext";
import type { Counted } from "../histogram/useHistogram";
import { words } from "../words";
import { type Hurdle, NEWEST } from "./hurdle";

interface Props {
  hurdle: Hurdle;
  /** Of the calls of the filter, by currency. */
  totals: NonNullable<Counted["totals"]>;
}

/** Why the list cannot be had in this order, and what to press so that it can. */
export function HurdleNote({ hurdle, totals }: Props) {
  const word = useWords(words);
  const currencies = totals.toSorted((one, other) => Number(other.calls) - Number(one.calls)).flatMap(({ amount }) => amount?.currency ?? []);
  const { change: changeTime } = useRange();
  const [, change] = useAddress();
  const newest = <Button onClick={() => change(NEWEST[hurdle])}>{word.newestFirst}</Button>;
  if (hurdle === "days") {
    return (
      <Empty title={word.manyDays}>
        <p>{word.manyDaysWhy}</p>
        <p className="empty-actions">
          <Button onClick={() => changeTime({ kind: "relative", last: "30d" })}>{word.last30Days}</Button>
          {newest}
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={word.whichCurrency}>
      <p>{word.whichCurrencyWhy}</p>
      <p className="empty-actions">
        {currencies.map((currency) => (
          <Button key={currency} onClick={() => change({ currency })}>
            {currency}
          </Button>
        ))}
        {newest}
      </p>
    </Empty>
  );
}
