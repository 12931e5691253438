"""Counters of the way in. No label ever carries a client's text."""

from prometheus_client import Counter, Gauge, Histogram

from service.ingest.refusals import Refusal

ROWS = Counter("calledger_ingest_rows", "Reported calls by what became of them", ["source", "status"])
QUEUED_ROWS = Gauge("calledger_ingest_queued_rows", "Calls that wait to be stored", multiprocess_mode="livesum")
BATCH_ROWS = Histogram(
    "calledger_ingest_batch_rows", "Calls stored by one commit", buckets=(1, 10, 50, 100, 250, 500, 1000, 2000, 5000)
)
STEEP_CORRECTIONS = Counter(
    "calledger_ingest_steep_corrections", "Corrections that made a call's amount more than ten times what was billed"
)
UNSEALED = Counter("calledger_ingest_unsealed", "Values not kept because their key is gone or out of reach")
BISECTED = Counter("calledger_ingest_bisected", "Batches that the database refused and that were cut in two")


_REFUSED = Counter(
    "calledger_ingest_refused", "Calls, and requests as a whole, that were refused, by why", ["source", "reason"]
)


def begin_refusals(source: str) -> None:
    """Show the counters of a source before anything of it is refused, so that its first refusal is an increase."""
    for reason in Refusal:
        _REFUSED.labels(source, reason.value)


def count_refused(source: str, reason: Refusal, count: int) -> None:
    """Add up what was refused, by source and reason."""
    _REFUSED.labels(source, reason.value).inc(count)
