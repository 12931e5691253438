import type { CallOrder } from "../../../api/gql/graphql";
import { COLUMNS } from "./columns";

/** The order of the list: a column, and down or up. */
export interface Order {
  readonly name: string;
  readonly direction: "ASC" | "DESC";
}

/** What an address says of the list alone: a link to another page goes without it. */
export const OF_LIST = { call: null, columns: null, sort: null, live: null } as const;

export const NEWEST_FIRST: Order = { name: "startedAt", direction: "DESC" };
export const OLDEST_FIRST: Order = { name: "startedAt", direction: "ASC" };

/** The order of an address (`sort=amount`, `sort=-amount` for the least first); what is none is newest first. */
export function orderOf(text: string | null): Order {
  const name = text?.replace(/^-/, "") ?? "";
  if (!COLUMNS.some((column) => column.name === name && column.order !== undefined)) return NEWEST_FIRST;
  return { name, direction: text?.startsWith("-") ? "ASC" : "DESC" };
}

/** As the address has it; null: newest first, which needs no words. */
export function textOf({ name, direction }: Order): string | null {
  if (name === NEWEST_FIRST.name && direction === NEWEST_FIRST.direction) return null;
  return direction === "ASC" ? `-${name}` : name;
}

/** As the service takes it. */
export function toOrderBy({ name, direction }: Order): CallOrder[] {
  const field = COLUMNS.find((column) => column.name === name)?.order;
  return field === undefined ? [] : [{ field, direction }];
}
