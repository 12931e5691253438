"""Exports and evidence files."""
