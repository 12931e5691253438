"""Numbers that rows store in place of names: the source of a report, and the source of its amount.

They are stored, so a number never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SOURCE_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "native": 1,
        "litellm": 2,
        "otlp": 3,
        "new-api": 4,
        "one-api": 5,
        "csv": 6,
        "langfuse": 7,
        "openrouter": 8,
        "helicone": 9,
        "cloudflare": 10,
        "portkey": 11,
        "bifrost": 12,
        "agentgateway": 13,
    }
)
"""`call.source`: the gateway's family."""

AMOUNT_SOURCE_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {"BILLED": 1, "REPORTED": 2, "ESTIMATED": 3, "ROUNDED": 4}
)
"""`call.amount_source`; the names are GraphQL's."""

AMOUNT_UNKNOWN_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {"NOT_REPORTED": 1, "NOT_PRICED": 2, "UNREADABLE": 3, "NEGATIVE": 4}
)
"""`call.amount_unknown`; the names are GraphQL's."""

SOURCE_NAMES: Final[Mapping[int, str]] = MappingProxyType({number: name for name, number in SOURCE_NUMBERS.items()})
AMOUNT_SOURCE_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {number: name for name, number in AMOUNT_SOURCE_NUMBERS.items()}
)
AMOUNT_UNKNOWN_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {number: name for name, number in AMOUNT_UNKNOWN_NUMBERS.items()}
)
