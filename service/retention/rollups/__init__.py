"""Usage sums: deltas compacted into rollups, sums derived from rollups, and rebuilt sums."""
