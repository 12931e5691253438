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

function partsOf(moment: string | number, zone: string): Record<string, string> {
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
      fractionalSecondDigits: 3,
      hourCycle: "h23",
    });
    formats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(new Date(moment)).map((part) => [part.type, part.value]));
}

/** 2026-11-29 */
export function day(moment: string | number, zone: string): string {
  const part = partsOf(moment, zone);
  return `${part["year"]}-${part["month"]}-${part["day"]}`;
}

/** 14:05 */
export function minute(moment: string | number, zone: string): string {
  const part = partsOf(moment, zone);
  return `${part["hour"]}:${part["minute"]}`;
}

/** 2026-11-29 14:05 */
export function toTheMinute(moment: string | number, zone: string): string {
  return `${day(moment, zone)} ${minute(moment, zone)}`;
}

/** 2026-11-29 14:05:09 */
export function second(moment: string | number, zone: string): string {
  return millisecond(moment, zone).slice(0, 19);
}

/** 2026-11-29 14:05:09.123 */
export function millisecond(moment: string | number, zone: string): string {
  const part = partsOf(moment, zone);
  const clock = `${part["hour"]}:${part["minute"]}:${part["second"]}.${part["fractionalSecond"]}`;
  return `${part["year"]}-${part["month"]}-${part["day"]} ${clock}`;
}

/** What zone a text is in, as it stands beside it: UTC, or UTC+1. */
export function zoneName(zone: string, moment: string | number = Date.now()): string {
  if (zone === "UTC") return "UTC";
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "shortOffset" }).formatToParts(
    new Date(moment),
  );
  return (parts.find((part) => part.type === "timeZoneName")?.value ?? zone).replace("GMT", "UTC");
}

/** The moment of a wall clock (`2026-11-29T14:05`, as an input of `datetime-local` has it) in a zone; null: none. */
export function fromClock(clock: string, zone: string): string | null {
  const asUtc = Date.parse(`${clock.length === 16 ? `${clock}:00` : clock}Z`);
  if (Number.isNaN(asUtc)) return null;
  // The offset may be another one on the other side of a change of clocks: once more with what was found.
  let found = asUtc;
  for (let round = 0; round < 2; round++) found = asUtc - offset(found, zone);
  return new Date(found).toISOString();
}

/** A moment as an input of `datetime-local` has it. */
export function toClock(moment: string | number, zone: string): string {
  return second(moment, zone).replace(" ", "T").slice(0, 16);
}

function offset(moment: number, zone: string): number {
  return Date.parse(`${millisecond(moment, zone).replace(" ", "T")}Z`) - moment;
}
