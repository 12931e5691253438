"""`serve --demo`: sample calls of the last 30 days, and a key for each kind of reader."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from policies import ErrorReport, Report, Role
from service.access.principal import Principal
from service.commands.common import progress, say
from service.errors import OperatorError
from service.ingest.pipeline.writer import as_read
from service.ingest.setup import writer_of
from service.ledger import LedgerKind, read_record
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import any_key, live_keys_named
from service.storage.schema.installed import any_account, installation, mark_as_demo

CALLS = 6_000
DAYS = 30
_BATCH = 1_000
_SEED = 20_26
_KEY_NAME = "demo "

# (requested, served, provider, USD per million input tokens, per million output tokens, share of calls)
MODELS = (
    ("gpt-4o", "gpt-4o-2024-11-20", "openai", "2.50", "10", 30),
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai", "0.15", "0.60", 28),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "anthropic", "3", "15", 22),
    ("gemini-2.5-flash", "gemini-2.5-flash", "google", "0.30", "2.50", 14),
    ("mistral-large-latest", "mistral-large-2411", "mistral", "2", "6", 6),
)
ACCOUNTS = {"acme": ("prod-web", "prod-batch", "staging"), "globex": ("chat", "search"), "initech": ("tps-reports",)}
TEAMS = ("search", "support", "growth", "platform")
ERRORS = (
    ("RateLimitError", "429", "Rate limit reached for {model} in organization org-9fK2mQ7xLw4TzV1n on tokens per min."),
    (
        "AuthenticationError",
        "401",
        "Incorrect API key provided: sk-proj-{noise}. You can find your key in the console.",
    ),
    (
        "ContextWindowExceededError",
        "400",
        "This model's maximum context length is 128000 tokens, 131072 were requested.",
    ),
    ("Timeout", "504", "Request timed out after 60.0 seconds; request id req_{noise}"),
    ("BadRequestError", "400", "Invalid 'user': jane.doe@example.com is not a member of this project."),
    ("ServiceUnavailableError", "503", "The server is overloaded or not ready yet, contact +1 415 555 0132."),
)
DEMO_KEYS = ((Role.VIEWER, ()), (Role.PARTNER, ("acme",)), (Role.AUDITOR, ()), (Role.INGEST, ()))


class RealCallsError(OperatorError):
    """this ledger is in real use: --demo wants an empty one, so choose another directory with --data"""


def sample_calls(now: datetime, count: int = CALLS) -> Iterator[Report]:
    """`count` calls of the last 30 days, the same for the same `now`: more by day than by night, 4 % failed."""
    dice = random.Random(_SEED)  # noqa: S311 - sample data must be repeatable
    oldest = now - timedelta(days=DAYS)
    for number in range(count):
        moment = oldest + timedelta(days=DAYS) * ((number + dice.random()) / count)
        by_day = moment.replace(hour=dice.randrange(8, 18))
        if dice.random() < 0.4 and oldest < by_day < now:
            moment = by_day
        yield _sample_call(dice, f"demo-{number:06d}", moment)


def _sample_call(dice: random.Random, source_id: str, moment: datetime) -> Report:
    model, served, provider, input_price, output_price, _ = dice.choices(MODELS, weights=[m[5] for m in MODELS])[0]
    account = dice.choices(tuple(ACCOUNTS), weights=(6, 3, 1))[0]
    failed = dice.random() < 0.04
    asked = int(dice.lognormvariate(7, 1))
    cached = asked // 2 if dice.random() < 0.3 else 0
    answered = 0 if failed else int(dice.lognormvariate(5.5, 0.8))
    amount = (Decimal(asked) * Decimal(input_price) + Decimal(answered) * Decimal(output_price)) / 1_000_000
    latency_ms = int(dice.lognormvariate(6.8, 0.7))
    return Report(
        source="native",
        source_id=source_id,
        started_at=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        account=account,
        api_key=dice.choice(ACCOUNTS[account]),
        user=f"user-{dice.randrange(200)}",
        model=model,
        served_model=served,
        provider=provider,
        operation="chat",
        failed=failed,
        streamed=dice.random() < 0.6,
        input_tokens=asked,
        output_tokens=answered,
        cache_read_tokens=cached,
        amount=Decimal(0) if failed else amount,
        currency="USD",
        amount_source="BILLED",
        latency_ms=latency_ms,
        time_to_first_token_ms=None if failed else latency_ms // 4,
        tags={"team": dice.choice(TEAMS)},
        error=_sample_error(dice, model) if failed else None,
    )


def _sample_error(dice: random.Random, model: str) -> ErrorReport:
    kind, code, message = dice.choice(ERRORS)
    noise = "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789", k=32))
    return ErrorReport(
        type=kind,
        code=code,
        message=message.format(model=model, noise=noise),
        parameters={"temperature": 0.2, "max_tokens": 1024},
        occurred_at=None,
    )


async def load_demo(runtime: Runtime) -> None:
    """Load sample calls into an empty ledger and print a key for each reader; a second start prints new keys.

    Raises RealCallsError for a ledger that is in real use.
    """
    installed = await installation()
    assert installed is not None, "a ledger that is open is installed"
    record = await read_record(runtime.ledger, kinds=(LedgerKind.STARTED,))
    if not (installed.demo and record.demo):
        if await any_account():
            raise RealCallsError
        # The ledger first: a table that says it alone would take a ledger in use for a demo.
        await runtime.ledger.append(LedgerKind.STARTED, {"demo": True}, actor="system")
        await mark_as_demo()
    # The keys are made last: without any, a start was interrupted, and the same calls are loaded again.
    if not await any_key(name_begins=_KEY_NAME):
        await _load_calls(runtime, installed.created_at)
    for key_id in await live_keys_named(_KEY_NAME):
        await runtime.api_keys.revoke(key_id)
    for role, accounts in DEMO_KEYS:
        key = await runtime.api_keys.create(role, accounts=list(accounts) or None, name=f"{_KEY_NAME}{role}")
        say(f"{role:<8} {key.text}")


async def _load_calls(runtime: Runtime, now: datetime) -> None:
    principal = Principal("demo", Role.INGEST, None)
    calls = list(sample_calls(now))
    writer = writer_of(runtime)
    await writer.start()
    try:
        with progress() as bar:
            task = bar.add_task("loading sample calls", total=len(calls))
            for start in range(0, len(calls), _BATCH):
                await writer.submit(
                    calls[start : start + _BATCH], as_read, principal, source="native", wait_for_room=True
                )
                bar.advance(task, _BATCH)
    finally:
        await writer.close()
