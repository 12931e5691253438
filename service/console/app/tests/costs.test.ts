/** What the Costs page works out of rows: exact, and one currency at a time. */

import { describe, expect, it } from "vitest";
import { DAY, areOf, bothVariables, governs, groupVariables, linkable, narrowed, timeOf, valueOf } from "../src/pages/costs/groups/dimension";
import { crossedOf, otherDimension, shade } from "../src/pages/costs/across/crossed";
import { type Group, cacheShare, changeOf, comparedModels, currenciesOf, groupsOf } from "../src/pages/costs/groups/group";
import { words } from "../src/pages/costs/words";
import { timelineOf } from "../src/pages/costs/timeline/timeline";

const amount = (text: string, currency = "USD") => ({ amount: text, currency });
const figures = { calls: "10", errors: "1", inputTokens: "900", outputTokens: "100", cacheReadTokens: "300" };

it("names a tag as it is written, within a sentence too", () => {
  expect(words.en.costsBy("Tag CostCenter", "USD")).toBe("Costs by tag CostCenter, USD");
  expect(words.en.crossed("Served model", "Tag CostCenter", "USD")).toBe("Costs by served model and tag CostCenter, USD");
});

describe("groups", () => {
  const rows = [
    { ...figures, amount: amount("0.1"), key: { currency: "USD", model: "a" } },
    { ...figures, amount: amount("0.2"), key: { currency: "USD", model: "b" } },
    { ...figures, amount: amount("5", "EUR"), key: { currency: "EUR", model: "a" } },
    { ...figures, amount: null, key: { currency: null, model: "c" } },
  ];

  it("are those of one currency, the dearest first, with their share of its sum", () => {
    const found = groupsOf(rows, "model", "USD");
    expect(found.map(({ value, amount: sum }) => [value, sum])).toEqual([["b", "0.2"], ["a", "0.1"]]);
    expect(found[1]?.share).toBeCloseTo(1 / 3, 12);
  });

  it("name currencies by their calls, and none for calls without an amount", () => {
    const totals = [{ ...figures, calls: "2", amount: amount("9") }, { ...figures, calls: "9", amount: null }, { ...figures, calls: "3", amount: amount("1", "CNY") }];
    expect(currenciesOf(totals)).toEqual(["CNY", "USD"]);
  });

  it("tell nothing of a share or change of nothing", () => {
    expect(cacheShare({ ...figures, inputTokens: "0" })).toBeNull();
    expect(cacheShare(figures)).toBeCloseTo(1 / 3, 12);
    expect([changeOf("3", "2"), changeOf("1", "0"), changeOf("1", null)]).toEqual([0.5, null, null]);
  });
});

describe("days", () => {
  const day = (number: number, text: string | null) => ({
    ...figures,
    amount: text === null ? null : amount(text),
    key: { currency: "USD", bucketStart: `2026-01-0${number}T00:00:00Z`, bucketEnd: `2026-01-0${number + 1}T00:00:00Z` },
  });

  it("stand in their order, each with its end, those without calls too", () => {
    const found = groupsOf([day(2, null), day(3, "9"), day(1, "1")], DAY, "USD");
    expect(found.map(({ value, end, amount: sum }) => [value.slice(8, 10), end?.slice(8, 10), sum])).toEqual([["01", "02", "1"], ["02", "03", "0"], ["03", "04", "9"]]);
  });

  it("are grouped by no field, narrow nothing, and are crossed with nothing", () => {
    expect(groupVariables(DAY)).toMatchObject({ groupBy: [], groupByTags: [], day: true, model: false });
    expect(narrowed({ status: { eq: "FAILED" } }, DAY, ["2026-01-01T00:00:00Z"])).toEqual({ status: { eq: "FAILED" } });
    expect([areOf([day(1, "1")], DAY), areOf([{ key: { model: "a" } }], DAY)]).toEqual([true, false]);
    expect(otherDimension(null, DAY, ["model", DAY, "account"], false)).toBeUndefined();
    expect(otherDimension(DAY, "model", ["model", DAY, "account"], false)).toBe("account");
  });

  it("lead to calls of the period alone, where it begins or ends within them", () => {
    const period = { from: "2026-01-01T10:00:00.000Z", to: "2026-01-03T09:00:00.000Z" };
    expect(timeOf("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", period)).toEqual({ range: null, from: period.from, to: "2026-01-02T00:00:00.000Z" });
    expect(timeOf("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", period)).toEqual({ range: null, from: "2026-01-03T00:00:00.000Z", to: period.to });
    expect(timeOf("2026-01-03T00:00:00Z", undefined, period)).toEqual({});
  });
});

describe("models at equal tokens", () => {
  it("cost what their calls did per token, for as many as all models had, the cheapest first", () => {
    const group = (value: string, sum: string, input: string, output: string): Group => ({
      value,
      amount: sum,
      share: null,
      row: { ...figures, inputTokens: input, outputTokens: output },
    });
    const found = comparedModels([group("dear", "6", "1000", "1000"), group("cheap", "0.3", "900", "100"), group("none", "1", "0", "0"), group("free", "0", "10", "10")]);
    expect(found.map(({ model, perMillion, forAll, outputShare }) => [model, perMillion, forAll, outputShare])).toEqual([
      ["cheap", "300", "0.906", 0.1],
      ["dear", "3000", "9.06", 0.5],
    ]);
  });
});

describe("timelines", () => {
  const bucket = (hour: number) => ({ bucketStart: `2026-01-01T0${hour}:00:00.000Z`, bucketEnd: `2026-01-01T0${hour + 1}:00:00.000Z` });
  const row = (hour: number, text: string | null, model?: string, currency = "USD") => ({
    amount: text === null ? null : amount(text, currency),
    key: { currency, ...bucket(hour), ...(model !== undefined && { model }) },
  });

  it("have each bucket in order, what is left for the others, exactly, and the period before by place", () => {
    const all = [row(1, "0.3"), row(0, "1"), row(2, null), row(0, "7", undefined, "EUR")];
    const shown = [row(0, "1", "a"), row(1, "0.1", "a"), row(0, "7", "a", "EUR")];
    const found = timelineOf(all, shown, [row(4, "2"), row(5, "0")], { name: "model", values: ["a"], currency: "USD" });
    expect(found.edges).toEqual(["2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z", "2026-01-01T02:00:00.000Z", "2026-01-01T03:00:00.000Z"]);
    expect(found.lines).toEqual([{ value: "a", amounts: ["1", "0.1", "0"] }, { value: null, amounts: ["0", "0.2", "0"] }]);
    expect(found.totals).toEqual(["1", "0.3", "0"]);
    expect(found.before).toEqual(["2", "0", "0"]);
  });

  it("have no line of others where nothing is left, and no period before where none is known", () => {
    const found = timelineOf([row(0, "1")], [row(0, "1", "a")], null, { name: "model", values: ["a"], currency: "USD" });
    expect(found.lines.map((line) => line.value)).toEqual(["a"]);
    expect(found.before).toBeNull();
  });
});

describe("two dimensions", () => {
  const group = (value: string, sum: string): Group => ({ value, amount: sum, share: null, row: figures });
  const cell = (model: string, account: string, sum: string, currency = "USD") => ({ amount: amount(sum, currency), key: { currency, model, account } });
  const crossing = { row: "model", column: "account", currency: "USD" };

  it("are crossed exactly, in one currency, with all that is left in a row and a column of others", () => {
    const cells = [cell("a", "x", "0.1"), cell("a", "y", "0.2"), cell("b", "x", "0.4"), cell("b", "x", "9", "EUR")];
    const found = crossedOf(cells, [group("b", "0.5"), group("a", "0.3")], [group("x", "0.7"), group("y", "0.2")], "1.4", crossing);
    expect(found.rows).toEqual(["b", "a", null]);
    expect(found.columns).toEqual(["x", "y", null]);
    expect(found.cells).toEqual([["0.4", "0", "0.1"], ["0.1", "0.2", "0"], ["0.2", "0", "0.4"]]);
    expect([found.rowTotals, found.columnTotals, found.total, found.most]).toEqual([["0.5", "0.3", "0.6"], ["0.7", "0.2", "0.5"], "1.4", 0.4]);
  });

  it("have no others where nothing is left", () => {
    const found = crossedOf([cell("a", "x", "0.1")], [group("a", "0.1")], [group("x", "0.1")], "0.1", crossing);
    expect([found.rows, found.columns, found.cells]).toEqual([["a"], ["x"], [["0.1"]]]);
  });

  it("are darker the more money there is, and nothing is as light as nothing", () => {
    expect([shade("0", 5), shade("-1", 5), shade("5", 5), shade("1", 0)]).toEqual([0, 0, 1, 0]);
    expect(shade("0.000001", 5)).toBeGreaterThan(0.05);
  });

  it("are another than the first, as asked or the most usual one", () => {
    const dimensions = ["model", "account", "apiKey", "tag.team"];
    expect(otherDimension("tag.team", "model", dimensions, false)).toBe("tag.team");
    expect(otherDimension("model", "model", dimensions, false)).toBe("account");
    expect(otherDimension(null, "model", dimensions, true)).toBe("apiKey");
    expect(otherDimension(null, "model", ["model"], false)).toBeUndefined();
    expect(bothVariables("tag.a", "tag.b")).toMatchObject({ groupBy: [], groupByTags: ["a", "b"], tags: true });
    expect(bothVariables("model", "account")).toMatchObject({ groupBy: ["MODEL", "ACCOUNT"], model: true, account: true, tags: false });
    const tags = [{ key: "a", value: "1" }, { key: "b", value: "2" }];
    expect([valueOf({ tags }, "tag.a"), valueOf({ tags }, "tag.b"), valueOf({ tags }, "tag.c")]).toEqual(["1", "2", ""]);
  });
});

describe("dimensions", () => {
  it("group by a field or by a tag, and narrow the filter to values of it", () => {
    const filter = { status: { eq: "FAILED" as const } };
    expect(groupVariables("apiKey")).toMatchObject({ groupBy: ["API_KEY"], groupByTags: [], apiKey: true, model: false, tags: false });
    expect(groupVariables("tag.team")).toMatchObject({ groupBy: [], groupByTags: ["team"], tags: true });
    expect(narrowed(filter, "model", ["a"])).toEqual({ and: [filter, { model: { in: ["a"] } }] });
    expect(narrowed(filter, "tag.team", ["x"])).toEqual({ and: [filter, { tags: [{ key: "team", value: { in: ["x"] } }] }] });
    expect([governs("tag.team"), governs("apiKey"), governs("nothing")]).toEqual(["Call.tags", "Call.apiKey", ""]);
  });

  it("know rows that are grouped by another", () => {
    expect([areOf([{ key: { model: null } }], "model"), areOf([{ key: { provider: "p" } }], "model"), areOf([], "model")]).toEqual([true, false, true]);
    expect([areOf([{ key: { tags: [{ key: "t" }] } }], "tag.t"), areOf([{ key: { tags: [{ key: "u" }] } }], "tag.t")]).toEqual([true, false]);
  });

  it("read the value of a row, and link to no calls that a filter cannot name", () => {
    expect([valueOf({ model: "a" }, "model"), valueOf({ model: null }, "model"), valueOf({ tags: [{ key: "t", value: "v" }] }, "tag.t")]).toEqual(["a", "", "v"]);
    expect([linkable("model", ""), linkable("tag.t", ""), linkable("tag.t", "v"), linkable("status", "")]).toEqual([true, false, true, false]);
  });
});
