"""Programs that measure what Calledger must reach, each beside its contenders. `python -m benchmarks --help`."""
