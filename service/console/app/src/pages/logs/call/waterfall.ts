/** Attempts of one request beside each other in time. */

export interface Attempt {
  readonly id: string;
  readonly startedAt: string;
  readonly latencyMs?: number | null;
  readonly timeToFirstTokenMs?: number | null;
}

export interface Span {
  /** Shares of the whole width, 0 to 1. */
  readonly left: number;
  readonly width: number;
  /** Where the first token came, as a share of the span; null: it is not known. */
  readonly firstToken: number | null;
}

/** Where each attempt lies between the beginning of the first and the end of the last, and how long that is in ms. */
export function waterfall(attempts: readonly Attempt[]): { readonly spans: readonly Span[]; readonly totalMs: number } {
  const starts = attempts.map(({ startedAt }) => Date.parse(startedAt));
  const ends = attempts.map(({ latencyMs }, index) => (starts[index] ?? 0) + (latencyMs ?? 0));
  const begin = Math.min(...starts);
  const totalMs = Math.max(1, Math.max(...ends) - begin);
  const spans = attempts.map(({ latencyMs, timeToFirstTokenMs }, index) => ({
    left: ((starts[index] ?? 0) - begin) / totalMs,
    width: (latencyMs ?? 0) / totalMs,
    firstToken: latencyMs && timeToFirstTokenMs != null ? Math.min(1, timeToFirstTokenMs / latencyMs) : null,
  }));
  return { spans, totalMs: attempts.length === 0 ? 0 : totalMs };
}
