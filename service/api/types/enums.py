"""Enums of the schema. Each value carries its description."""

from enum import Enum
from typing import Any

import strawberry


def _value(name: str, description: str) -> Any:  # noqa: ANN401 - Strawberry's marker
    return strawberry.enum_value(name, description=description)


@strawberry.enum
class CallStatus(Enum):
    """How a call ended."""

    SUCCEEDED = _value("SUCCEEDED", "The model answered.")
    FAILED = _value("FAILED", "The call ended in an error.")


@strawberry.enum
class AmountSource(Enum):
    """Where the figure comes from."""

    BILLED = _value("BILLED", "What the gateway charged for the call, by its own word (`POST /v1/calls`).")
    REPORTED = _value("REPORTED", "What the gateway worked out that the provider takes (`POST /v1/litellm`).")
    ESTIMATED = _value("ESTIMATED", "Worked out here from a price list.")
    ROUNDED = _value("ROUNDED", "Reported by a source that keeps rounded figures only.")


@strawberry.enum
class AmountUnknownReason(Enum):
    """Why the amount of a call is not known. An amount of zero is known."""

    NOT_REPORTED = _value(
        "NOT_REPORTED", "No amount came, and not what it could be estimated by: tokens, or an answer."
    )
    NOT_PRICED = _value("NOT_PRICED", "No amount came, and no price list has a price for the model then.")
    UNREADABLE = _value("UNREADABLE", "What came in its place is no amount of money.")
    NEGATIVE = _value("NEGATIVE", "What came is below zero, which only a correction may be.")


@strawberry.enum
class Disclosure(Enum):
    """State of a sealed value for this role."""

    CLEAR = _value("CLEAR", "Nothing was found in it that had to be hidden.")
    MASKED = _value("MASKED", "Shown with `[redacted:rule]` in the place of what a rule found.")
    SEALED = _value("SEALED", "Kept, but not readable for this role, or the keys cannot be reached now.")
    NOT_KEPT = _value("NOT_KEPT", "The policy keeps no details of this error.")
    KEY_DESTROYED = _value("KEY_DESTROYED", "Its window has ended: the key is destroyed, or about to be.")
    KEY_LOST = _value("KEY_LOST", "The key is gone, and not by a purge of ours.")


@strawberry.enum
class ParameterAction(Enum):
    """What the policy did to a request parameter."""

    KEPT = _value("KEPT", "Kept as it came.")
    MASKED = _value("MASKED", "Kept, with what a rule found replaced.")
    SHAPED = _value("SHAPED", "Only its shape is kept: counts, roles, lengths.")
    SEALED = _value("SEALED", "Kept under seal.")
    DROPPED = _value("DROPPED", "Its name is kept, its value is not.")


@strawberry.enum
class OrderDirection(Enum):
    """Direction of an order."""

    ASC = _value("ASC", "Smallest or oldest first.")
    DESC = _value("DESC", "Largest or newest first.")


@strawberry.enum
class CallOrderField(Enum):
    """What calls can be ordered by."""

    STARTED_AT = _value("STARTED_AT", "When the call started.")
    AMOUNT = _value("AMOUNT", "What it cost; needs `currency.eq` in the filter.")
    LATENCY = _value("LATENCY", "How long it took.")
    TOTAL_TOKENS = _value("TOTAL_TOKENS", "Input and output tokens together.")
    CACHE_READ_TOKENS = _value("CACHE_READ_TOKENS", "Input tokens that were read from the provider's cache.")
    CACHE_WRITE_TOKENS = _value("CACHE_WRITE_TOKENS", "Input tokens that were written to the provider's cache.")
    TOKEN_EFFICIENCY = _value("TOKEN_EFFICIENCY", "Output tokens divided by input tokens.")
    TIME_TO_FIRST_TOKEN = _value("TIME_TO_FIRST_TOKEN", "How long the first token took.")
    AMOUNT_SOURCE = _value("AMOUNT_SOURCE", "Where the amount comes from, by the name of its source.")


@strawberry.enum
class ErrorOrderField(Enum):
    """What errors can be ordered by."""

    OCCURRED_AT = _value("OCCURRED_AT", "When the error occurred.")


@strawberry.enum
class ErrorGroupOrderField(Enum):
    """What groups of errors can be ordered by."""

    COUNT = _value("COUNT", "How many errors the group holds.")
    LAST_SEEN = _value("LAST_SEEN", "Its newest error.")
    FIRST_SEEN = _value("FIRST_SEEN", "Its oldest error inside the window.")


@strawberry.enum
class Role(Enum):
    """Who a key stands for."""

    INGEST = _value("INGEST", "Reports calls; reads nothing.")
    VIEWER = _value("VIEWER", "Reads calls, errors and costs.")
    PARTNER = _value("PARTNER", "Reads its own accounts; its keys expire.")
    SUPPORT = _value("SUPPORT", "As viewer, and may reveal a sealed error, with a reason.")
    AUDITOR = _value("AUDITOR", "Retention, policy, ledger and evidence; no call content.")
    COMPLIANCE = _value("COMPLIANCE", "Holds, purge, erasure, evidence; no call content.")
    ADMIN = _value("ADMIN", "Everything, keys included.")


@strawberry.enum
class View(Enum):
    """What a role gets of a field."""

    SEE = _value("SEE", "In clear.")
    MASKED = _value("MASKED", "Masked: text as masked text, anything else as null.")
    DENIED = _value("DENIED", "Not at all: asking for it is refused.")


@strawberry.enum
class DataClass(Enum):
    """What kind of data a field holds."""

    OPERATIONAL = _value("OPERATIONAL", "When, which, and how it ended.")
    BILLING = _value("BILLING", "Tokens and money.")
    PERSONAL = _value("PERSONAL", "Who, and what may say who.")
    SECRET = _value("SECRET", "Credentials: never stored.")
    CONTENT = _value("CONTENT", "Prompts and completions: never stored.")


@strawberry.enum
class PolicyAction(Enum):
    """What admission does to a field."""

    KEEP = _value("KEEP", "Kept in clear.")
    MASK = _value("MASK", "Kept masked; what is taken out is gone for good.")
    HASH = _value("HASH", "Kept as a pseudonym under a key that is destroyed.")
    SEAL = _value("SEAL", "Kept sealed under a key that is destroyed.")
    DROP = _value("DROP", "Not kept.")


@strawberry.enum
class Store(Enum):
    """The tables whose partitions are dropped."""

    CALL = _value("CALL", "One row a call.")
    CALL_ERROR = _value("CALL_ERROR", "One sealed record a failed call.")
    USAGE_QUARTER = _value("USAGE_QUARTER", "Sums by quarter hour.")
    USAGE_DAY = _value("USAGE_DAY", "Sums by UTC day.")
