import { describe, expect, it } from "vitest";
import { duration, percent, size } from "../src/numbers/figures";

describe("durations", () => {
  it("never have sixty of what makes a whole one", () => {
    expect([0, 820, 999.6, 9_999, 59_960, 119_700].map(duration)).toEqual(["0 ms", "820 ms", "1.00 s", "10.0 s", "1 min 0 s", "2 min 0 s"]);
  });

  it("of hours and days are told in these", () => {
    expect([3_599_600, 5_400_000, 86_399_000, 187_200_000].map(duration)).toEqual(["1 h 0 min", "1 h 30 min", "1 d 0 h", "2 d 4 h"]);
  });
});

it("shares of something are never read as nothing", () => expect([0, 0.0001, 0.05, 0.5, 1].map(percent)).toEqual(["0%", "<0.1%", "5.0%", "50%", "100%"]));

it("sizes have at most three digits before the point, once they are not counted", () => {
  expect(["9999", "10000", "999949", "999950", "2301800", "999949999", "12000000000"].map(size)).toEqual(["9999 B", "10.0 kB", "999.9 kB", "1.0 MB", "2.3 MB", "999.9 MB", "12.0 GB"]);
});
