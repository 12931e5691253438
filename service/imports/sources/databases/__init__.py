"""Rows of a table in somebody else's database, read only. None of these statements ever meets our own."""
