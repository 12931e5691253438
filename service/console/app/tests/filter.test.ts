import { describe, expect, it } from "vitest";
import { changed } from "../src/address/search";
import { governsOf } from "../src/filter/fields";
import { chosen, filterOf, isEmpty, namesOf, toCallFilter, withoutFilter } from "../src/filter/filter";

const PERIOD = { from: "2026-11-29T00:00:00.000Z", to: "2026-11-30T00:00:00.000Z" };
const TIME = { startedAt: { gte: PERIOD.from, lt: PERIOD.to } };
const asked = (search: string) => toCallFilter(filterOf(new URLSearchParams(search)), PERIOD);

describe("the filter of an address", () => {
  it.each([
    ["", TIME],
    ["model=a&model=b", { ...TIME, model: { in: ["a", "b"] } }],
    ["not.model=a&model=b", { ...TIME, model: { in: ["b"], notIn: ["a"] } }],
    ["currency=USD", { ...TIME, currency: { eq: "USD" } }],
    ["currency=USD&currency=EUR", { ...TIME, currency: { in: ["USD", "EUR"] } }],
    ["provider=", { ...TIME, provider: { isNull: true } }],
    ["not.provider=", { ...TIME, provider: { isNull: false } }],
    ["provider=&provider=x", { ...TIME, and: [{ or: [{ provider: { in: ["x"] } }, { provider: { isNull: true } }] }] }],
    ["status=FAILED", { ...TIME, status: { in: ["FAILED"] } }],
    ["streamed=true", { ...TIME, streamed: { eq: true } }],
    ["not.streamed=true", { ...TIME, streamed: { eq: false } }],
    ["streamed=false", { ...TIME, streamed: { eq: false } }],
    ["user=usr_1", { ...TIME, user: { pseudonym: ["usr_1"] } }],
    ["tag.team=search", { ...TIME, tags: [{ key: "team", value: { in: ["search"] } }] }],
    ["not.tag.team=search", { ...TIME, and: [{ not: { tags: [{ key: "team", value: { in: ["search"] } }] } }] }],
    ["min.latencyMs=1000&max.amount=0.5", { ...TIME, latencyMs: { gte: 1000 }, amount: { lte: "0.5" } }],
    ["min.latencyMs=x&max.latencyMs=99999999999&colour=red&call=call_1", TIME],
  ])("%s", (search, filter) => expect(asked(search)).toEqual(filter));

  it("is taken out as a whole, and nothing else with it", () => {
    const search = "range=4h&model=a&not.tag.team=b&min.latencyMs=1&call=call_1&columns=id";
    expect(changed(search, withoutFilter(new URLSearchParams(search)))).toBe("range=4h&call=call_1&columns=id");
    expect(isEmpty(filterOf(new URLSearchParams("range=4h")))).toBe(true);
    expect(isEmpty(filterOf(new URLSearchParams(search)))).toBe(false);
  });

  it("has a value in, out, or neither", () => {
    const step = (search: string, how: "is" | "not" | null) => changed(search, chosen(new URLSearchParams(search), "model", "a", how));
    expect(step("", "is")).toBe("model=a");
    expect(step("model=a&model=b", "not")).toBe("model=b&not.model=a");
    expect(step("model=b&not.model=a", null)).toBe("model=b");
  });

  it("takes no more values than the service does", () => {
    const many = Array.from({ length: 200 }, (_, number) => `model=${number}`).join("&");
    expect((asked(many).model?.in ?? []).length).toBe(50);
  });
});

it("the names of a filter lead to what governs each, so that a role is not asked for what it does not see", () => {
  const names = namesOf(filterOf(new URLSearchParams("user=u&not.model=a&tag.team=x&min.latencyMs=5&min.amount=1&nothing=1")));
  expect(names.map((name) => [name, governsOf(name)])).toEqual([
    ["model", "Call.model"],
    ["user", "Call.user"],
    ["tag.team", "Call.tags"],
    ["latencyMs", "Call.latencyMs"],
    ["amount", "Amount.amount"],
  ]);
});
