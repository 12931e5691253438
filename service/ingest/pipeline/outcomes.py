"""What became of the rows of a request, as it is answered: outcomes to verdicts, in order."""

from collections.abc import Iterator, Sequence

from policies import Report
from service.errors import ServiceError
from service.ingest.formats.split import Rejection
from service.ingest.preparation.prepared import Prepared
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status
from service.storage.ids import encode_call_ids


def settled(outcomes: list[Prepared | Rejection]) -> list[Prepared | Rejection]:
    """Outcomes in place of calls that were not stored. Raises ServiceError when nothing was stored because of one."""
    calls = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
    stored = [call for call in calls if isinstance(call.outcome, Status)]
    if len(stored) == len(calls):
        return outcomes
    failures = [call.outcome for call in calls if isinstance(call.outcome, ServiceError)]
    if failures and not stored:
        raise failures[0]
    return [
        not_stored(outcome.outcome)
        if isinstance(outcome, Prepared) and isinstance(outcome.outcome, ServiceError)
        else outcome.outcome
        if isinstance(outcome, Prepared) and isinstance(outcome.outcome, Rejection)
        else outcome
        for outcome in outcomes
    ]


def not_stored(error: ServiceError) -> Rejection:
    """What a row is answered whose neighbours were stored before the service failed."""
    return Rejection(f"not stored: {error}", Refusal.NOT_STORED)


def verdicts_of(rows: Sequence[Report | Rejection], outcomes: Sequence[Prepared | Rejection]) -> Iterator[RowResult]:
    """A verdict for each row."""
    calls = [(outcome.account_id, outcome.id) for outcome in outcomes if isinstance(outcome, Prepared)]
    ids = iter(encode_call_ids(calls))
    for row, outcome in zip(rows, outcomes, strict=True):
        dropped, warnings = (row.dropped, row.warnings) if isinstance(row, Report) else ({}, ())
        if isinstance(outcome, Rejection):
            yield RowResult(Status.REJECTED, None, outcome.reason, dropped, warnings, outcome.code)
        elif outcome.outcome is Status.ACCEPTED:
            yield RowResult(Status.ACCEPTED, next(ids), None, dropped, warnings + outcome.warnings)
        else:
            status = outcome.outcome if isinstance(outcome.outcome, Status) else Status.REJECTED
            code = Refusal.CONFLICT if status is Status.CONFLICT else None
            yield RowResult(status, next(ids), None, dropped, warnings + outcome.warnings, code)
