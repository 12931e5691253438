"""What became of the rows of an import."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from policies import Report
from service.ingest.formats.split import Rejection
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status


@dataclass(slots=True)
class ImportCounts:
    """Counts of rows by outcome, of refusals and skipped rows by reason, and sums of money by currency.

    `stored` are the sums of rows that are new here, `known` of those that were here already; `before`: rows of the
    source that an earlier run took.
    """

    rows: int = 0
    before: int = 0
    statuses: Counter[Status] = field(default_factory=Counter[Status])
    refused: Counter[Refusal] = field(default_factory=Counter[Refusal])
    skipped: Counter[str] = field(default_factory=Counter[str])
    dropped: Counter[str] = field(default_factory=Counter[str])
    stored: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    known: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    examples: dict[Refusal, str] = field(default_factory=dict[Refusal, str])
    """Why the first row of each reason was refused."""
    newest: datetime | None = None
    """When the last of the calls began that are here now."""

    def add(self, rows: Sequence[Report | Rejection], results: Sequence[RowResult]) -> None:
        """Count rows with what became of them, in the same order."""
        number = self.before + self.rows
        self.rows += len(rows)
        for row, result in zip(rows, results, strict=True):
            number += 1
            self.statuses[result.status] += 1
            if result.dropped:
                self.dropped.update(result.dropped)
            if result.code is not None:
                self.refused[result.code] += 1
                why = result.reason or "another call of this id is stored"
                self.examples.setdefault(result.code, f"row {number:,}: {why}")
            elif result.status is Status.SKIPPED:
                self.skipped[result.reason or ""] += 1
            elif isinstance(row, Report):
                self._add_known(row, result.status)

    def _add_known(self, row: Report, status: Status) -> None:
        """Count a call that is here now."""
        if self.newest is None or row.started_at > self.newest:
            self.newest = row.started_at
        if row.amount is not None and row.currency is not None:
            sums = self.known if status is Status.DUPLICATE else self.stored
            sums[row.currency] = sums.get(row.currency, Decimal(0)) + row.amount
