/** Money by two dimensions, in one currency: exact texts for the cells, and floats for their shades alone. */

import { difference, height, sum } from "../../../numbers/decimal";
import { DAY, type Key, valueOf } from "../groups/dimension";
import type { Group } from "../groups/group";

export interface CellRow {
  readonly amount?: { readonly amount: string; readonly currency: string } | null;
  readonly key: Key;
}

/** What is crossed with what: two dimensions, and the currency. */
export interface Crossing {
  readonly row: string;
  readonly column: string;
  readonly currency: string;
}

export interface Crossed extends Crossing {
  /** Values of the one dimension, the dearest first; null: all others together. */
  readonly rows: readonly (string | null)[];
  readonly columns: readonly (string | null)[];
  /** One for each row and column. */
  readonly cells: readonly (readonly string[])[];
  readonly rowTotals: readonly string[];
  readonly columnTotals: readonly string[];
  readonly total: string;
  /** The dearest cell that is not of all others. */
  readonly most: number;
}

const ZERO = "0";
const nothing = (amounts: readonly string[]) => amounts.every((amount) => height(amount) === 0);

/** The table of the dearest groups of each dimension; what `total` has beyond them stands with the others. */
export function crossedOf(found: readonly CellRow[], rows: readonly Group[], columns: readonly Group[], total: string, crossing: Crossing): Crossed {
  const place = (one: string, other: string) => JSON.stringify([one, other]);
  const amounts = new Map(
    found.flatMap(({ amount, key }) =>
      amount?.currency === crossing.currency ? [[place(valueOf(key, crossing.row), valueOf(key, crossing.column)), amount.amount] as const] : [],
    ),
  );
  const inner = rows.map((row) => columns.map((column) => amounts.get(place(row.value, column.value)) ?? ZERO));
  const most = Math.max(0, ...inner.flat().map(height));
  const rowTotals = rows.map(({ amount }) => amount);
  const columnTotals = columns.map(({ amount }) => amount);
  const beside = rowTotals.map((amount, at) => difference(amount, sum(inner[at] ?? [])));
  const below = columnTotals.map((amount, at) => difference(amount, sum(inner.map((cells) => cells[at] ?? ZERO))));
  const left = difference(total, sum(rowTotals));
  const corner = difference(left, sum(below));
  const wide = !nothing([...beside, corner]);
  const high = !nothing([...below, corner]);
  const cells = [...inner.map((row, at) => (wide ? [...row, beside[at] ?? ZERO] : row)), ...(high ? [wide ? [...below, corner] : below] : [])];
  return {
    ...crossing,
    rows: [...rows.map(({ value }) => value), ...(high ? [null] : [])],
    columns: [...columns.map(({ value }) => value), ...(wide ? [null] : [])],
    cells,
    rowTotals: high ? [...rowTotals, left] : rowTotals,
    columnTotals: wide ? [...columnTotals, difference(total, sum(columnTotals))] : columnTotals,
    total,
    most,
  };
}

/** How dark a cell is, from 0 to 1; what costs anything is never as light as nothing. */
export function shade(amount: string, most: number): number {
  const share = most > 0 ? height(amount) / most : 0;
  return share <= 0 ? 0 : Math.min(1, 0.08 + 0.92 * share);
}

/** Dimensions that are looked at first beside another one. */
const USUAL = ["model", "account", "apiKey", "provider"];

/** The other dimension: as asked, else the most usual one. Undefined: there is none. */
export function otherDimension(asked: string | null, dimension: string, dimensions: readonly string[], oneAccount: boolean): string | undefined {
  if (dimension === DAY) return undefined; // over time, the chart has its groups
  const others = dimensions.filter((name) => name !== dimension && name !== DAY);
  const usual = USUAL.filter((name) => !(oneAccount && name === "account"));
  return others.find((name) => name === asked) ?? usual.find((name) => others.includes(name)) ?? others[0];
}
