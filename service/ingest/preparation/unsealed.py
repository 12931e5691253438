"""Values that are not kept because their key is gone or out of reach: counted, and said in the log now and then."""

import time
from typing import Final

from service.ingest.metrics import UNSEALED
from service.logs import get_logger

log = get_logger()

EVERY_S: Final = 60.0


class _Unsaid:
    """How many values the log has not told of yet, and when it last told."""

    values = 0
    said_at = -EVERY_S


def count_unsealed() -> None:
    """Count one value; the first is logged at once, those after it once per minute at most."""
    UNSEALED.inc()
    _Unsaid.values += 1
    if time.monotonic() - _Unsaid.said_at >= EVERY_S:
        log.error(
            "calls are stored without details of errors and pseudonyms: their key is gone or out of reach",
            values=_Unsaid.values,
        )
        _Unsaid.values, _Unsaid.said_at = 0, time.monotonic()
