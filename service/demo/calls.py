"""The demo's calls: requests with their retries and fallbacks, hits of a cache, late corrections."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from policies import Report
from policies.admission.report import AmountPart, Attributes
from service.demo.catalogue import CUSTOMERS, FALLBACKS, IMAGE_PRICE, Customer, Model
from service.demo.failures import DOWN, Failure, any_failure, error_report
from service.demo.timeline import down, moments

REQUESTS: Final = 12_000
CORRECTIONS: Final = 24
_SEED: Final = 20_26
_FAILS: Final = 0.035
_CACHE_HITS: Final = 0.05
_ATTEMPTS_MAX: Final = 3
_MILLION: Final = Decimal(1_000_000)
_CACHED_SHARE: Final = Decimal("0.1")
_FEATURES: Final = ("chat", "summarise", "translate", "classify")
_SHARES: Final = [customer.share for customer in CUSTOMERS]


@dataclass(frozen=True, slots=True)
class _Request:
    """What all attempts of a request have in common."""

    number: int
    customer: Customer
    api_key: str
    user: str
    tags: dict[str, str]
    trace_id: str
    session_id: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    streamed: bool


def sample_calls(now: datetime, count: int = REQUESTS) -> Iterator[Report]:
    """The calls of `count` requests in the thirty days before `now`. Who asked for what, and what failed, is the same
    at whatever hour the demo starts: only the times are other ones, and with them what an incident struck.
    """
    for number, moment in enumerate(moments(random.Random(_SEED), now, count)):  # noqa: S311 - must be repeatable
        dice = random.Random(f"{_SEED} {number}")  # noqa: S311 - the same
        customer = dice.choices(CUSTOMERS, _SHARES)[0]
        yield from _attempts(dice, _request(dice, number, customer, moment), moment, now)


def sample_corrections(calls: list[Report], now: datetime) -> list[Report]:
    """Credits and price changes for some calls that were billed, a day later: all of one key of `acme`."""
    dice = random.Random(_SEED)  # noqa: S311 - sample data must be repeatable
    billed = [call for call in calls if call.api_key == "prod-batch" and call.amount]
    chosen = dice.sample(billed, min(CORRECTIONS, len(billed)))
    return [_correction(dice, number, call, now) for number, call in enumerate(chosen)]


def _correction(dice: random.Random, number: int, call: Report, now: datetime) -> Report:
    assert call.amount is not None
    share = dice.choice((Decimal(-1), Decimal("-0.5"), Decimal("-0.2"), Decimal("0.1")))
    return Report(
        source="native",
        source_id=f"credit-{number:03d}",
        started_at=min(call.started_at + timedelta(days=1), now),
        account=call.account,
        api_key=call.api_key,
        model=call.model,
        provider=call.provider,
        failed=False,
        amount=(call.amount * share).quantize(Decimal("1e-9")),
        currency=call.currency,
        amount_source="BILLED",
        corrects=call.source_id,
    )


def _request(dice: random.Random, number: int, customer: Customer, moment: datetime) -> _Request:
    user = dice.randrange(customer.users)
    asked = 40 + int(dice.lognormvariate(7.6, 1))
    tags = {"team": dice.choice(customer.teams), "feature": dice.choice(_FEATURES)}
    api_key = dice.choices(list(customer.keys), list(customer.keys.values()))[0]
    tags["environment"] = "staging" if api_key in ("staging", "prototype") else "production"
    in_session = dice.random() < 0.6
    return _Request(
        number,
        customer,
        api_key,
        f"{customer.account}-user-{user}",
        tags,
        f"{dice.getrandbits(128):032x}",
        f"sess-{moment:%m%d}-{customer.account}-{user}" if in_session else None,
        asked,
        asked * 3 // 4 if dice.random() < 0.3 else 0,
        8 + int(dice.lognormvariate(5.5, 0.8)),
        dice.random() < 0.6,
    )


def _attempts(dice: random.Random, request: _Request, moment: datetime, now: datetime) -> Iterator[Report]:
    """The call, and what a gateway does when it fails: it tries again, and then another model."""
    models = request.customer.models
    model = dice.choices(list(models), list(models.values()))[0]
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        failure = _failure(dice, model, moment, now, attempt)
        call = _call(dice, request, model, moment, attempt, failure)
        yield call
        if failure is None or not failure.passes:
            return
        # The next begins when this one has ended and a moment was waited, or would begin after the demo's end.
        moment += timedelta(milliseconds=(call.latency_ms or 0) + 250 * 2**attempt)
        if moment >= now:
            return
        if failure is DOWN or attempt == 2:
            model = FALLBACKS.get(model, model)


def _failure(dice: random.Random, model: Model, moment: datetime, now: datetime, attempt: int) -> Failure | None:
    if down(model.provider, moment, now):
        return DOWN if dice.random() < 0.92 else None
    return any_failure(dice) if dice.random() < (_FAILS if attempt == 1 else 4 * _FAILS) else None


def _call(
    dice: random.Random, request: _Request, model: Model, moment: datetime, attempt: int, failure: Failure | None
) -> Report:
    hit = attempt == 1 and failure is None and model.operation == "chat" and dice.random() < _CACHE_HITS
    chat, image = model.operation == "chat", model.operation == "image_generation"
    answered = 0 if failure or not chat else request.output_tokens
    first_ms = 4 if hit else 90 + int(dice.lognormvariate(5.3, 0.6))
    latency_ms = first_ms + (0 if hit else int(max(answered, 1) * model.ms_per_token * dice.uniform(0.8, 1.5)))
    if failure is not None:
        latency_ms = 60_000 if failure.type == "Timeout" else first_ms
    asked = 0 if image else request.input_tokens
    parts = [] if failure or hit else _parts(model, asked, request.cached_tokens if chat else 0, answered)
    billed = model.billed or hit or failure is not None
    customer = request.customer
    return Report(
        source="native",
        source_id=f"demo-{request.number:06d}" + (f"-{attempt}" if attempt > 1 else ""),
        started_at=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        account=customer.account,
        api_key=request.api_key,
        user=request.user,
        model=model.name,
        served_model=None if failure else model.served,
        provider=model.provider,
        operation=model.operation,
        failed=failure is not None,
        streamed=request.streamed and chat,
        input_tokens=asked,
        output_tokens=answered,
        cache_read_tokens=request.cached_tokens if chat else 0,
        reasoning_tokens=answered // 3 if model.name == "gpt-5-mini" else None,
        amount=sum((part.amount for part in parts), Decimal(0)) if billed else None,
        amount_parts=parts or None if billed else None,
        currency=model.currency if billed else None,
        amount_source="BILLED" if billed else None,
        latency_ms=latency_ms,
        time_to_first_token_ms=first_ms if request.streamed and chat and failure is None else None,
        tags=request.tags,
        error=None if failure is None else error_report(dice, failure, model.name),
        attributes=Attributes(
            trace_id=request.trace_id,
            session_id=request.session_id,
            attempt=attempt,
            cache_hit=hit,
            deployment=model.deployment,
            team=request.tags["team"],
            organization=customer.organization,
            normalized_error=None if failure is None else failure.normalized,
            units={"images": Decimal(1)} if image and failure is None else None,
        ),
    )


def _parts(model: Model, asked: int, cached: int, answered: int) -> list[AmountPart]:
    """How an amount comes about: what was not in the provider's cache, what was, and the answer."""
    if model.operation == "image_generation":
        return [AmountPart("request", IMAGE_PRICE, Decimal(1), IMAGE_PRICE)]
    used = (
        ("input", asked - cached, model.input_price),
        ("cache_read", cached, model.input_price * _CACHED_SHARE),
        ("output", answered, model.output_price),
    )
    return [
        AmountPart(meter, quantity * price / _MILLION, Decimal(quantity), price / _MILLION)
        for meter, quantity, price in used
        if quantity and price
    ]
