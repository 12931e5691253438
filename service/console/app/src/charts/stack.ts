/** Series on top of each other: each with those below it added. The floats of a chart are for its heights alone. */
export function stacked(series: readonly (readonly number[])[]): number[][] {
  const below: number[] = [];
  return series.map((values) =>
    values.map((value, index) => {
      const top = (below[index] ?? 0) + value;
      below[index] = top;
      return top;
    }),
  );
}

/** The bucket that a moment is in, by the ascending starts of buckets; -1: before all of them. */
export function bucketAt(starts: readonly number[], moment: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
