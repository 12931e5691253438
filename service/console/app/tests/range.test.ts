import { describe, expect, it } from "vitest";
import { before, endsNow, lengthOf, moment, parametersOf, periodOf as periodIn, rangeOf } from "../src/time/range";
import { clock, fromClock, millisecond, toClock, zoneName } from "../src/time/zone";

const NOW = Date.parse("2026-11-29T12:00:00Z");
const periodOf = (range: Parameters<typeof periodIn>[0], now: number) => periodIn(range, now, "UTC");
const of = (search: string) => rangeOf(new URLSearchParams(search));

describe("a range of an address", () => {
  it("stays relative, and ends now", () => {
    expect(of("range=4h")).toEqual({ kind: "relative", last: "4h" });
    expect(periodOf(of("range=4h"), NOW)).toEqual({ from: "2026-11-29T08:00:00.000Z", to: "2026-11-29T12:00:00.000Z" });
  });

  it("is absolute where it says moments", () => {
    const range = of("from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z");
    expect(range).toEqual({ kind: "absolute", from: "2026-11-01T00:00:00.000Z", to: "2026-11-02T00:00:00.000Z" });
    expect(rangeOf(new URLSearchParams(Object.entries(parametersOf(range)).flatMap(([k, v]) => (v ? [[k, v]] : []))))).toEqual(range);
    expect(periodOf(of("from=2026-11-01T00:00:00Z"), NOW).to).toBe("2026-11-29T12:00:00.000Z");
  });

  it.each(["", "range=", "range=0h", "range=4x", "range=-4h", "range=999999d", "from=yesterday", "from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "from=1"])(
    "that cannot be read (%s) is the usual one",
    (search) => expect(of(search)).toEqual({ kind: "relative", last: "24h" }),
  );

  it("has a period of the same length before it", () => {
    expect(before(periodOf(of("range=24h"), NOW), of("range=24h"), "UTC")).toEqual({ from: "2026-11-27T12:00:00.000Z", to: "2026-11-28T12:00:00.000Z" });
  });

  it.each([
    ["today", "UTC", "2026-11-29T00:00:00.000Z", NOW, "2026-11-28T00:00:00.000Z", "2026-11-28T12:00:00.000Z"],
    ["yesterday", "Asia/Kolkata", "2026-11-27T18:30:00.000Z", "2026-11-28T18:30:00.000Z", "2026-11-26T18:30:00.000Z", "2026-11-27T18:30:00.000Z"],
    ["month", "Europe/Vienna", "2026-10-31T23:00:00.000Z", NOW, "2026-09-30T22:00:00.000Z", "2026-10-29T11:00:00.000Z"],
    ["last-month", "Europe/Vienna", "2026-09-30T22:00:00.000Z", "2026-10-31T23:00:00.000Z", "2026-08-31T22:00:00.000Z", "2026-09-30T22:00:00.000Z"],
  ])("of the calendar (%s) begins with the days of the zone (%s), and is compared with the one before it", (text, zone, from, to, wasFrom, wasTo) => {
    const range = of(`range=${text}`);
    const period = { from, to: new Date(to).toISOString() };
    expect(range).toEqual({ kind: "calendar", of: text });
    expect(parametersOf(range)).toEqual({ range: text, from: null, to: null });
    expect(periodIn(range, NOW, zone)).toEqual(period);
    expect(before(period, range, zone)).toEqual({ from: wasFrom, to: wasTo });
    expect(endsNow(range)).toBe(to === NOW);
  });

  it("of the calendar begins with the first moment of a day that has no midnight", () => {
    const now = Date.parse("2026-09-06T12:00:00Z"); // In Santiago clocks are put forward from 00:00 to 01:00.
    const period = periodIn(of("range=today"), now, "America/Santiago");
    expect(period.from).toBe("2026-09-06T04:00:00.000Z");
    expect(before(period, of("range=today"), "America/Santiago")).toEqual({ from: "2026-09-05T04:00:00.000Z", to: "2026-09-05T12:00:00.000Z" });
    expect(periodIn(of("range=today"), Date.parse("2026-04-24T12:00:00Z"), "Africa/Cairo").from).toBe("2026-04-23T22:00:00.000Z");
  });

  it("of the calendar is no longer than the month that it is compared with", () => {
    const range = of("range=month");
    const period = periodOf(range, Date.parse("2026-03-31T12:00:00Z"));
    expect(before(period, range, "UTC")).toEqual({ from: "2026-02-01T00:00:00.000Z", to: "2026-03-01T00:00:00.000Z" });
  });

  it("has a length", () => {
    expect(lengthOf("15m")).toBe(900_000);
    expect(lengthOf("15")).toBeNull();
    expect(moment("2026-13-01T00:00:00Z")).toBeNull();
  });
});

describe("the clock of a zone", () => {
  it("says which of the two it is in an hour that comes twice, and no more than the time in others", () => {
    const hours = ["2026-10-24T23:30:00Z", "2026-10-25T00:05:00Z", "2026-10-25T01:05:00Z", "2026-10-25T02:05:00Z"];
    expect(hours.map((at) => clock(at, "Europe/Berlin"))).toEqual(["2026-10-25 01:30", "2026-10-25 02:05 UTC+2", "2026-10-25 02:05 UTC+1", "2026-10-25 03:05"]);
    expect(hours.map((at) => clock(at, "UTC")).every((text) => text.length === 16)).toBe(true);
    expect(clock("2026-03-29T01:05:00Z", "Europe/Berlin")).toBe("2026-03-29 03:05");
  });

  it("is shown and read back, on both sides of a change of clocks", () => {
    for (const at of ["2026-10-24T22:30:00.000Z", "2026-10-25T02:30:00.000Z", "2026-03-29T00:30:00.000Z", "2026-07-01T12:00:00.000Z"]) {
      for (const zone of ["UTC", "Europe/Vienna", "Asia/Kolkata", "America/New_York"]) {
        expect(fromClock(toClock(at, zone), zone)).toBe(at);
      }
    }
    expect(fromClock("nonsense", "UTC")).toBeNull();
  });

  it("is right within the hour in which clocks are put back, and where they are off by three quarters of an hour", () => {
    expect(["2026-10-25T00:59:59.999Z", "2026-10-25T01:00:00.000Z"].map((at) => millisecond(at, "Europe/Vienna"))).toEqual([
      "2026-10-25 02:59:59.999",
      "2026-10-25 02:00:00.000",
    ]);
    expect(millisecond("2026-11-29T23:30:00.1Z", "Asia/Kathmandu")).toBe("2026-11-30 05:15:00.100");
    expect(millisecond("1969-12-31T23:59:59.5Z", "UTC")).toBe("1969-12-31 23:59:59.500");
  });

  it("says its zone", () => {
    expect(millisecond("2026-11-29T23:30:00.123Z", "Europe/Vienna")).toBe("2026-11-30 00:30:00.123");
    expect(zoneName("Europe/Vienna", "2026-07-01T12:00:00Z")).toBe("UTC+2");
    expect(zoneName("UTC")).toBe("UTC");
  });
});
