/** The address of the page is the state of the page: what is filtered, which time, which call is open.
 *
 * Routes have one segment behind the console's own path, so that relative assets are found under any prefix. */

import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";

/** The path of the console, without a slash at the end: `/console`, or `/some/prefix/console`. */
export const CONSOLE_PATH = new URL(".", document.baseURI).pathname.replace(/\/$/, "");

/** Where the service answers GraphQL, beside the console. */
export const GRAPHQL_URL = new URL("../graphql", document.baseURI).href;

export type Change = Readonly<Record<string, string | readonly string[] | null>>;

/** What all pages share: time, and the filter. A link from page to page takes the former along. */
export const SHARED = ["range", "from", "to"] as const;

/** A search string with these parameters changed: null and an empty list take one out. Others keep their order. */
export function changed(search: string, change: Change): string {
  const parameters = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    parameters.delete(name);
    if (value === null) continue;
    for (const one of typeof value === "string" ? [value] : value) parameters.append(name, one);
  }
  return parameters.toString();
}

/** A path and its search, of a page of the console. */
export function linkTo(page: string, search: string | Change = ""): string {
  const text = typeof search === "string" ? search : changed("", search);
  return text === "" ? `/${page}` : `/${page}?${text}`;
}

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
