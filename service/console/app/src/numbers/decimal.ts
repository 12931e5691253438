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

/** A decimal as people read it: thousands grouped, at least 2 digits behind the point and at most `digits`. Small ones
 * keep two digits that count, so that nothing but zero reads as zero. */
export function readable(decimal: string, digits = 2): string {
  const value = new Big(decimal);
  const places = value.eq(0) ? 2 : Math.max(digits, Math.min(1 - value.e, 12));
  const [whole = "0", fraction = ""] = value.abs().toFixed(places).split(".");
  const trimmed = digits > 2 && fraction.length > 2 ? fraction.replace(/0+$/, "").padEnd(2, "0") : fraction;
  return `${value.lt(0) ? "−" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${trimmed}`;
}

/** A decimal with all of its digits. */
export function exact(decimal: string): string {
  return new Big(decimal).toFixed();
}

/** For the height of a bar alone: a decimal as the nearest float. */
export function height(decimal: string): number {
  return Number(decimal);
}
