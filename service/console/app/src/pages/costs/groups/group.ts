/** Rows of one currency, the dearest first, each beside the whole. */

import { compare, proportional, shareOf, sum } from "../../../numbers/decimal";
import { DAY, type Key, valueOf } from "./dimension";

export interface FigureRow {
  readonly calls: string;
  readonly errors: string;
  readonly inputTokens?: string;
  readonly outputTokens?: string;
  readonly cacheReadTokens?: string;
  readonly tokenEfficiency?: number | null;
  readonly amount?: { readonly amount: string; readonly currency: string } | null;
  readonly averageCost?: string | null;
  readonly costPerThousandOutputTokens?: string | null;
  readonly wastedOnFailures?: string | null;
  readonly estimatedShare?: number | null;
  readonly callsWithoutAmount?: string | null;
}

export interface Group {
  readonly value: string;
  readonly amount: string;
  /** Of all that is shown; null: that came to nothing. */
  readonly share: number | null;
  readonly row: FigureRow;
  /** Of a day: its end. */
  readonly end?: string;
}

/** Currencies of totals, that of the most calls first. */
export function currenciesOf(totals: readonly FigureRow[]): string[] {
  return totals
    .toSorted((one, other) => Number(other.calls) - Number(one.calls))
    .flatMap((total) => total.amount?.currency ?? []);
}

/** The groups of a currency: days in their order, others the dearest first. */
export function groupsOf(rows: readonly (FigureRow & { readonly key: Key })[], name: string, currency: string): Group[] {
  // A day without calls has no amount, and is a day all the same.
  const isOf = (row: (typeof rows)[number]) => (name === DAY ? row.key.currency : row.amount?.currency) === currency;
  const found = rows.filter(isOf).map((row) => ({ row, amount: row.amount?.amount ?? "0" }));
  const whole = sum(found.map(({ amount }) => amount));
  const groups = found.map(({ row, amount }) => {
    const end = row.key["bucketEnd"];
    return { value: valueOf(row.key, name), amount, share: shareOf(amount, whole), row, ...(typeof end === "string" && { end }) };
  });
  if (name === DAY) return groups.toSorted((one, other) => Date.parse(one.value) - Date.parse(other.value));
  return groups.toSorted((one, other) => compare(other.amount, one.amount));
}

/** Input tokens that were read from a cache, of all input tokens. */
export function cacheShare(row: FigureRow): number | null {
  if (row.inputTokens === undefined || row.cacheReadTokens === undefined) return null;
  return shareOf(row.cacheReadTokens, row.inputTokens);
}

/** How an amount differs from that of the period before, as a part of it; null: there was none. */
export function changeOf(now: string, before: string | null | undefined): number | null {
  if (before == null) return null;
  const share = shareOf(now, before);
  return share === null ? null : share - 1;
}

export interface Compared {
  readonly model: string;
  readonly tokens: string;
  /** Output tokens of all its tokens: a model that answers at length is dearer by itself. */
  readonly outputShare: number | null;
  /** Calls that failed, of all its calls. */
  readonly failed: number | null;
  readonly perMillion: string;
  /** What all tokens of the period would have come to by this model. */
  readonly forAll: string;
}

const MILLION = "1000000";

/** Models by what the same number of tokens costs with each, the cheapest first. One that cost nothing has calls that
 * failed or that a cache answered, and says nothing of its price. */
export function comparedModels(groups: readonly Group[]): Compared[] {
  const all = sum(groups.map(({ row }) => tokensOf(row)));
  return groups
    .flatMap(({ value, amount, row }) => {
      const tokens = tokensOf(row);
      const perMillion = proportional(amount, tokens, MILLION);
      const forAll = proportional(amount, tokens, all);
      if (perMillion === null || forAll === null || compare(amount, "0") === 0) return [];
      return [{ model: value, tokens, outputShare: shareOf(row.outputTokens ?? "0", tokens), failed: shareOf(row.errors, row.calls), perMillion, forAll }];
    })
    .toSorted((one, other) => compare(one.perMillion, other.perMillion));
}

function tokensOf(row: FigureRow): string {
  return sum([row.inputTokens ?? "0", row.outputTokens ?? "0"]);
}
