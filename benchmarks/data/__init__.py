"""The data of the benchmarks: the calls that they store, and the operations that they ask."""
