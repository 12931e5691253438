/** Refused rows, by reason and by hour. */

export interface RefusedRow {
  readonly hour: string;
  readonly source: string;
  readonly reason: string;
  readonly account?: string | null;
  readonly refused: string;
}

export interface ByReason {
  readonly reason: string;
  readonly refused: bigint;
  readonly sources: readonly string[];
  readonly accounts: readonly string[];
  readonly last: string;
}

/** One row for each reason, the most refused first. */
export function byReason(rows: readonly RefusedRow[]): ByReason[] {
  const found = new Map<string, RefusedRow[]>();
  for (const row of rows) found.set(row.reason, [...(found.get(row.reason) ?? []), row]);
  const unique = (values: readonly (string | null | undefined)[]) => [...new Set(values.flatMap((value) => value ?? []))].toSorted();
  return [...found]
    .map(([reason, of]) => ({
      reason,
      refused: of.reduce((sum, row) => sum + BigInt(row.refused), 0n),
      sources: unique(of.map((row) => row.source)),
      accounts: unique(of.map((row) => row.account)),
      last: of.map((row) => row.hour).reduce((one, other) => (one > other ? one : other)),
    }))
    .toSorted((one, other) => (one.refused < other.refused ? 1 : -1));
}
