import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { words } from "../words";
import { NEWEST_FIRST, OLDEST_FIRST, type Order, textOf } from "./order";

/** What comes first in the list, in words; a press turns the time around, or comes back to it from another column. */
export function OrderSwitch({ order, sort }: { order: Order; sort(order: Order): void }) {
  const word = useWords(words);
  const text = useFieldText();
  const isNewest = textOf(order) === textOf(NEWEST_FIRST);
  const isOldest = textOf(order) === textOf(OLDEST_FIRST);
  const now = isNewest ? word.newestFirst : isOldest ? word.oldestFirst : word.orderedBy(text.name(order.name));
  const title = word.changeOrder(now, isNewest ? word.oldestFirst : word.newestFirst);
  return (
    <Button kind="quiet" icon={order.direction === "DESC" ? "down" : "up"} aria-label={title} title={title} onClick={() => sort(isNewest ? OLDEST_FIRST : NEWEST_FIRST)}>
      {now}
    </Button>
  );
}
