import { expect, it } from "vitest";
import { changed, linkTo, linkWithTime } from "../src/address/search";

it("changes what it is told, and nothing else", () => {
  expect(changed("?range=4h&model=a&model=b", { model: ["c"], call: "call_1", range: null })).toBe("model=c&call=call_1");
  expect(changed("model=a", { model: [] })).toBe("");
});

it("links to pages, with the time of this one", () => {
  expect(linkTo("logs")).toBe("/logs");
  expect(linkTo("logs", { model: "a b" })).toBe("/logs?model=a+b");
  expect(linkWithTime("costs", "?range=7d&model=x", { provider: "openai" })).toBe("/costs?range=7d&provider=openai");
});
