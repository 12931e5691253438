"""Rows to files. An export is a long GraphQL query: the same fields, views and masks, page by page."""

from service.export.formats import ENCODERS, Format
from service.export.pages import KINDS, ExportRefusedError, exported_pages

__all__ = ["ENCODERS", "KINDS", "ExportRefusedError", "Format", "exported_pages"]
