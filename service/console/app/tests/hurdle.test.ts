/** Lists that the service refuses are not asked for. */

import { describe, expect, it } from "vitest";
import { changed } from "../src/address/search";
import { filterOf } from "../src/filter/filter";
import { NEWEST, hurdleOf } from "../src/pages/logs/list/hurdle";
import { orderOf } from "../src/pages/logs/list/order";

const WEEK = { from: "2026-11-01T00:00:00.000Z", to: "2026-11-08T00:00:00.000Z" };
const LONG = { from: "2026-08-01T00:00:00.000Z", to: WEEK.to };
const hurdle = (search: string, period = WEEK) => hurdleOf(filterOf(new URLSearchParams(search)), orderOf(new URLSearchParams(search).get("sort")), period);

describe("a list", () => {
  it.each(["sort=amount", "sort=-amount&currency=USD&currency=EUR", "min.amount=1", "max.amount=1&not.currency=USD", "sort=amount&currency="])(
    "has amounts of one currency to compare, or is not asked for (%s)",
    (search) => expect(hurdle(search)).toBe("currencies"),
  );

  it("is ordered by another column within a month", () => {
    expect([hurdle("sort=latencyMs", LONG), hurdle("sort=amount&currency=USD", LONG)]).toEqual(["days", "days"]);
  });

  it.each(["", "sort=-startedAt", "sort=latencyMs", "sort=amount&currency=USD", "min.amount=1&currency=USD", "min.latencyMs=1"])(
    "is had otherwise (%s)",
    (search) => expect(hurdle(search)).toBeNull(),
  );

  it("is ordered by another column within each month of the calendar, however long it is", () => {
    const october = { from: "2026-09-30T22:00:00.000Z", to: "2026-10-31T23:00:00.000Z" }; // of Vienna
    expect(hurdle("sort=latencyMs", october)).toBeNull();
    expect(hurdle("sort=latencyMs", { ...october, to: "2026-11-01T01:00:00.000Z" })).toBe("days");
  });

  it("of many days keeps its bounds when it is had by time", () => {
    const shown = changed("sort=latencyMs&currency=USD&min.amount=1", NEWEST.days);
    expect(shown).toBe("currency=USD&min.amount=1");
    expect(hurdle(changed("sort=amount&min.amount=1&max.amount=2", NEWEST.currencies))).toBeNull();
  });

  it("is of any length by time", () => expect([hurdle("", LONG), hurdle("sort=-startedAt", LONG)]).toEqual([null, null]));
});
