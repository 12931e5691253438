/** Amounts are texts of decimals, from the service to the screen: no float ever holds money. */

import Big from "big.js";

/** The sum of decimals, exact. */
export function sum(decimals: readonly string[]): string {
  return decimals.reduce((total, one) => total.plus(one), new Big(0)).toFixed();
}

/** The difference of two decimals, exact. */
export function difference(one: string, other: string): string {
  return new Big(one).minus(other).toFixed();
}

/** -1, 0 or 1, as one is less, equal or more. */
export function compare(one: string, other: string): -1 | 0 | 1 {
  return new Big(one).cmp(other) as -1 | 0 | 1;
}

/** A decimal as people read it: thousands grouped, `digits` behind the point, so that a column of them stands under each
 * other. A smaller one gets as many as show two that count: nothing but zero reads as zero. */
export function readable(decimal: string, digits = 2): string {
  const value = new Big(decimal);
  if (value.eq(0)) return "0.00";
  const places = Math.max(digits, Math.min(1 - value.e, 18));
  const [whole = "0", fraction = ""] = value.abs().toFixed(places).split(".");
  return `${value.lt(0) ? "−" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${fraction}`;
}

/** A decimal with all of its digits. */
export function exact(decimal: string): string {
  return new Big(decimal).toFixed();
}

/** A decimal with all of its digits, thousands grouped. */
export function grouped(decimal: string): string {
  const [whole = "0", ...fraction] = exact(decimal).split(".");
  return [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...fraction].join(".");
}

/** For the height of a bar alone: a decimal as the nearest float. */
export function height(decimal: string): number {
  return Number(decimal);
}

/** The part that one decimal is of another, as a number to show as a percentage; null: of nothing. */
export function shareOf(part: string, whole: string): number | null {
  return new Big(whole).eq(0) ? null : new Big(part).div(whole).toNumber();
}

/** What `amount` for `units` units comes to for `others` of them, to 12 digits behind the point; null: for no units. */
export function proportional(amount: string, units: string, others: string): string | null {
  return new Big(units).eq(0) ? null : new Big(amount).times(others).div(units).round(12).toFixed();
}
