"""Rows of anybody's tables: a column map says which of their columns is which field of a call. Pure."""
