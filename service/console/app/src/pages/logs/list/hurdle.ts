/** What the service does not answer of a list, so that the page need not ask: amounts of several currencies are in no
 * order, and one by another column than the time sorts what it reads. */

import type { CallFilter } from "../../../api/gql/graphql";
import type { Filter } from "../../../filter/filter";
import type { Period } from "../../../time/range";
import { NEWEST_FIRST, type Order } from "./order";

export type Hurdle = "currencies" | "days";

const AMOUNT = "amount";
/** Days that a list can be ordered within by another column than the time. */
export const ORDERED_DAYS_MAX = 31;
const DAY_MS = 86_400_000;

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
  const days = (Date.parse(period.to) - Date.parse(period.from)) / DAY_MS;
  return order.name !== NEWEST_FIRST.name && days > ORDERED_DAYS_MAX ? "days" : null;
}
