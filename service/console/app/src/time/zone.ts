/** Moments as people read them, in UTC or in the zone of the browser. */

import { usePreference } from "../preferences/preferences";

/** The zone that is shown: an IANA name. */
export function useZone(): string {
  const [chosen] = usePreference("zone");
  return chosen === "utc" ? "UTC" : localZone();
}

/** The zone of the browser. */
export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function partsOf(moment: number, zone: string): Record<string, string> {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    });
    formats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(new Date(moment)).map((part) => [part.type, part.value]));
}

/** 2026-11-29 */
export function day(moment: string | number, zone: string): string {
  return millisecond(moment, zone).slice(0, 10);
}

/** 14:05 */
export function minute(moment: string | number, zone: string): string {
  return millisecond(moment, zone).slice(11, 16);
}

/** 2026-11-29 14:05 */
export function toTheMinute(moment: string | number, zone: string): string {
  return millisecond(moment, zone).slice(0, 16);
}

const REPEATED_MS = [-3_600_000, -1_800_000, 1_800_000, 3_600_000];

/** 2026-11-29 14:05; while clocks are put back, an hour in which each time of the day comes twice: 2026-10-25 02:05 UTC+1 */
export function clock(moment: string | number, zone: string): string {
  const at = new Date(moment).getTime();
  const text = toTheMinute(at, zone);
  return REPEATED_MS.some((step) => toTheMinute(at + step, zone) === text) ? `${text} ${zoneName(zone, at)}` : text;
}

/** 11-29 14:05; of another year 2025-11-29 14:05 */
export function withinTheYear(moment: string | number, zone: string): string {
  const text = toTheMinute(moment, zone);
  return text.startsWith(day(Date.now(), zone).slice(0, 5)) ? text.slice(5) : text;
}

/** 2026-11-29 14:05:09 */
export function second(moment: string | number, zone: string): string {
  return millisecond(moment, zone).slice(0, 19);
}

/** 2026-11-29 14:05:09.123 */
export function millisecond(moment: string | number, zone: string): string {
  const at = new Date(moment).getTime();
  return new Date(at + offset(at, zone)).toISOString().slice(0, 23).replace("T", " ");
}

/** What zone a text is in, as it stands beside it: UTC, or UTC+1. */
export function zoneName(zone: string, moment: string | number = Date.now()): string {
  if (zone === "UTC") return "UTC";
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "shortOffset" }).formatToParts(
    new Date(moment),
  );
  return (parts.find((part) => part.type === "timeZoneName")?.value ?? zone).replace("GMT", "UTC");
}

/** The moment of a wall clock (`2026-11-29T14:05`, as an input of `datetime-local` has it) in a zone; null: none. Of a
 * time that is left out where clocks are put forward, the moment that is as long after they were. */
export function fromClock(clock: string, zone: string): string | null {
  const asUtc = Date.parse(`${clock.length === 16 ? `${clock}:00` : clock}Z`);
  if (Number.isNaN(asUtc)) return null;
  // The offset may be another one on the other side of a change of clocks: once more with what was found.
  const first = asUtc - offset(asUtc, zone);
  const found = asUtc - offset(first, zone);
  return new Date(found + offset(found, zone) === asUtc ? found : Math.max(first, found)).toISOString();
}

/** A moment as an input of `datetime-local` has it. */
export function toClock(moment: string | number, zone: string): string {
  return second(moment, zone).replace(" ", "T").slice(0, 16);
}

const QUARTER_MS = 900_000;
const KEPT_MAX = 10_000;
const offsets = new Map<string, number>();

/** What the clocks of a zone are ahead of UTC. They are put forward and back at whole quarters of an hour, so one is
 * worked out for each of these: `Intl` takes longer than all else that a list of calls says. */
function offset(moment: number, zone: string): number {
  const quarter = Math.floor(moment / QUARTER_MS);
  const key = `${zone} ${quarter}`;
  let found = offsets.get(key);
  if (found === undefined) {
    if (offsets.size >= KEPT_MAX) offsets.clear();
    const start = quarter * QUARTER_MS;
    const part = partsOf(start, zone);
    found = Date.parse(`${part["year"]}-${part["month"]}-${part["day"]}T${part["hour"]}:${part["minute"]}:${part["second"]}Z`) - start;
    offsets.set(key, found);
  }
  return found;
}
