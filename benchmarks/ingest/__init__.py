"""Benchmarks of ingest: the rate, imports, the change feed, several workers and machines."""
