import { expect, it } from "vitest";
import { type TraceCall, nested } from "../src/pages/logs/call/nesting";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const call = (id: string, more: Partial<TraceCall> = {}): TraceCall => ({ id, model: "a", status: "SUCCEEDED", sourceId: `${TRACE}/${id}`, ...more });
const said = (calls: readonly TraceCall[]) => nested(calls).map(({ call: one, depth, within, kind }) => [one.id, depth, within?.id ?? null, kind]);

it("puts a call behind the one that it is a part of, in whatever order they came", () => {
  expect(said([call("embedding", { parentSpanId: "chat" }), call("inner", { parentSpanId: "embedding" }), call("chat", { parentSpanId: "agent" }), call("next", { parentSpanId: "agent" })])).toEqual([
    ["chat", 0, null, null],
    ["embedding", 1, "chat", null],
    ["inner", 2, "embedding", null],
    ["next", 0, null, null],
  ]);
});

it("knows retries, fallbacks and caches among the parts of one call", () => {
  expect(
    said([
      call("router"),
      call("first", { parentSpanId: "router", status: "FAILED", operation: "chat" }),
      call("embedding", { parentSpanId: "router", operation: "embeddings" }),
      call("second", { parentSpanId: "router", status: "FAILED", operation: "chat" }),
      call("third", { parentSpanId: "router", model: "b", operation: "chat" }),
      call("fourth", { parentSpanId: "router", model: "b", operation: "chat" }),
      call("cached", { parentSpanId: "router", cacheHit: true }),
    ]).map(([id, , , kind]) => [id, kind]),
  ).toEqual([["router", null], ["first", null], ["embedding", null], ["second", "retry"], ["third", "fallback"], ["fourth", null], ["cached", "fromCache"]]);
});

it("shows retries of gateways that report no spans beside each other", () => {
  const of = (id: string, more: Partial<TraceCall>) => call(id, { sourceId: id, ...more });
  expect(said([of("1", { status: "FAILED" }), of("2", { attempt: 2 }), of("3", { attempt: 3, model: "b" })])).toEqual([
    ["1", 0, null, null],
    ["2", 0, null, "retry"],
    ["3", 0, null, "fallback"],
  ]);
});

it("loses none of those that name each other, or themselves, as parents", () => {
  const ids = (calls: readonly TraceCall[]) => said(calls).map(([id]) => id).toSorted();
  expect(ids([call("x", { parentSpanId: "y" }), call("y", { parentSpanId: "x" }), call("z", { parentSpanId: "z" }), call("w", { parentSpanId: "z" })])).toEqual(["w", "x", "y", "z"]);
  expect(said([call("a", { sourceId: "id/" }), call("b", { parentSpanId: "" }), call("c", {})]).map(([, depth]) => depth)).toEqual([0, 0, 0]);
  expect(said([call("a", { sourceId: null, parentSpanId: "b" }), call("b", { sourceId: null })])).toEqual([["a", 0, null, null], ["b", 0, null, null]]);
});
