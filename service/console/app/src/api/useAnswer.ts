import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { useCallback, useEffect, useRef } from "react";
import { type AnyVariables, useQuery } from "urql";
import { useRange } from "../time/RangeContext";
import { type Problem, firstProblem } from "./problem";

export interface Answer<Data> {
  /** What was answered, with null for what failed; stays while something newer is asked for. */
  readonly data: Data | undefined;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  again(): void;
}

/** Asks a query, and again when its variables change or the page is refreshed. `wanted: false` does not ask (yet). */
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
  const { looks } = useRange();
  const text = JSON.stringify(variables);
  const asked = useRef({ looks, text });
  useEffect(() => {
    const before = asked.current;
    asked.current = { looks, text };
    // Other variables are asked for anyhow, such as a time that ends now.
    if (wanted && before.looks !== looks && before.text === text) again();
  }, [looks, text, wanted, again]);
  return { data, problem: firstProblem(error), waiting: fetching || stale, again };
}
