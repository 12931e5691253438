"""Benchmarks of the pure parts: redaction and sealing."""
