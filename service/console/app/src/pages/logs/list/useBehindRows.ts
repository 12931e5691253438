import { useEffect, useState } from "react";
import type { CallFilter } from "../../../api/gql/graphql";

/** So long counts wait for rows: a filter that fits few calls may be looked for longer than it is counted. */
const PATIENCE_MS = 200;

/** The filter that menus and bars are asked for: another one once its first rows have come, since rows are what is waited
 * for, and sums that are asked for beside them hold them up. */
export function useBehindRows(filter: CallFilter, stale: boolean): CallFilter {
  const [asked, setAsked] = useState(filter);
  if (!stale && asked !== filter) setAsked(filter);
  useEffect(() => {
    if (!stale) return;
    const timer = setTimeout(() => setAsked(filter), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [filter, stale]);
  return asked;
}
