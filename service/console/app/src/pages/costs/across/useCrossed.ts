import { useMemo, useState } from "react";
import { useAddress } from "../../../address/address";
import type { CallFilter } from "../../../api/gql/graphql";
import type { Problem } from "../../../api/problem";
import { useAnswer } from "../../../api/useAnswer";
import { useFilter } from "../../../filter/useFilter";
import { useSession } from "../../../session/SessionContext";
import { CostGroups } from "../documents";
import { areOf, bothVariables, groupVariables, narrowed } from "../groups/dimension";
import { type Group, groupsOf } from "../groups/group";
import type { Costs } from "../useCosts";
import { type Crossed, type Crossing, crossedOf, otherDimension } from "./crossed";

const ROWS_MAX = 12;
const COLUMNS_MAX = 8;

interface Answered {
  /** The other dimension. */
  readonly across: string;
  /** Null: not answered yet. What was answered before stays until then. */
  readonly crossed: Crossed | null;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  again(): void;
}

/** What was not reported stands with the others: a filter names values. */
const dearest = (groups: readonly Group[], most: number) => groups.filter(({ value }) => value !== "").slice(0, most);
const valuesOf = (groups: readonly Group[]) => groups.map(({ value }) => value);

/** The dearest values of a dimension, in a currency. */
function useColumns(filter: CallFilter, name: string, currency: string, wanted: boolean) {
  const answer = useAnswer(CostGroups, { filter, ...groupVariables(name) }, { wanted });
  const nodes = answer.data?.costs?.nodes;
  const columns = useMemo(() => (nodes && areOf(nodes, name) ? dearest(groupsOf(nodes, name, currency), COLUMNS_MAX) : []), [nodes, name, currency]);
  return { answer, columns, none: nodes !== undefined && !answer.waiting && columns.length === 0 };
}

/** The table of these rows and columns; null: they or their cells are not known yet. */
function useCells(filter: CallFilter, rows: readonly Group[], columns: readonly Group[], total: string, crossing: Crossing, asked: boolean) {
  const { row, column, currency } = crossing;
  const known = asked && rows.length > 0 && columns.length > 0;
  const narrow = narrowed(narrowed(filter, row, valuesOf(rows)), column, valuesOf(columns));
  const answer = useAnswer(CostGroups, { filter: narrow, ...bothVariables(row, column) }, { wanted: known });
  const found = known && !answer.waiting ? answer.data?.costs?.nodes : undefined;
  const crossed = useMemo(
    () => (found && areOf(found, row) && areOf(found, column) ? crossedOf(found, rows, columns, total, { row, column, currency }) : null),
    [found, rows, columns, total, row, column, currency],
  );
  return { answer, crossed };
}

/** Costs by the dimension of the page and another one, of the dearest of each. */
export function useCrossed(costs: Costs, currency: string): Answered {
  const session = useSession();
  const [parameters] = useAddress();
  const { callFilter: filter } = useFilter();
  const { dimension: row, dimensions, groups } = costs;
  const column = otherDimension(parameters.get("across"), row, dimensions, session.accounts?.length === 1) ?? row;
  const { answer: columned, columns, none } = useColumns(filter, column, currency, column !== row);
  const rows = useMemo(() => dearest(groups, ROWS_MAX), [groups]);
  const asking = costs.answers.groups.waiting || columned.waiting;
  const { answer: celled, crossed } = useCells(filter, rows, columns, costs.total?.amount?.amount ?? "0", { row, column, currency }, !asking);
  // What was answered before stays until something newer is.
  const [shown, setShown] = useState(crossed);
  if (crossed !== null && crossed !== shown) setShown(crossed);
  return {
    across: column,
    crossed: none || rows.length === 0 ? null : (crossed ?? shown),
    problem: columned.problem ?? celled.problem,
    waiting: asking || celled.waiting,
    again: columned.problem ? columned.again : celled.again,
  };
}
