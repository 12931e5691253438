/** The time that a page is about. A relative range stays relative in the address: who opens a link to the last hour sees
 * the last hour. */

export const RELATIVE = ["15m", "1h", "4h", "24h", "7d", "30d", "90d"] as const;

export type Range =
  | { readonly kind: "relative"; readonly last: string }
  | { readonly kind: "absolute"; readonly from: string; readonly to: string | null };

/** A range as moments: RFC 3339 in UTC, half-open. */
export interface Period {
  readonly from: string;
  readonly to: string;
}

export const DEFAULT_RANGE: Range = { kind: "relative", last: "24h" };
const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** How long `15m`, `4h` or `30d` is, in milliseconds; null: it is no such text, or longer than ten years. */
export function lengthOf(last: string): number | null {
  const found = /^([1-9]\d{0,5})([mhd])$/.exec(last);
  if (found === null) return null;
  const length = Number(found[1]) * (UNITS_MS[found[2] ?? ""] ?? 0);
  return length <= 3_660 * 86_400_000 ? length : null;
}

/** A moment as RFC 3339 in UTC; null: it is none. */
export function moment(text: string | null): string | null {
  if (text === null || !/^\d{4}-\d{2}-\d{2}T/.test(text)) return null;
  const value = Date.parse(text);
  return Number.isNaN(value) ? null : new Date(value).toISOString();
}

/** The range of an address: `range=4h`, or `from` and `to`. What cannot be read is the range of a page without one. */
export function rangeOf(parameters: URLSearchParams, otherwise: Range = DEFAULT_RANGE): Range {
  const from = moment(parameters.get("from"));
  const to = moment(parameters.get("to"));
  if (from !== null && (to === null || from < to)) return { kind: "absolute", from, to };
  const last = parameters.get("range");
  return last !== null && lengthOf(last) !== null ? { kind: "relative", last } : otherwise;
}

/** The parameters of the address that say a range. */
export function parametersOf(range: Range): Record<"range" | "from" | "to", string | null> {
  return range.kind === "relative"
    ? { range: range.last, from: null, to: null }
    : { range: null, from: range.from, to: range.to };
}

/** The moments of a range, as seen at `now` (milliseconds). */
export function periodOf(range: Range, now: number): Period {
  const end = new Date(now).toISOString();
  if (range.kind === "absolute") return { from: range.from, to: range.to ?? end };
  return { from: new Date(now - (lengthOf(range.last) ?? 0)).toISOString(), to: end };
}

/** The period of the same length before one. */
export function before(period: Period): Period {
  const from = Date.parse(period.from);
  return { from: new Date(2 * from - Date.parse(period.to)).toISOString(), to: period.from };
}
