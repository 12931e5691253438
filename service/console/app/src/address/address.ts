/** The address of the page is the state of the page: what is filtered, which time, which call is open. */

import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { type Change, changed } from "./search";

/** The path of the console, without a slash at the end: `/console`, or `/some/prefix/console`. */
export const CONSOLE_PATH = new URL(".", document.baseURI).pathname.replace(/\/$/, "");

/** Where the service answers GraphQL, beside the console. */
export const GRAPHQL_URL = new URL("../graphql", document.baseURI).href;

/** Whether GraphiQL is there too: the service says so, where it serves it. */
export const HAS_GRAPHIQL = document.querySelector('meta[name="graphiql"]') !== null;

/** The parameters of the address, and how to change some of them: a step of the history unless it is replaced. */
export function useAddress(): [URLSearchParams, (change: Change, how?: { replace?: boolean }) => void] {
  const search = useSearch();
  const [path, go] = useLocation();
  const parameters = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback(
    (wanted: Change, how: { replace?: boolean } = {}) => {
      const next = changed(location.search, wanted);
      if (next !== location.search.replace(/^\?/, "")) go(next === "" ? path : `${path}?${next}`, how);
    },
    [go, path],
  );
  return [parameters, change];
}
