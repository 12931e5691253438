"""Compiled operations: parse and validate once, then rows to JSON by generated code."""
