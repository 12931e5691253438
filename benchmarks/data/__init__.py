"""What the benchmarks store and what they ask."""
