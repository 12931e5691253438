/** Money over time, in one currency: exact texts for the table, and floats for the heights of bars alone. */

import { difference, height, sum } from "../../../numbers/decimal";
import { type Key, valueOf } from "../groups/dimension";

export interface TimedRow {
  readonly amount?: { readonly amount: string; readonly currency: string } | null;
  readonly key: Key & { readonly bucketStart?: string | null; readonly bucketEnd?: string | null };
}

export interface Line {
  /** A value of the dimension; null: all others together. */
  readonly value: string | null;
  /** One for each bucket. */
  readonly amounts: readonly string[];
}

export interface Timeline {
  /** Starts of the buckets, and the end of the last one. */
  readonly edges: readonly string[];
  readonly lines: readonly Line[];
  /** All of a bucket. */
  readonly totals: readonly string[];
  /** All of the bucket of the same place in the period before; null: not known. */
  readonly before: readonly string[] | null;
}

const ZERO = "0";

function ofCurrency(rows: readonly TimedRow[], currency: string): readonly TimedRow[] {
  return rows.filter((row) => row.key.currency === currency);
}

/** Edges of the buckets of rows, whatever their currency. */
export function edgesOf(rows: readonly TimedRow[]): string[] {
  const ends = new Map(rows.flatMap(({ key }) => (key.bucketStart && key.bucketEnd ? [[key.bucketStart, key.bucketEnd] as const] : [])));
  const starts = [...ends.keys()].toSorted((one, other) => Date.parse(one) - Date.parse(other));
  const last = starts.at(-1);
  return last === undefined ? [] : [...starts, ends.get(last) ?? last];
}

function totalsOf(rows: readonly TimedRow[], edges: readonly string[], currency: string): string[] {
  const found = new Map(ofCurrency(rows, currency).map((row) => [row.key.bucketStart, row.amount?.amount ?? ZERO]));
  return edges.slice(0, -1).map((start) => found.get(start) ?? ZERO);
}

/** The timeline of `values` of a dimension, and of all others together where they come to anything. */
export function timelineOf(
  all: readonly TimedRow[],
  shown: readonly TimedRow[],
  before: readonly TimedRow[] | null,
  { name, values, currency }: { name: string; values: readonly string[]; currency: string },
): Timeline {
  const edges = edgesOf(all);
  const totals = totalsOf(all, edges, currency);
  const found = new Map(
    ofCurrency(shown, currency).map((row) => [`${row.key.bucketStart}|${valueOf(row.key, name)}`, row.amount?.amount ?? ZERO]),
  );
  const lines: Line[] = values.map((value) => ({
    value,
    amounts: edges.slice(0, -1).map((start) => found.get(`${start}|${value}`) ?? ZERO),
  }));
  const others = totals.map((total, index) => difference(total, sum(lines.map((line) => line.amounts[index] ?? ZERO))));
  if (others.some((amount) => height(amount) !== 0)) lines.push({ value: null, amounts: others });
  const earlier = before === null ? null : totalsOf(before, edgesOf(before), currency);
  return { edges, lines, totals, before: earlier && totals.map((_, index) => earlier[index] ?? ZERO) };
}
