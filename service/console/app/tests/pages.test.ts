/** What the pages of exports and operation work out. */

import { describe, expect, it } from "vitest";
import { inputOf, progress } from "../src/pages/exports/input";
import { size } from "../src/numbers/figures";
import { byReason } from "../src/pages/operation/refused";

const of = { calls: { startedAt: { gte: "a" }, model: { eq: "m" } }, errors: { occurredAt: { gte: "a" }, model: { eq: "m" } }, zone: "UTC" };

describe("an export", () => {
  it("has the filter of its kind, with the time but for schedules, which set it", () => {
    const csv = { kind: "CALLS", format: "CSV", zip: true } as const;
    expect(inputOf(csv, of, true)).toEqual({ kind: "CALLS", format: "CSV", compression: "GZIP", filter: { startedAt: { gte: "a" }, model: { eq: "m" } } });
    expect(inputOf(csv, of, false).filter).toEqual({ model: { eq: "m" } });
    expect(inputOf({ ...csv, kind: "ERRORS" }, of, true).errorFilter).toEqual({ occurredAt: { gte: "a" }, model: { eq: "m" } });
    expect(inputOf({ ...csv, kind: "ERRORS" }, of, false)).toEqual({ kind: "ERRORS", format: "CSV", compression: "GZIP", errorFilter: { model: { eq: "m" } } });
    expect(inputOf({ kind: "COSTS", format: "PARQUET", zip: true }, of, true)).toMatchObject({ bucket: "DAY", timeZone: "UTC" });
    expect(inputOf({ kind: "COSTS", format: "PARQUET", zip: true }, of, true)).not.toHaveProperty("compression");
  });

  it("tells sizes and how far it is", () => {
    expect([size("12"), size("12345"), size("12345678")]).toEqual(["12 B", "12.3 kB", "12.3 MB"]);
    expect([progress("5", "10"), progress("11", "10"), progress("1", null), progress(null, "1"), progress("0", "0")]).toEqual([0.5, 1, null, null, null]);
  });
});

it("refused rows are added up by their reason, the most refused first", () => {
  const row = (reason: string, refused: string, hour: string, account: string | null) => ({ reason, refused, hour, source: "native", account });
  expect(byReason([row("A", "1", "h1", null), row("B", "5", "h2", "x"), row("A", "9007199254740993", "h3", "y")])).toEqual([
    { reason: "A", refused: 9007199254740994n, sources: ["native"], accounts: ["y"], last: "h3" },
    { reason: "B", refused: 5n, sources: ["native"], accounts: ["x"], last: "h2" },
  ]);
});
