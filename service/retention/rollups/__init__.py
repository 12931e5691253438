"""Usage sums: deltas compacted into rollups, totals over all accounts, and sums made anew."""
