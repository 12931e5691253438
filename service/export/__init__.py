"""Rows to files, and bundles of evidence to files.

An export of rows is a long GraphQL query: the same fields, views and masks, read to its end.
"""

from service.export.setup import setup
from service.export.sources.held import HeldRows, held_rows

__all__ = ["HeldRows", "held_rows", "setup"]
