/** What the filter of calls means for errors. */

import { expect, it } from "vitest";
import { filterOf } from "../src/filter/filter";
import { errorFilterOf, ignoredBy } from "../src/pages/errors/errorFilter";

const period = { from: "2026-01-01T00:00:00.000Z", to: "2026-01-02T00:00:00.000Z" };

it("takes what errors know, by their names, and tells what they do not", () => {
  const filter = filterOf(new URLSearchParams("model=a&not.model=b&errorType=T&errorType=&status=FAILED&tag.team=x&min.latencyMs=9"));
  expect(errorFilterOf(filter, period)).toEqual({
    occurredAt: { gte: period.from, lt: period.to },
    model: { in: ["a"], notIn: ["b"] },
    type: { in: ["T"] },
  });
  expect(ignoredBy(filter)).toEqual(["status", "tag.team", "latencyMs"]);
});
