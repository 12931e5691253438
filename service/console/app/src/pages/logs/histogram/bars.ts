/** The bars of the histogram, of rows that are of one currency each. */

interface BucketRow {
  readonly key: { readonly bucketStart?: string | null; readonly bucketEnd?: string | null };
  readonly calls: string;
  readonly errors: string;
}

export interface Bars {
  /** Starts of the buckets in order, and the end of the last one. */
  readonly edges: readonly string[];
  readonly succeeded: readonly number[];
  readonly failed: readonly number[];
}

/** One bar for each bucket: its rows of all currencies added up. */
export function barsOf(rows: readonly BucketRow[]): Bars {
  const buckets = new Map<string, { end: string; calls: number; errors: number }>();
  for (const { key, calls, errors } of rows) {
    if (key.bucketStart == null || key.bucketEnd == null) continue;
    const found = buckets.get(key.bucketStart) ?? { end: key.bucketEnd, calls: 0, errors: 0 };
    found.calls += Number(calls);
    found.errors += Number(errors);
    buckets.set(key.bucketStart, found);
  }
  const sorted = [...buckets].toSorted(([one], [other]) => Date.parse(one) - Date.parse(other));
  const last = sorted.at(-1);
  return {
    edges: [...sorted.map(([start]) => start), ...(last ? [last[1].end] : [])],
    succeeded: sorted.map(([, bucket]) => bucket.calls - bucket.errors),
    failed: sorted.map(([, bucket]) => bucket.errors),
  };
}
