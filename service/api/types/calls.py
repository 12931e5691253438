"""Calls and errors as the schema shows them. Values are put in by `mapper.py`; what was not asked for stays None.

Nullability: `!` only where a value always exists and no shipped role can be denied or masked on it.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from service.api.types.directives import Cost
from service.api.types.enums import AmountSource, AmountUnknownReason, CallStatus, Disclosure, ParameterAction
from service.api.types.scalars import BigInt


def _field(description: str, *, name: str | None = None, weight: int | None = None) -> Any:  # noqa: ANN401 - any type
    directives = [Cost(weight=weight)] if weight else []
    return strawberry.field(description=description, name=name, default=None, directives=directives)


@strawberry.interface
class Node:
    """A thing with an opaque, type-prefixed id (`call_...`, `err_...`): the id that ingest answers is this id."""

    id: strawberry.ID = _field("Opaque id.")


@strawberry.type
class Amount:
    """Money of one call."""

    amount: Decimal = _field("How much.")
    currency: str = _field("ISO 4217, or a code that the source names.")
    source: AmountSource = _field("Where the figure comes from.")


@strawberry.type
class AmountPart:
    """One part of an amount: quantity x unit price."""

    meter: str = _field(
        "input, output, cache_read, cache_write, reasoning, request, tools, guardrail, discount, margin or other; or a "
        "unit of a price list."
    )
    quantity: Decimal | None = _field("How many units.")
    unit_price: Decimal | None = _field("Price of one unit.")
    amount: Decimal = _field("What the part adds to the amount; a discount is negative.")
    price_list: str | None = _field(
        "The price list that an estimate took the unit price from, as `name@digest`; null: the part was reported."
    )


@strawberry.type
class Tag:
    """A label that the policy allows."""

    key: str = _field("The label's name.")
    value: str | None = _field("Its value; masked where the role sees it masked.")


@strawberry.type
class Unit:
    """What a call used beside tokens."""

    name: str = _field("What was counted: images, seconds, characters, searches, pages, requests ...")
    quantity: Decimal = _field("How much of it.")


@strawberry.type
class Call(Node):
    """One request to a model through a gateway."""

    source_id: str = _field("The gateway's own id.")
    source: str = _field("Adapter that reported it: native, litellm, otlp, new-api, one-api, csv.")
    started_at: datetime = _field("When the request reached the gateway.")
    account: str = _field("The account that the call belongs to.")
    api_key: str | None = _field("The gateway's name of the key that was used.")
    user: strawberry.ID | None = _field("Pseudonym, stable within the policy's pseudonym period; never the plain id.")
    model: str = _field("The model that was asked for.")
    served_model: str | None = _field("The model that answered.")
    provider: str | None = _field("Who runs the model.")
    operation: str | None = _field("What was asked of the model, such as `chat`.")
    status: CallStatus = _field("How the call ended.")
    streamed: bool | None = _field("Whether the answer was streamed.")
    input_tokens: int | None = _field("Input tokens, cache reads and writes included.")
    output_tokens: int | None = _field("Output tokens, reasoning included.")
    total_tokens: BigInt | None = _field("Input and output tokens together, as far as they were reported.")
    cache_read_tokens: int | None = _field("Input tokens that were read from the provider's cache.")
    cache_write_tokens: int | None = _field("Input tokens that were written to the provider's cache.")
    reasoning_tokens: int | None = _field("Output tokens that were spent on reasoning.")
    token_efficiency: float | None = _field("Output tokens divided by input tokens; null without input.")
    amount: Amount | None = _field("Null when it is not known: see amountUnknown.")
    amount_unknown: AmountUnknownReason | None = _field("Why there is no amount; null of a call that has one.")
    amount_parts: list[AmountPart] | None = _field("How the amount came about (`detailed billing explanations`).")
    net_amount: Amount | None = _field(
        "The amount with all corrections of the call; of a correction its own amount.", weight=2
    )
    corrects: "Call | None" = _field("Of a correction, the call that it corrects.", weight=2)
    corrections: list["Call"] | None = _field(
        "The call's corrections in the order in which they were made, a hundred at most; netAmount has all of them.",
        weight=5,
    )
    corrected_at: datetime | None = _field(
        "Of a correction, when it was made; its startedAt is that of the call. Null of a call."
    )
    latency_ms: int | None = _field("Milliseconds from request to the end of the answer.")
    time_to_first_token_ms: int | None = _field("Milliseconds from request to the first token.")
    tags: list[Tag] | None = _field("Labels of the call.")
    error_type: str | None = _field("Operational; kept as long as the call, also after the error's details are gone.")
    error_code: str | None = _field("As errorType.")
    error: "CallError | None" = _field("Details; null for successes and after the details' window.", weight=2)
    trace_id: str | None = _field("What a call has in common with its retries and fallbacks, and with their traces.")
    session_id: str | None = _field("The conversation or session that the call is part of.")
    attempt: int | None = _field("Which attempt it was, from 1: later ones are retries and fallbacks.")
    cache_hit: bool | None = _field("Whether the gateway answered from its own cache.")
    deployment: str | None = _field("The gateway's name of the deployment that it chose.")
    team: str | None = _field("The gateway's name of the team that called.")
    organization: str | None = _field("The gateway's name of the organization that called.")
    normalized_error: str | None = _field("The gateway's own word for the kind of the error.")
    provider_request_id: str | None = _field("The id under which the provider knows the request.")
    units: list[Unit] | None = _field("What it used beside tokens.")


@strawberry.type
class ErrorParameter:
    """One request parameter; only names on the policy's allow-list appear."""

    name: str = _field("Dotted path in the request.")
    value: str | None = _field("Canonical JSON of the value.")
    action: ParameterAction = _field("What the policy did to it.")


@strawberry.type
class Redaction:
    """How often a rule fired; never what it hit."""

    rule: str = _field("Name of the rule.")
    count: int = _field("How often it fired in this error.")


@strawberry.type
class CallError(Node):
    """The error record of a failed call."""

    call: Call | None = _field("Null when the call is past its window but the error is held.", weight=2)
    type: str = _field("The error's type, such as `RateLimitError`.")
    code: str | None = _field("The provider's or gateway's code.")
    message: str | None = _field(
        "What the role may see of it; null after the window, when the key is lost, or when the policy drops it.",
        weight=2,
    )
    disclosure: Disclosure = _field("Why message and parameters are as they are.", weight=2)
    parameters: list[ErrorParameter] | None = _field("Request parameters that the policy lets be kept.", weight=2)
    occurred_at: datetime = _field("When the error occurred.")
    fingerprint: strawberry.ID = _field("The same for errors of one kind.")
    redactions: list[Redaction] = _field("Which rules fired on the error's text, and how often.")


@strawberry.type
class ErrorGroup:
    """Errors of one fingerprint."""

    fingerprint: strawberry.ID = _field("What these errors have in common.")
    type: str = _field("Their type.")
    count: BigInt = _field("How many there are.")
    first_seen: datetime = _field("The oldest inside the window.")
    last_seen: datetime = _field("The newest.")
    models: list[str] = _field("Models that were asked for, a hundred at most.")
    sample_message: str | None = _field("The newest error's message, masked as for errors.", weight=5)
