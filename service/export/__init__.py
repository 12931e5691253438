"""Rows to files, and bundles of evidence to files.

An export of rows is a long GraphQL query: the same fields, views and masks, page by page.
"""

from service.export.entries import ledger_taken
from service.export.formats import ENCODERS, ExportFormat
from service.export.held import HeldRows, held_rows
from service.export.pages import KINDS, ExportRefusedError, exported_pages
from service.export.setup import setup

__all__ = [
    "ENCODERS",
    "KINDS",
    "ExportFormat",
    "ExportRefusedError",
    "HeldRows",
    "exported_pages",
    "held_rows",
    "ledger_taken",
    "setup",
]
