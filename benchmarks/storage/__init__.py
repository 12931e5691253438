"""Benchmarks of storage: bytes per call, the purge, the ledger, the start, and growth."""
