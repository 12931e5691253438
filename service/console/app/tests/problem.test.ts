/** What went wrong, whoever has answered. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CombinedError } from "@urql/core";
import { describe, expect, it } from "vitest";
import { firstProblem, isSignedOut } from "../src/api/problem";
import { words } from "../src/parts/words";

const answered = (status: number, statusText: string) =>
  new CombinedError({
    networkError: new Error("<html><h1>502 Bad Gateway</h1> nginx"),
    response: new Response("", { status, statusText, headers: { "x-request-id": "r1" } }),
  });

describe("a problem", () => {
  it("of a proxy is told by its status, not by its page, and signs nobody out", () => {
    expect(firstProblem(answered(502, "Bad Gateway"))).toEqual({ code: "UNAVAILABLE", message: "HTTP 502 Bad Gateway", requestId: "r1" });
    expect([429, 504, 500, 401].map((status) => firstProblem(answered(status, ""))?.code)).toEqual(["THROTTLED", "TIMEOUT", "HTTP_500", "HTTP_401"]);
    expect(isSignedOut(firstProblem(answered(401, "Unauthorized")) ?? { code: "", message: "", requestId: null })).toBe(false);
  });

  it("is one of the network where nobody has answered, or not to the end", () => {
    expect(firstProblem(new CombinedError({ networkError: new TypeError("Failed to fetch") }))?.code).toBe("NETWORK");
    expect(firstProblem(answered(200, "OK"))?.code).toBe("NETWORK");
    expect(firstProblem(undefined)).toBeNull();
  });

  it("has words of its own in each language, whichever code of docs/errors.md it has", () => {
    const [, graphql = ""] = readFileSync(join(import.meta.dirname, "../../../../docs/errors.md"), "utf-8").split("## GraphQL");
    const codes = [...graphql.matchAll(/^\| `([A-Z_]+)` \| \d{3} /gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(15);
    for (const { problem } of [words.en, words["zh-CN"]]) expect(codes.filter((code) => !((code ?? "") in problem))).toEqual([]);
  });

  it("of the service has its code and request id", () => {
    const error = new CombinedError({ graphQLErrors: [{ message: "no", extensions: { code: "UNAUTHENTICATED", requestId: "r2" } }] });
    const problem = firstProblem(error);
    expect(problem).toEqual({ code: "UNAUTHENTICATED", message: "no", requestId: "r2" });
    expect(problem !== null && isSignedOut(problem)).toBe(true);
  });
});
