"""Rows of a gateway's own log as billed rows: read by what imports them, so that both sides mean the same by a row."""

from collections.abc import Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Final

from policies import Source
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection
from service.reconcile.layouts import BilledRow, BilledRowError

_EXACT_PLACES: Final = 12
"""Of an amount that was not rounded to be printed."""


class CallRows:
    """Reads rows of the format `name`, which calls of `source` are imported from: each call with its amount, if it has
    one, and corrections as what they add to their call.
    """

    def __init__(self, name: str, source: Source, read: Reader, zone: tzinfo) -> None:
        self.name = name
        self.source = source
        self._read = read
        self._zone = zone

    def rows(self, data: bytes) -> Iterator[BilledRow]:
        """The row, if it is a call. Raises BilledRowError for one that an import would refuse."""
        report = self._read(data)
        if isinstance(report, Rejection):
            if report.code is None:
                return
            raise BilledRowError(f"is one that an import would refuse ({report.code.value})")
        tokens = [one for one in (report.input_tokens, report.output_tokens) if one is not None]
        yield BilledRow(
            report.started_at.astimezone(self._zone).date(),
            report.model,
            None if report.amount is None else report.currency,
            report.amount or Decimal(0),
            _EXACT_PLACES,
            sum(tokens) if tokens else None,
            report.corrects or report.source_id,
            adds=report.corrects is not None,
        )
