import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { useCallback } from "react";
import { type AnyVariables, useQuery } from "urql";
import { type Problem, firstProblem } from "./problem";

export interface Answer<Data> {
  /** What was answered, with null for what failed; stays while something newer is asked for. */
  readonly data: Data | undefined;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  again(): void;
}

/** Asks a query, and again when its variables change. `wanted: false` does not ask (yet). */
export function useAnswer<Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { wanted = true }: { wanted?: boolean } = {},
): Answer<Data> {
  const [{ data, error, fetching, stale }, ask] = useQuery<Data, Variables>({
    query: document,
    variables,
    pause: !wanted,
  } as Parameters<typeof useQuery<Data, Variables>>[0]);
  const again = useCallback(() => ask({ requestPolicy: "network-only" }), [ask]);
  return { data, problem: firstProblem(error), waiting: fetching || stale, again };
}
