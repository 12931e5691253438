"""The native format's fields: names, types and bounds. docs/reporting.md says the same to readers."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from service.ingest.formats.native.attributes import AttributeFields

INTEGER_MAX: Final = 2**31 - 1
TEXT_CHARACTERS_MAX: Final = 1024
ID_CHARACTERS_MAX: Final = 512

_Required: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
_Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | None
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | None
_Milliseconds: TypeAlias = (
    Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | Annotated[float, Meta(ge=0, le=INTEGER_MAX)] | None
)
CURRENCY: Final = r"^(?:[A-Za-z]{3,16})?\Z"
_Currency: TypeAlias = Annotated[str, Meta(pattern=CURRENCY)] | None
_TagValue: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | int | float | bool | None

TAGS_MAX: Final = 64
Tags: TypeAlias = (
    Annotated[dict[Annotated[str, Meta(min_length=1, max_length=200)], _TagValue], Meta(max_length=TAGS_MAX)] | None
)

_CONTENT_NAMES: Final = """
    messages message prompt prompts input inputs output outputs completion completions response request choices content
    text system instructions tools tool_calls tool_choice functions function_call arguments documents query body
"""
CONTENT_FIELDS: Final = frozenset(_CONTENT_NAMES.split())
"""Fields that hold prompts, answers and tool arguments: dropped, counted, never stored."""


class Part(Struct):
    """One part of an amount; `meter` is GraphQL's word for `name`."""

    meter: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    name: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    quantity: Raw | UnsetType = UNSET
    unit_price: Raw | UnsetType = UNSET
    amount: Raw | UnsetType = UNSET


class ErrorFields(Struct):
    """What `error` holds."""

    type: _Text = None
    code: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | int | None = None
    message: str | None = None
    parameters: Raw | UnsetType = UNSET
    occurred_at: str | None = None


class Facts(AttributeFields):
    """One row; other fields are left alone."""

    id: _Required
    started_at: str
    model: _Required
    status: Literal["succeeded", "failed"]
    account: Annotated[str, Meta(max_length=200)] | None = None
    api_key: _Text = None
    user: _Text = None
    served_model: _Text = None
    provider: _Text = None
    operation: _Text = None
    streamed: bool | None = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    cache_read_tokens: _Count = None
    cache_write_tokens: _Count = None
    reasoning_tokens: _Count = None
    amount: Raw | UnsetType = UNSET
    currency: _Currency = None
    amount_parts: Annotated[list[Part], Meta(max_length=64)] | None = None
    corrects: _Text = None
    latency_ms: _Milliseconds = None
    time_to_first_token_ms: _Milliseconds = None
    tags: Tags = None
    error: Raw | UnsetType = UNSET


class OnlyFacts(Facts, forbid_unknown_fields=True, gc=False):
    """One row that has no other fields."""

    # Without its pattern, which costs a third of a row's decoding: `native` remembers those few that there are.
    currency: Annotated[str, Meta(max_length=16)] | None = None
