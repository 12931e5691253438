"""Errors of the evidence."""

from policies.errors import PolicyError


class EntryError(PolicyError):
    """the entry cannot stand in the ledger"""
