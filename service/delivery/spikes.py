"""`error_rate.spike`: in the hour that has ended far more calls failed than in the same hour of the last seven days."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg

from service.delivery.recipient import Recipient
from service.storage.control.webhook_deliveries import add_delivery
from service.webhooks.events import WebhookEvent

GRACE: Final = timedelta(minutes=5)
"""How long after its end an hour is looked at: calls are reported when they have ended."""
LOOK_BACK: Final = timedelta(hours=23)
"""How long before the last full hour an hour that nobody looked at is looked at still."""
ERRORS_MIN: Final = 10
BASE_CALLS_MIN: Final = 50
TIMES: Final = 2.0
SIGMAS: Final = 4.0
_DAYS: Final = 7
_HOUR: Final = timedelta(hours=1)
_ACCOUNTS_MAX: Final = 1_000
_BY_ACCOUNT: Final = """
    query ($filter: CallFilter, $first: Int) {
      costs(filter: $filter, groupBy: [ACCOUNT], orderBy: [{field: ERRORS, direction: DESC}], first: $first) {
        nodes { key { account } calls errors }
      }
    }
"""


class Counts(NamedTuple):
    """Calls, and how many of them failed."""

    calls: int = 0
    errors: int = 0

    @property
    def rate(self) -> float:
        """The share that failed."""
        return self.errors / self.calls if self.calls else 0.0


def is_spike(now: Counts, before: Counts) -> bool:
    """Whether the rate is TIMES that of before, and more than chance explains: SIGMAS by the pooled two-proportion
    z-test. With few errors, or few calls before, nothing is said.
    """
    if now.errors < ERRORS_MIN or before.calls < BASE_CALLS_MIN or now.rate < TIMES * before.rate:
        return False
    pooled = (now.errors + before.errors) / (now.calls + before.calls)
    deviation = (pooled * (1 - pooled) * (1 / now.calls + 1 / before.calls)) ** 0.5
    return deviation == 0 or (now.rate - before.rate) / deviation >= SIGMAS


async def find_spikes(owner: asyncpg.Pool, recipient: Recipient, seen: datetime | None) -> datetime:
    """Note each account of which an hour is a spike; it is sent once. Returns the last full hour, which is looked at
    again while it is the last one, since more may be reported of it.

    `seen`: what this returned before; None where nobody remembers, as after a start. Then, and where hours were missed,
    those since the webhook was made are looked at, of the last day. Raises AnswerRefusedError.
    """
    last = _hour(await recipient.context.reader.clock.now() - GRACE) - _HOUR
    first = min(max(seen or _hour(recipient.webhook.created_at), last - LOOK_BACK), last)
    for number in range((last - first) // _HOUR + 1):
        await _find_in_hour(owner, recipient, first + number * _HOUR)
    return last


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


async def _find_in_hour(owner: asyncpg.Pool, recipient: Recipient, hour: datetime) -> None:
    now = {name: one for name, one in (await _counts(recipient, hour)).items() if one.errors >= ERRORS_MIN}
    if not now:
        return
    before = dict.fromkeys(now, Counts())
    for day in range(1, _DAYS + 1):
        for name, one in (await _counts(recipient, hour - timedelta(days=day))).items():
            if name in before:
                before[name] = Counts(before[name].calls + one.calls, before[name].errors + one.errors)
    accounts = recipient.context.reader.accounts
    for name, one in now.items():
        number = await accounts.find(name)
        if number is not None and is_spike(one, before[name]):
            facts = {"account": number, "hour": hour.isoformat(), **_figures(one, before[name])}
            subject = f"spike:{hour:%Y-%m-%dT%H}:{number}"
            await add_delivery(owner, recipient.webhook, WebhookEvent.ERROR_RATE_SPIKE, subject, facts)


async def spike_of(recipient: Recipient, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with the account's name."""
    return {**facts, "account": await recipient.context.reader.accounts.name(facts["account"])}


def _figures(now: Counts, before: Counts) -> dict[str, Any]:
    return {"calls": now.calls, "errors": now.errors, "callsBefore": before.calls, "errorsBefore": before.errors}


async def _counts(recipient: Recipient, hour: datetime) -> dict[str, Counts]:
    """By account, those with most errors first."""
    moment = {"gte": hour.isoformat(), "lt": (hour + timedelta(hours=1)).isoformat()}
    asked: dict[str, Any] = {"startedAt": moment}
    wanted = recipient.webhook.request["filter"]
    if wanted is not None:
        asked = {"and": [asked, wanted]}
    nodes = (await recipient.ask(_BY_ACCOUNT, {"filter": asked, "first": _ACCOUNTS_MAX}))["costs"]["nodes"]
    return {one["key"]["account"]: Counts(int(one["calls"]), int(one["errors"])) for one in nodes}
