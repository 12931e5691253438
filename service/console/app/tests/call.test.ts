import { expect, it } from "vitest";
import { bucketAt, stacked } from "../src/charts/stack";
import { compact, count, duration, percent } from "../src/numbers/figures";
import { piecesOf } from "../src/calls/masks";
import { waterfall } from "../src/pages/logs/call/waterfall";
import { barsOf } from "../src/pages/logs/histogram/bars";
import { SHOWN_AT_FIRST, columnsOf, COLUMNS } from "../src/pages/logs/list/columns";
import { NEWEST_FIRST, orderOf, textOf, toOrderBy } from "../src/pages/logs/list/order";
import { added, viewsOf, without } from "../src/pages/logs/views/views";

it("marks what was taken out of a message, by its rule", () => {
  expect(piecesOf("key [redacted:openai-key] of [redacted:email]")).toEqual([
    { text: "key ", rule: null },
    { text: "[redacted:openai-key]", rule: "openai-key" },
    { text: " of ", rule: null },
    { text: "[redacted:email]", rule: "email" },
  ]);
  expect(piecesOf("[redacted:<b>]")).toEqual([{ text: "[redacted:<b>]", rule: null }]);
});

it("puts attempts beside each other in time", () => {
  const at = (ms: number) => new Date(Date.parse("2026-11-29T12:00:00Z") + ms).toISOString();
  const { spans, totalMs } = waterfall([
    { id: "a", startedAt: at(0), latencyMs: 200 },
    { id: "b", startedAt: at(300), latencyMs: 700, timeToFirstTokenMs: 350 },
    { id: "c", startedAt: at(500), latencyMs: null },
  ]);
  expect(totalMs).toBe(1000);
  expect(spans).toEqual([
    { left: 0, width: 0.2, firstToken: null },
    { left: 0.3, width: 0.7, firstToken: 0.5 },
    { left: 0.5, width: 0, firstToken: null },
  ]);
  expect(waterfall([]).totalMs).toBe(0);
});

it("adds up the rows of a bucket over its currencies", () => {
  const row = (start: string, end: string, calls: string, errors: string) => ({ key: { bucketStart: start, bucketEnd: end }, calls, errors });
  expect(barsOf([row("T01", "T02", "5", "1"), row("T00", "T01", "2", "0"), row("T01", "T02", "3", "1")].map(({ key, ...rest }) => ({
    key: { bucketStart: key.bucketStart.replace("T", "2026-11-29T") + ":00:00Z", bucketEnd: key.bucketEnd.replace("T", "2026-11-29T") + ":00:00Z" },
    ...rest,
  })))).toEqual({
    edges: ["2026-11-29T00:00:00Z", "2026-11-29T01:00:00Z", "2026-11-29T02:00:00Z"],
    succeeded: [2, 6],
    failed: [0, 2],
  });
});

it("stacks series, and finds the bucket of a moment", () => {
  expect(stacked([[1, 2], [3, 4], [0, 1]])).toEqual([[1, 2], [4, 6], [4, 7]]);
  expect([-1, 0, 5, 10, 99].map((moment) => bucketAt([0, 10, 20], moment))).toEqual([-1, 0, 0, 1, 2]);
});

it("knows the columns and the order of an address", () => {
  const names = (text: string | null) => columnsOf(text, COLUMNS).map((column) => column.name);
  expect(names(null)).toEqual(SHOWN_AT_FIRST);
  expect(names("model,colour,model,id")).toEqual(["model", "id"]);
  expect(names("colour")).toEqual(SHOWN_AT_FIRST);
  expect(orderOf("colour")).toEqual(NEWEST_FIRST);
  expect(orderOf("model")).toEqual(NEWEST_FIRST);
  for (const text of ["amount", "-latencyMs", "-startedAt"]) expect(textOf(orderOf(text))).toBe(text);
  expect(textOf(NEWEST_FIRST)).toBeNull();
  expect(toOrderBy(orderOf("-latencyMs"))).toEqual([{ field: "LATENCY", direction: "ASC" }]);
});

it("keeps views under their names, without the open call", () => {
  const views = added(added([], "  Failures ", "?range=4h&status=FAILED&call=call_1"), "All", "");
  expect(viewsOf(JSON.stringify(views))).toEqual([
    { name: "Failures", search: "range=4h&status=FAILED" },
    { name: "All", search: "" },
  ]);
  expect(added(views, "All", "range=7d").map((view) => view.search)).toEqual(["range=4h&status=FAILED", "range=7d"]);
  expect(without(views, "All")).toHaveLength(1);
  for (const broken of ["{", "1", '[{"name":1}]', "null"]) expect(viewsOf(broken)).toEqual([]);
});

it("writes figures as people read them", () => {
  expect([count(1234567), count("9007199254740993"), compact(12345)]).toEqual(["1,234,567", "9,007,199,254,740,993", "12.3K"]);
  expect([0, 0.0004, 0.05, 0.5].map(percent)).toEqual(["0%", "<0.1%", "5.0%", "50%"]);
  expect([820, 1240, 12_340, 125_000].map(duration)).toEqual(["820 ms", "1.24 s", "12.3 s", "2 min 5 s"]);
});
