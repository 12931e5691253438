"""What a cost report is grouped and ordered by."""

from enum import Enum

import strawberry

from service.api.types.declarations import described, value
from service.api.types.enums import OrderDirection


@strawberry.enum
class CostDimension(Enum):
    """What costs can be grouped by."""

    MODEL = value("MODEL", "The model that was asked for.")
    PROVIDER = value("PROVIDER", "Who runs the model.")
    ACCOUNT = value("ACCOUNT", "The account.")
    API_KEY = value("API_KEY", "The gateway's name of the key that was used.")
    STATUS = value("STATUS", "How the call ended.")
    OPERATION = value("OPERATION", "What was asked of the model; needs single calls.")
    SERVED_MODEL = value("SERVED_MODEL", "The model that answered; needs single calls.")
    ERROR_TYPE = value("ERROR_TYPE", "The type of the error; needs single calls.")
    USER = value("USER", "Who called, by pseudonym; needs single calls, and reaches as far back as pseudonyms do.")


@strawberry.enum
class TimeBucket(Enum):
    """Width of a bucket of local time."""

    MINUTE = value("MINUTE", "A minute; needs single calls, and a week of them at most.")
    QUARTER_HOUR = value("QUARTER_HOUR", "A quarter of an hour of the wall clock.")
    HOUR = value("HOUR", "An hour of the wall clock.")
    DAY = value("DAY", "From midnight to midnight; 23 or 25 hours where clocks change.")
    WEEK = value("WEEK", "From Monday to Monday (ISO 8601).")
    MONTH = value("MONTH", "From the first to the first.")


@strawberry.enum
class CorrectionTime(Enum):
    """In which period a correction counts."""

    BY_CALL_TIME = value(
        "BY_CALL_TIME", "In that of the call that it corrects: what the calls of a period cost in the end."
    )
    BY_OWN_TIME = value("BY_OWN_TIME", "In that in which it was made: a period that was closed stays as it was.")


@strawberry.enum
class CostSource(Enum):
    """Where figures were read. Rollups outlive calls."""

    ROLLUPS = value("ROLLUPS", "Sums that are kept beside the calls.")
    CALLS = value("CALLS", "The calls themselves.")
    BOTH = value("BOTH", "Sums, and calls at the ends of the range that sums do not cut fine enough.")


@strawberry.enum
class CostOrderField(Enum):
    """What rows of costs can be ordered by."""

    AMOUNT = value("AMOUNT", "What the calls cost; needs `currency.eq` in the filter.")
    CALLS = value("CALLS", "How many calls.")
    ERRORS = value("ERRORS", "How many of them failed.")
    TOTAL_TOKENS = value("TOTAL_TOKENS", "Input and output tokens together.")
    CACHE_READ_TOKENS = value("CACHE_READ_TOKENS", "Input tokens that were read from the provider's cache.")
    CACHE_WRITE_TOKENS = value("CACHE_WRITE_TOKENS", "Input tokens that were written to the provider's cache.")
    TOKEN_EFFICIENCY = value("TOKEN_EFFICIENCY", "Output tokens divided by input tokens.")
    BUCKET_START = value("BUCKET_START", "Where the bucket begins; needs `bucket`.")
    KEY = value(
        "KEY", "By what rows are grouped by, bucket first: it tells all rows apart, so nothing can come after it."
    )


@strawberry.input
class CostOrder:
    """Order of rows of costs. Nulls last; ties by what the rows are grouped by."""

    field: CostOrderField = described("What to order by.")
    direction: OrderDirection = described("Which end comes first.", default=OrderDirection.DESC)
