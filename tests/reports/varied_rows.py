"""Calls and errors that differ in every way that a row can, for tests that hold two ways of answering together."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from rows import SeededLedger, StoredCall, StoredError, call_uuid

from policies.admission.segments import ErrorDetails, Parameter, ParameterAction
from policies.policy.model import Policy, Role, View

DETAILS = ErrorDetails(
    ("limit for ", ("email", "canary@example.org"), ' "ä" \\ 😀 \u2028'),
    {
        "temperature": Parameter(ParameterAction.KEPT, ("0.2",)),
        "model": Parameter(ParameterAction.MASKED, ('"', ("email", "canary"), '"')),
        "seed": Parameter(ParameterAction.DROPPED, None),
    },
)
TEXTS = [None, "gpt-4o", "ä", '"quoted" \\ \x7f', "😀\u2028", "", "a/b", "null", "\t"]


def _call(index: int, moment: Any) -> StoredCall:
    """One of many, different in every way: each optional field is there in some and missing in others."""
    draw = random.Random(index)
    chosen = {
        name: draw.choice(TEXTS)
        for name in (
            *("served_model", "provider", "operation", "api_key", "error_type", "user", "trace_id", "session_id"),
            "parent_span_id",
            *(
                "deployment",
                "team",
                "team_id",
                "organization",
                "organization_id",
                "normalized_error",
                "provider_request_id",
            ),
        )
    }
    numbers = {
        name: draw.choice([None, 0, 7, -1] if draw.random() < 0.95 else [2**31 - 1])
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "latency_ms")
    }
    amount = draw.choice([None, Decimal(0), Decimal("0.000000000123"), Decimal(1200), Decimal("-3.10"), Decimal(10)])
    failed = draw.random() < 0.5
    error = StoredError(
        delay_ms=draw.choice([0, 812]),
        code=draw.choice([None, "429"]),
        fingerprint=draw.choice([1, -1, 2**63 - 1]),
        rules=draw.choice([{}, {"email": 2, "openai-key": 1}]),
        details=draw.choice([None, DETAILS, ErrorDetails(("plain",)), ErrorDetails(None)]),
    )
    return StoredCall(
        moment,
        account=draw.choice(["acme", "globex"]),
        source_id=f"s{index}",
        model=draw.choice(["gpt-4o", "claude ä", "o'\"1"]),
        failed=failed,
        streamed=draw.choice([None, True, False]),
        amount=amount,
        currency=None if amount is None else draw.choice(["USD", "EUR"]),
        amount_source=None if amount is None else draw.choice([1, 2, 3, 4]),
        amount_parts=draw.choice([None, [], [{"meter": "input", "quantity": "1200.500", "amount": "0.0030"}]]),
        tags=draw.choice([None, {"team": "search", "app": "ä"}, {"team": ""}]),
        error=error if failed and draw.random() < 0.8 else None,
        source=draw.choice([1, 2, 3, 6]),
        cache_hit=draw.choice([None, True, False]),
        attempt=draw.choice([None, 1, 2, 2**15 - 1]),
        units=draw.choice([None, {}, {"images": "2", "seconds": "12.500"}]),
        **chosen,
        **numbers,
    )


async def fill(seeded: SeededLedger) -> None:
    """Put them there: newer and older than their windows, with corrections, of two accounts."""
    now = await seeded.now()
    hours = [*range(12), *range(12), 40, 41, 300, 301, 29 * 24, 31 * 24, 399 * 24]
    await seeded.put(_call(index, now - timedelta(hours=hour, minutes=1)) for index, hour in enumerate(hours))
    hour = now.replace(minute=0) - timedelta(hours=1)
    corrected = [replace(_call(100 + index, hour), source_id=f"corrected{index}") for index in range(3)]
    await seeded.put(corrected)
    await seeded.put([await _correction(seeded, corrected[index % 2], index, now) for index in range(3)])


async def _correction(seeded: SeededLedger, call: StoredCall, index: int, now: datetime) -> StoredCall:
    """One of a call, with an amount."""
    number = await seeded.accounts.find(call.account)
    assert number is not None
    return replace(
        _call(200 + index, call.started_at),
        account=call.account,
        source_id=f"correction{index}",
        error=None,
        amount=Decimal("-0.0012"),
        currency="USD",
        amount_source=1,
        correction_of=call_uuid(number, "native", call.source_id, call.started_at),
        corrected_at=now,
    )


def policies_of(seeded: SeededLedger) -> list[Policy]:
    """The shipped policy, and one that masks and denies what a policy may."""
    rule = seeded.policy.roles[Role.VIEWER]
    seen = {
        **rule.fields,
        "Call.apiKey": View.MASKED,
        "Call.model": View.MASKED,
        "Tag.value": View.MASKED,
        "Amount.currency": View.MASKED,
        "Call.latencyMs": View.MASKED,
        "Call.provider": View.DENIED,
        "CallError.message": View.MASKED,
        "CallError.type": View.MASKED,
    }
    roles = {**seeded.policy.roles, Role.VIEWER: replace(rule, fields=MappingProxyType(seen))}
    return [seeded.policy, replace(seeded.policy, roles=MappingProxyType(roles))]
