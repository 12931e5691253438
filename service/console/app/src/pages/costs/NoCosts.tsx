import { type Filter, isEmpty } from "../../filter/filter";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { useRange } from "../../time/RangeContext";
import { words } from "./words";

interface Props {
  /** Calls of the time whose amount is not known. */
  unpriced: string;
  filter: Filter;
  clear(): void;
}

/** Why there are no costs: no calls in this time, or calls whose amount is not known. */
export function NoCosts({ unpriced, filter, clear }: Props) {
  const word = useWords(words);
  const { change } = useRange();
  return (
    <Empty title={unpriced === "0" ? word.none : word.noAmounts}>
      <p>{unpriced === "0" ? word.noneWhy : word.unpriced(count(unpriced))}</p>
      <p className="empty-actions">
        <Button onClick={() => change({ kind: "relative", last: "30d" })}>{word.lastMonth}</Button>
        {!isEmpty(filter) && <Button onClick={clear}>{word.clearFilters}</Button>}
      </p>
    </Empty>
  );
}
