/** What went wrong, whoever has answered. */

import { CombinedError } from "@urql/core";
import { describe, expect, it } from "vitest";
import { firstProblem, isSignedOut } from "../src/api/problem";

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

  it("of the service has its code and request id", () => {
    const error = new CombinedError({ graphQLErrors: [{ message: "no", extensions: { code: "UNAUTHENTICATED", requestId: "r2" } }] });
    const problem = firstProblem(error);
    expect(problem).toEqual({ code: "UNAUTHENTICATED", message: "no", requestId: "r2" });
    expect(problem !== null && isSignedOut(problem)).toBe(true);
  });
});
