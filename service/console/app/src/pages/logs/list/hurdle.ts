/** What the service does not answer of a list, so that the page need not ask: amounts of several currencies are in no
 * order, and one by another column than the time sorts what it reads. */

import type { Change } from "../../../address/search";
import type { CallFilter } from "../../../api/gql/graphql";
import type { Filter } from "../../../filter/filter";
import type { Period } from "../../../time/range";
import { NEWEST_FIRST, type Order } from "./order";

export type Hurdle = "currencies" | "days";

const AMOUNT = "amount";
/** What a list can be ordered within by another column than the time: 31 days, and the hours by which a month of local
 * time can be longer. */
const ORDERED_MS_MAX = 31 * 86_400_000 + 2 * 3_600_000;

/** What takes each of them out of the way, of the calls of the filter as far as it can be had. */
export const NEWEST: Readonly<Record<Hurdle, Change>> = {
  currencies: { sort: null, "min.amount": null, "max.amount": null },
  days: { sort: null },
};

/** The filter without its bounds of amounts. */
export function withoutAmount(filter: CallFilter): CallFilter {
  const rest = { ...filter };
  delete rest.amount;
  return rest;
}

/** What is in the way of a list; null: nothing is. */
export function hurdleOf(filter: Filter, order: Order, period: Period): Hurdle | null {
  const currency = filter.choices.currency;
  const isOne = currency?.is.length === 1 && currency.is[0] !== "";
  if (!isOne && (order.name === AMOUNT || filter.bounds.amount !== undefined)) return "currencies";
  const length = Date.parse(period.to) - Date.parse(period.from);
  return order.name !== NEWEST_FIRST.name && length > ORDERED_MS_MAX ? "days" : null;
}
