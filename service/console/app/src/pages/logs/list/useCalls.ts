import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { CallFilter, CallPageQueryVariables } from "../../../api/gql/graphql";
import { ask } from "../../../api/ask";
import { firstProblem } from "../../../api/problem";
import { useSession } from "../../../session/SessionContext";
import { type Column, type Row, fieldFlags } from "./columns";
import { CallPage } from "../documents";
import { type Order, toOrderBy } from "./order";
import { Rows } from "./rows";

interface Calls {
  readonly rows: Rows<Row>;
  /** They are those of the filter, order or columns before: the first ones of what is wanted are awaited. */
  readonly stale: boolean;
}

/** The calls of a filter in an order, as far as they were looked at: `useLoaded` follows them. Those that are there stay
 * until the first ones of another filter have come, so that nothing blinks. */
export function useCalls(filter: CallFilter, order: Order, shown: readonly Column[]): Calls {
  const { client } = useSession();
  const { name, direction } = order;
  const flags = JSON.stringify(fieldFlags(shown));
  const rows = useMemo(() => {
    const given = { filter, orderBy: toOrderBy({ name, direction }), ...(JSON.parse(flags) as object) };
    return new Rows<Row>(async (after, first, signal) => {
      const variables = { ...given, after, first } as CallPageQueryVariables;
      const { data, error } = await ask(client, CallPage, variables, signal);
      const problem = firstProblem(error);
      if (problem !== null) return problem;
      const page = data?.calls;
      return { rows: page?.nodes ?? [], endCursor: page?.pageInfo.endCursor ?? null, hasNextPage: page?.pageInfo.hasNextPage ?? false };
    });
  }, [client, filter, name, direction, flags]);
  const [answered, setAnswered] = useState(rows);
  useEffect(() => {
    const forget = rows.subscribe(() => setAnswered(rows));
    rows.need(0, 0);
    return () => {
      forget();
      rows.end();
    };
  }, [rows]);
  return { rows: answered, stale: answered !== rows };
}

/** What shows them is drawn anew with each page of them, and nothing around it. */
export function useLoaded(rows: Rows<Row>): void {
  useSyncExternalStore(rows.subscribe, () => rows.version);
}
