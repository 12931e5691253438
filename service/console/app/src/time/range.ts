/** The time that a page is about. A relative range stays relative in the address: who opens a link to the last hour sees
 * the last hour, and who opens one to this month sees theirs. */

import { day, fromClock } from "./zone";

export const RELATIVE = ["15m", "1h", "4h", "24h", "7d", "30d", "90d"] as const;

/** Days and months of the calendar, in the zone that is shown. */
export const CALENDAR = ["today", "yesterday", "month", "last-month"] as const;
export type Calendar = (typeof CALENDAR)[number];

export type Range =
  | { readonly kind: "relative"; readonly last: string }
  | { readonly kind: "calendar"; readonly of: Calendar }
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

/** The range of an address: `range=4h`, `range=month`, or `from` and `to`. What cannot be read is the range of a page without one. */
export function rangeOf(parameters: URLSearchParams, otherwise: Range = DEFAULT_RANGE): Range {
  const from = moment(parameters.get("from"));
  const to = moment(parameters.get("to"));
  if (from !== null && (to === null || from < to)) return { kind: "absolute", from, to };
  const last = parameters.get("range");
  const of = CALENDAR.find((one) => one === last);
  if (of !== undefined) return { kind: "calendar", of };
  return last !== null && lengthOf(last) !== null ? { kind: "relative", last } : otherwise;
}

/** The parameters of the address that say a range. */
export function parametersOf(range: Range): Record<"range" | "from" | "to", string | null> {
  if (range.kind === "absolute") return { range: null, from: range.from, to: range.to };
  return { range: range.kind === "relative" ? range.last : range.of, from: null, to: null };
}

/** Whether a range goes on to the moment at which it is looked at. */
export function endsNow(range: Range): boolean {
  return range.kind === "relative" || (range.kind === "calendar" ? !isPast(range.of) : range.to === null);
}

const isPast = (of: Calendar) => of === "yesterday" || of === "last-month";

/** When a day or a month of the calendar began in a zone, so many of them before the one that `now` is in. */
function began(of: Calendar, ago: number, now: number, zone: string): string {
  const [year = 0, month = 1, date = 1] = day(now, zone).split("-").map(Number);
  const monthly = of === "month" || of === "last-month";
  const first = monthly ? Date.UTC(year, month - 1 - ago, 1) : Date.UTC(year, month - 1, date - ago);
  return fromClock(`${new Date(first).toISOString().slice(0, 10)}T00:00`, zone) ?? "";
}

/** The moments of a range, as seen at `now` (milliseconds) in a zone. */
export function periodOf(range: Range, now: number, zone: string): Period {
  const end = new Date(now).toISOString();
  if (range.kind === "calendar") {
    return isPast(range.of) ? { from: began(range.of, 1, now, zone), to: began(range.of, 0, now, zone) } : { from: began(range.of, 0, now, zone), to: end };
  }
  if (range.kind === "absolute") return { from: range.from, to: range.to ?? end };
  return { from: new Date(now - (lengthOf(range.last) ?? 0)).toISOString(), to: end };
}

/** What a period is compared with: of the calendar, the day or month before it, as far as it has gone itself; of others,
 * as long a time before it. */
export function before(period: Period, range: Range, zone: string): Period {
  const from = Date.parse(period.from);
  if (range.kind === "calendar") {
    const start = began(range.of, 1, from, zone);
    if (isPast(range.of)) return { from: start, to: period.from };
    const end = Math.min(from, Date.parse(start) + Date.parse(period.to) - from);
    return { from: start, to: new Date(end).toISOString() };
  }
  return { from: new Date(2 * from - Date.parse(period.to)).toISOString(), to: period.from };
}
