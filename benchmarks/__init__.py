"""Programs that measure Calledger beside its contenders, against set bars. `python -m benchmarks --help`."""
