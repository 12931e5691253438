"""Enums of the schema. Each value carries its description."""

from enum import Enum

import strawberry

from service.api.types.declarations import value


@strawberry.enum
class CallStatus(Enum):
    """How a call ended."""

    SUCCEEDED = value("SUCCEEDED", "The model answered.")
    FAILED = value("FAILED", "The call ended in an error.")


@strawberry.enum
class AmountSource(Enum):
    """Where the figure comes from."""

    BILLED = value("BILLED", "What the gateway charged for the call, by its own word (`POST /v1/calls`).")
    REPORTED = value("REPORTED", "What the gateway worked out that the provider takes (`POST /v1/litellm`).")
    ESTIMATED = value("ESTIMATED", "Worked out here from a price list.")
    ROUNDED = value("ROUNDED", "Reported by a source that keeps rounded figures only.")


@strawberry.enum
class AmountUnknownReason(Enum):
    """Why the amount of a call is not known. An amount of zero is known."""

    NOT_REPORTED = value("NOT_REPORTED", "No amount came, and not what it could be estimated by: tokens, or an answer.")
    NOT_PRICED = value("NOT_PRICED", "No amount came, and no price list has a price for the model then.")
    UNREADABLE = value("UNREADABLE", "What came in its place is no amount of money.")
    NEGATIVE = value("NEGATIVE", "What came is below zero, which only a correction may be.")


@strawberry.enum
class Disclosure(Enum):
    """State of a sealed value for this role."""

    CLEAR = value("CLEAR", "Nothing was found in it that had to be hidden.")
    MASKED = value("MASKED", "Shown with `[redacted:rule]` in the place of what a rule found.")
    SEALED = value("SEALED", "Kept, but not readable for this role, or the keys cannot be reached now.")
    NOT_KEPT = value("NOT_KEPT", "No details of this error are kept: the policy keeps none, or its person was erased.")
    KEY_DESTROYED = value("KEY_DESTROYED", "Its window has ended: the key is destroyed, or about to be.")
    KEY_LOST = value("KEY_LOST", "The key is gone, and not by a purge of ours.")


@strawberry.enum
class ParameterAction(Enum):
    """What the policy did to a request parameter."""

    KEPT = value("KEPT", "Kept as it came.")
    MASKED = value("MASKED", "Kept, with what a rule found replaced.")
    SHAPED = value("SHAPED", "Only its shape is kept: counts, roles, lengths.")
    SEALED = value("SEALED", "Kept under seal.")
    DROPPED = value("DROPPED", "Its name is kept, its value is not.")


@strawberry.enum
class OrderDirection(Enum):
    """Direction of an order."""

    ASC = value("ASC", "Smallest or oldest first.")
    DESC = value("DESC", "Largest or newest first.")


@strawberry.enum
class CallOrderField(Enum):
    """What calls can be ordered by."""

    STARTED_AT = value("STARTED_AT", "When the call started.")
    AMOUNT = value("AMOUNT", "What it cost; needs `currency.eq` in the filter.")
    LATENCY = value("LATENCY", "How long it took.")
    TOTAL_TOKENS = value("TOTAL_TOKENS", "Input and output tokens together.")
    CACHE_READ_TOKENS = value("CACHE_READ_TOKENS", "Input tokens that were read from the provider's cache.")
    CACHE_WRITE_TOKENS = value("CACHE_WRITE_TOKENS", "Input tokens that were written to the provider's cache.")
    TOKEN_EFFICIENCY = value("TOKEN_EFFICIENCY", "Output tokens divided by input tokens.")
    TIME_TO_FIRST_TOKEN = value("TIME_TO_FIRST_TOKEN", "How long the first token took.")
    AMOUNT_SOURCE = value("AMOUNT_SOURCE", "Where the amount comes from, by the name of its source.")


@strawberry.enum
class ErrorOrderField(Enum):
    """What errors can be ordered by."""

    OCCURRED_AT = value("OCCURRED_AT", "When the error occurred.")


@strawberry.enum
class ErrorGroupOrderField(Enum):
    """What groups of errors can be ordered by."""

    COUNT = value("COUNT", "How many errors the group holds.")
    LAST_SEEN = value("LAST_SEEN", "Its newest error.")
    FIRST_SEEN = value("FIRST_SEEN", "Its oldest error inside the window.")


@strawberry.enum
class Role(Enum):
    """Who a key stands for."""

    INGEST = value("INGEST", "Reports calls; reads nothing.")
    VIEWER = value("VIEWER", "Reads calls, errors and costs.")
    PARTNER = value("PARTNER", "Reads its own accounts; its keys expire.")
    SUPPORT = value("SUPPORT", "As viewer, and may reveal a sealed error, with a reason.")
    AUDITOR = value("AUDITOR", "Retention, policy, ledger and evidence; no call content.")
    COMPLIANCE = value("COMPLIANCE", "Holds, purge, erasure, evidence; no call content.")
    ADMIN = value("ADMIN", "Everything, keys included.")


@strawberry.enum
class View(Enum):
    """What a role gets of a field."""

    SEE = value("SEE", "In clear.")
    MASKED = value("MASKED", "Masked: text as masked text, anything else as null.")
    DENIED = value("DENIED", "Not at all: asking for it is refused.")


@strawberry.enum
class DataClass(Enum):
    """What kind of data a field holds."""

    OPERATIONAL = value("OPERATIONAL", "When, which, and how it ended.")
    BILLING = value("BILLING", "Tokens and money.")
    PERSONAL = value("PERSONAL", "Who, and what may say who.")
    SECRET = value("SECRET", "Credentials: never stored.")
    CONTENT = value("CONTENT", "Prompts and completions: never stored.")


@strawberry.enum
class HoldClass(Enum):
    """What kind of data a hold can keep: what is never stored it cannot."""

    OPERATIONAL = value("OPERATIONAL", "When, which, and how it ended.")
    BILLING = value("BILLING", "Tokens and money.")
    PERSONAL = value("PERSONAL", "Who, and what may say who.")


@strawberry.enum
class PolicyAction(Enum):
    """What admission does to a field."""

    KEEP = value("KEEP", "Kept in clear.")
    MASK = value("MASK", "Kept masked; what is taken out is gone for good.")
    HASH = value("HASH", "Kept as a pseudonym under a key that is destroyed.")
    SEAL = value("SEAL", "Kept sealed under a key that is destroyed.")
    DROP = value("DROP", "Not kept.")


@strawberry.enum
class Store(Enum):
    """The tables whose partitions are dropped."""

    CALL = value("CALL", "One row per call.")
    CALL_ERROR = value("CALL_ERROR", "One sealed record per failed call.")
    USAGE_QUARTER = value("USAGE_QUARTER", "Sums by quarter hour.")
    USAGE_DAY = value("USAGE_DAY", "Sums by UTC day.")
