"""Checks of the ledger: its leaves, the columns next to them, its keys and its record."""
