"""Rows to JSON text by generated code, for compiled operations."""
