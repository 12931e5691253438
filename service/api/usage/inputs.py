"""What a cost report is grouped and ordered by."""

from enum import Enum
from typing import Any

import strawberry

from service.api.types.enums import OrderDirection


def _value(name: str, description: str) -> Any:  # noqa: ANN401 - Strawberry's marker
    return strawberry.enum_value(name, description=description)


@strawberry.enum
class CostDimension(Enum):
    """What costs can be grouped by."""

    MODEL = _value("MODEL", "The model that was asked for.")
    PROVIDER = _value("PROVIDER", "Who runs the model.")
    ACCOUNT = _value("ACCOUNT", "The account.")
    API_KEY = _value("API_KEY", "The gateway's name of the key that was used.")
    STATUS = _value("STATUS", "How the call ended.")
    OPERATION = _value("OPERATION", "What was asked of the model; needs single calls.")
    SERVED_MODEL = _value("SERVED_MODEL", "The model that answered; needs single calls.")
    ERROR_TYPE = _value("ERROR_TYPE", "The type of the error; needs single calls.")
    USER = _value("USER", "Who called, by pseudonym; needs single calls, and reaches as far back as pseudonyms do.")


@strawberry.enum
class TimeBucket(Enum):
    """Width of a bucket of local time."""

    HOUR = _value("HOUR", "An hour of the wall clock.")
    DAY = _value("DAY", "From midnight to midnight; 23 or 25 hours where clocks change.")
    WEEK = _value("WEEK", "From Monday to Monday (ISO 8601).")
    MONTH = _value("MONTH", "From the first to the first.")


@strawberry.enum
class CorrectionTime(Enum):
    """In which period a correction counts."""

    BY_CALL_TIME = _value(
        "BY_CALL_TIME", "In that of the call that it corrects: what the calls of a period cost in the end."
    )
    BY_OWN_TIME = _value("BY_OWN_TIME", "In that in which it was made: a period that was closed stays as it was.")


@strawberry.enum
class CostSource(Enum):
    """Where figures were read. Rollups outlive calls."""

    ROLLUPS = _value("ROLLUPS", "Sums that are kept beside the calls.")
    CALLS = _value("CALLS", "The calls themselves.")
    BOTH = _value("BOTH", "Sums, and calls at the ends of the range that sums do not cut fine enough.")


@strawberry.enum
class CostOrderField(Enum):
    """What rows of costs can be ordered by."""

    AMOUNT = _value("AMOUNT", "What the calls cost; needs `currency.eq` in the filter.")
    CALLS = _value("CALLS", "How many calls.")
    ERRORS = _value("ERRORS", "How many of them failed.")
    TOTAL_TOKENS = _value("TOTAL_TOKENS", "Input and output tokens together.")
    CACHE_READ_TOKENS = _value("CACHE_READ_TOKENS", "Input tokens that were read from the provider's cache.")
    CACHE_WRITE_TOKENS = _value("CACHE_WRITE_TOKENS", "Input tokens that were written to the provider's cache.")
    TOKEN_EFFICIENCY = _value("TOKEN_EFFICIENCY", "Output tokens divided by input tokens.")
    BUCKET_START = _value("BUCKET_START", "Where the bucket begins; needs `bucket`.")
    KEY = _value(
        "KEY", "By what rows are grouped by, bucket first: it tells all rows apart, so nothing can come after it."
    )


@strawberry.input
class CostOrder:
    """Order of rows of costs. Nulls last; ties by what the rows are grouped by."""

    field: CostOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which end comes first.")
