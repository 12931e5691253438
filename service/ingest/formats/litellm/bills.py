"""Work that is billed by an id of the provider's, however often its result is asked for: batches, and answers that are
made in the background.

Each poll is a call of its own and costs nothing. The poll that has the result brings the bill, under the provider's id
and the time at which the work began, so that the next poll brings the same call again: a duplicate.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.admission.report import Report
from service.ingest.formats.figures import text_of
from service.ingest.formats.litellm.operations import BATCH, RESPONSES, RETRIEVE_BATCH, RETRIEVE_RESPONSE
from service.ingest.formats.litellm.payload import Payload
from service.ingest.formats.litellm.response import Response
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX

_GRAIN: Final = timedelta(minutes=15)
"""The finest of the sums. Gateways that make up the time of a batch anew each time are off by seconds."""

_AGE_MAX: Final = timedelta(days=60)
_EARLY_MAX: Final = timedelta(minutes=5)
# OpenAI's ids begin with the second in which they were made.
_DATED_ID: Final = re.compile(r"(?:batch|resp)_([0-9a-f]{8})[0-9a-f]{16,40}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bill:
    """What is billed: the provider's id of it, when it began, and the operation that it is."""

    id: str
    started_at: datetime
    operation: str


def bill_of(payload: Payload, report: Report, response: Response) -> Bill | None:
    """The bill that this call brings; None for most calls. The report's tokens are read."""
    if report.failed or report.operation not in (RETRIEVE_BATCH, RETRIEVE_RESPONSE):
        return None
    # What was not made in the background has its bill already, from the call that asked for it.
    if report.operation == RETRIEVE_RESPONSE and response.value("background") is not True:
        return None
    costs = payload.money("response_cost", payload.value("response_cost"))
    id_ = text_of(payload.value("id"), ID_CHARACTERS_MAX)
    if id_ is None or id_ == payload.value("litellm_call_id") or not (report.input_tokens or costs):
        return None
    operation = BATCH if report.operation == RETRIEVE_BATCH else RESPONSES
    return Bill(id_, _began_at(id_, report.started_at, response), operation)


def _began_at(id_: str, polled_at: datetime, response: Response) -> datetime:
    """When the work began, to the quarter hour; without any word of it the day of the poll."""
    for moment in (response.created_at, _moment_in(id_)):
        if moment is not None and polled_at - _AGE_MAX <= moment <= polled_at + _EARLY_MAX:
            return moment - (moment - _EPOCH) % _GRAIN
    return polled_at.replace(hour=0, minute=0, second=0, microsecond=0)


def _moment_in(id_: str) -> datetime | None:
    match = _DATED_ID.fullmatch(id_)
    return _EPOCH + timedelta(seconds=int(match[1], 16)) if match else None
