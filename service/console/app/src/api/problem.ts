/** What went wrong, by what a page does about it: `extensions.code`, never the message. */

import type { CombinedError } from "urql";

export interface Problem {
  /** `extensions.code` of docs/errors.md, `NETWORK` where nothing was answered, or `HTTP_403` where something else did. */
  readonly code: string;
  readonly message: string;
  /** For the operator, who finds the rest in the log by it. */
  readonly requestId: string | null;
}

interface Answered {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** An error of the answer. */
export function problemOf(error: Answered): Problem {
  const { code, requestId } = error.extensions ?? {};
  return {
    code: typeof code === "string" ? code : "INTERNAL",
    message: error.message,
    requestId: typeof requestId === "string" ? requestId : null,
  };
}

/** The first error of an operation; null: it went well. */
export function firstProblem(error: CombinedError | undefined): Problem | null {
  if (error === undefined) return null;
  const [first] = error.graphQLErrors;
  if (first !== undefined) return problemOf(first);
  const response = error.response as Response | undefined;
  const requestId = response?.headers?.get("x-request-id") ?? null;
  if (response === undefined || response.ok) return { code: "NETWORK", message: error.networkError?.message ?? error.message, requestId };
  // Whatever stands before the service has answered. Its page is for no reader of ours, and it knows nothing of keys.
  const { status, statusText } = response;
  return { code: BY_STATUS[status] ?? `HTTP_${status}`, message: `HTTP ${status} ${statusText}`.trim(), requestId };
}

const BY_STATUS: Readonly<Record<number, string>> = { 429: "THROTTLED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "TIMEOUT" };

/** Whether the credential has ended, so that somebody has to sign in again. */
export function isSignedOut(problem: Problem): boolean {
  return problem.code === "UNAUTHENTICATED";
}
