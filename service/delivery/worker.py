"""Finds what is to be delivered and delivers it, as one process of several.

A process takes a webhook by a lease, and sends it one event after the other. A lease ends by itself: what a killed
process was at is tried again, under the same id, so that a receiver gets everything at least once.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from policies.evidence import moment
from service.api.calls.recorded import StreamPace
from service.api.execution.errors import Code
from service.api.types.public_ids import encode_id
from service.api.webhooks.types import DELIVERY_PREFIX
from service.delivery.attempts import failures_since, is_over, pause_before_next
from service.delivery.calls import calls_of, find_calls
from service.delivery.holding import LEASE, Holding
from service.delivery.metrics import count_attempt, measure
from service.delivery.recipient import AnswerRefusedError, Recipient, recipient_of
from service.delivery.sender import Outcome, Sender
from service.delivery.spending import find_spending, spending_of
from service.delivery.spikes import find_spikes, spike_of
from service.errors import CalledgerError
from service.ledger import WebhookRegister
from service.log_redaction import guarded
from service.logs import get_logger
from service.query.reader import Reader
from service.retention.audit.webhook_check import webhook_differences
from service.runtime.runtime import Runtime
from service.storage.control.webhook_deliveries import (
    DeliveryRecord,
    DeliveryState,
    add_delivery,
    begin_attempt,
    due_deliveries,
    end_attempt,
    forget_deliveries,
    seconds_to_next,
)
from service.storage.control.webhook_events import (
    applied_policies,
    finished_purges,
    finished_reconciliations,
    ready_exports,
)
from service.storage.control.webhooks import (
    Lease,
    WebhookRecord,
    delete_webhook,
    disable_webhook,
    get_webhook,
    lease_webhook,
    locked_webhook,
    pass_webhooks,
    release_lease,
    wake_for_calls,
)
from service.tasks import set_within
from service.webhooks.events import WebhookEvent
from service.webhooks.sealing import Endpoint, SealLostError, open_endpoint
from service.webhooks.signatures import signed_headers

log = get_logger()
AT_ONCE: Final = 16
"""Webhooks that one process works for at a time."""
OF_A_KEY: Final = 4
"""How many of them are of one key: whose receivers hang keeps nobody else's waiting."""
LOOK_S: Final = 1.0
"""How often it is looked for webhooks that are due, and those that are sent calls become due while some come."""
IDLE: Final = timedelta(seconds=10)
"""How often it is looked whether anything else has happened."""
_FIGURES_S: Final = 25.0
_TIDY_S: Final = 3_600.0
_MEASURE_S: Final = 10.0
_TROUBLE: Final = timedelta(seconds=30)
_TURN_S: Final = 5.0
"""After so long it is another webhook's turn."""
_FINAL: Final = {code.value for code in (Code.CURSOR_EXPIRED, Code.FORBIDDEN, Code.BAD_USER_INPUT)}
"""Refusals that recipient again does not change."""
_LOOK_BACK: Final = timedelta(days=3)

_Rendering = Callable[[Recipient, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


async def _as_noted(_: Recipient, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return facts


_RENDERED: Final[Mapping[WebhookEvent, _Rendering]] = {
    **dict.fromkeys(WebhookEvent, _as_noted),
    WebhookEvent.CALLS_RECORDED: calls_of,
    WebhookEvent.SPEND_THRESHOLD: spending_of,
    WebhookEvent.ERROR_RATE_SPIKE: spike_of,
}


class DeliveryWorker:
    """Works for the webhooks that are due."""

    def __init__(self, runtime: Runtime, sender: Sender) -> None:
        self._runtime = runtime
        self._owner = runtime.database.owner
        self._reader: Reader | None = None
        self._register = WebhookRegister(runtime.ledger)
        self._sender = sender
        self._figures_at: dict[UUID, float] = {}
        self._spikes_at: dict[UUID, datetime] = {}
        self._tidied_at, self._measured_at = -_TIDY_S, -_MEASURE_S
        self._seen, self._woken_at = -1, -LOOK_S
        self._turns: dict[asyncio.Task[None], str] = {}
        self._pace = StreamPace(runtime.numbered)
        self._look = asyncio.Event()

    async def work_for_ever(self, look_s: float = LOOK_S) -> None:
        """Take what is due, some at once, until cancelled."""
        try:
            while True:
                self._look.clear()
                if not await self._taken():
                    await set_within(self._look, look_s * (0.8 + 0.4 * random.random()))  # noqa: S311 - spread
        finally:
            for turn in self._turns:
                turn.cancel()
            await asyncio.gather(*self._turns, return_exceptions=True)

    async def _taken(self) -> bool:
        """Whether a webhook was due, and is worked for now."""
        if len(self._turns) >= AT_ONCE:
            return False
        try:
            if time.monotonic() - self._measured_at >= _MEASURE_S:
                await measure(self._owner)
                keys = await self._register.keys()
                await self._pass_on(keys)
                for remembered in (self._figures_at, self._spikes_at):
                    for gone in remembered.keys() - keys.keys():
                        del remembered[gone]
                self._measured_at = time.monotonic()
            if time.monotonic() - self._tidied_at >= _TIDY_S:
                await forget_deliveries(self._owner)
                self._tidied_at = time.monotonic()
            await self._wake()
            busy = [key for key, count in Counter(self._turns.values()).items() if count >= OF_A_KEY]
            lease = await lease_webhook(self._owner, LEASE, busy)
        except Exception:  # a loop that has ended would leave everything undelivered
            log.exception("webhooks have to be looked for again")
            return False
        self._pace.streams = len(self._turns) + 1
        if lease is not None:
            turn = asyncio.create_task(self._turn(lease))
            self._turns[turn] = lease.webhook.requested_by
            turn.add_done_callback(self._turns.pop)
        return lease is not None

    async def _wake(self) -> None:
        """Have the feed looked at where it has grown."""
        count = self._runtime.numbered.count
        if count != self._seen and time.monotonic() - self._woken_at >= LOOK_S:
            await wake_for_calls(self._owner)
            self._seen, self._woken_at = count, time.monotonic()

    async def _turn(self, lease: Lease) -> None:
        webhook = lease.webhook
        async with Holding.of(self._owner, lease) as holding:
            try:
                until = time.monotonic() + _TURN_S
                while not (pause := await self.serve(webhook.id)):
                    if holding.lease is None or time.monotonic() > until:
                        break
            except Exception:  # it is tried again: nothing is lost by it
                pause = _TROUBLE
                log.exception("a webhook has to be tried again", webhook=str(webhook.id))
        try:
            if holding.lease is not None:
                await release_lease(self._owner, holding.lease, pause)
            self._look.set()
        except Exception:  # the lease ends by itself
            log.exception("a webhook waits for the end of its lease", webhook=str(webhook.id))

    async def serve(self, id_: UUID) -> timedelta:
        """Find what there is for one webhook, and send the next of it; after how long to look again."""
        found = await get_webhook(self._owner, id_)  # anew, since secrets and rights may have ended
        webhook = None if found is None or found.disabled_at is not None else await self._recorded(found)
        if webhook is None:
            return _TROUBLE
        try:
            recipient = await recipient_of(self._runtime, await self._opened(), webhook)
            if recipient is None:
                await self._disable(webhook, "its key has ended, or may do less than when it asked: make it anew")
                return _TROUBLE
            return await self._work(recipient)
        except (SealLostError, AnswerRefusedError) as error:
            if isinstance(error, AnswerRefusedError) and error.code not in _FINAL:
                raise
            await self._disable(webhook, guarded(str(error)))
            return _TROUBLE

    async def _work(self, recipient: Recipient) -> timedelta:
        """Find what there is, and make one attempt; after how long to look again."""
        begun, more = time.monotonic(), False
        await self._find(recipient)
        if recipient.receives(WebhookEvent.CALLS_RECORDED):
            more = await find_calls(self._owner, recipient)
        due = await due_deliveries(self._owner, recipient.webhook.id, 1)
        endpoint = await self._endpoint(recipient.webhook.id) if due else None
        outcome = None if endpoint is None else await self._attempt(recipient, endpoint, due[0])
        if more if outcome is None else outcome.is_delivered:
            waited_s = 0.0 if outcome is None else outcome.ms / 1000
            await asyncio.sleep(self._pace.pause_s(max(time.monotonic() - begun - waited_s, 0.0)))
            return timedelta()
        soon = await seconds_to_next(self._owner, recipient.webhook.id)
        return IDLE if soon is None else min(timedelta(seconds=max(soon, 0.0)), IDLE)

    async def _endpoint(self, id_: UUID) -> Endpoint | None:
        """Where events go and what signs them now; None for a webhook that was disabled or deleted meanwhile.

        Read after the delivery: an event that was made after a rotation is never signed by the secrets before it.
        """
        webhook = await get_webhook(self._owner, id_)
        if webhook is None or webhook.disabled_at is not None:
            return None
        return await open_endpoint(self._runtime.keyring, id_, webhook.sealed)

    async def _recorded(self, found: WebhookRecord) -> WebhookRecord | None:
        """The webhook, if the ledger has it as the table has it; to one that is not nothing is sent.

        What the ledger has as deleted came back with an older database, and is deleted again.
        """
        known = await self._register.find(str(found.id))
        if known is not None and known.ended is None and known.key != found.requested_by:
            await self._pass_on({found.id: known.key})
            found = replace(found, requested_by=known.key)
        if not list(webhook_differences(known, found)):
            return found
        async with self._owner.acquire() as connection, connection.transaction():
            webhook = await locked_webhook(connection, found.id)  # with it come the entries of whoever changed it
            if webhook is None:
                return None
            known = await self._register.find(str(webhook.id))
            wrong = next(iter(webhook_differences(known, webhook)), None)
            if wrong is None:
                return webhook
            log.error("a webhook is not as the ledger has it", webhook=str(webhook.id), difference=wrong)
            if known is not None and known.ended is not None:
                await delete_webhook(connection, webhook.id)
            else:
                await disable_webhook(connection, webhook.id, wrong)
        return None

    async def _pass_on(self, keys: Mapping[UUID, str]) -> None:
        """Give webhooks of keys that were rotated to their successors, as the ledger has it."""
        for id_ in await pass_webhooks(self._owner, keys):
            log.info("a webhook has passed to the key that took the place of its own", webhook=str(id_))

    async def _opened(self) -> Reader:
        """The reader of this process, opened when the keyring is there."""
        if self._reader is None:
            self._reader = await Reader.open(self._runtime.database, self._runtime.accounts, self._runtime.keyring)
        return self._reader

    async def _find(self, recipient: Recipient) -> None:
        """Note what has happened since, but for calls. Raises AnswerRefusedError."""
        webhook, now = recipient.webhook, datetime.now(UTC)
        since = max(webhook.created_at, now - _LOOK_BACK)
        found = {
            WebhookEvent.PURGE_FINISHED: lambda: finished_purges(self._owner, since),
            WebhookEvent.EXPORT_READY: lambda: ready_exports(
                self._owner, since, webhook.requested_by, webhook.accounts
            ),
            WebhookEvent.POLICY_APPLIED: lambda: applied_policies(self._owner, since),
            WebhookEvent.RECONCILIATION_FINISHED: lambda: finished_reconciliations(
                self._owner, since, webhook.accounts
            ),
        }
        for event, look in found.items():
            if recipient.receives(event):
                for recorded in await look():
                    await add_delivery(self._owner, webhook, event, recorded.subject, recorded.facts)
        if time.monotonic() - self._figures_at.get(webhook.id, -_FIGURES_S) < _FIGURES_S:
            return
        self._figures_at[webhook.id] = time.monotonic()
        if recipient.receives(WebhookEvent.SPEND_THRESHOLD):
            await find_spending(self._owner, recipient)
        if recipient.receives(WebhookEvent.ERROR_RATE_SPIKE):
            seen = self._spikes_at.get(webhook.id)
            self._spikes_at[webhook.id] = await find_spikes(self._owner, recipient, seen)

    async def _attempt(self, recipient: Recipient, endpoint: Endpoint, delivery: DeliveryRecord) -> Outcome | None:
        """Make one attempt, and note what came of it; None when another process makes it."""
        failed = failures_since(delivery.since, delivery.attempts)
        pause = pause_before_next(failed + 1, random.random())  # noqa: S311 - spread
        if await begin_attempt(self._owner, delivery.id, max(pause, LEASE)) is None:
            return None
        outcome = await self._sent(recipient, endpoint, delivery)
        state, reason = DeliveryState.PENDING, None
        if outcome.is_delivered:
            state = DeliveryState.DELIVERED
        elif outcome.is_gone:
            state, reason = DeliveryState.FAILED, "the receiver answered 410: it wants nothing any more"
        elif is_over(delivery.since, datetime.now(UTC)):
            state, reason = DeliveryState.FAILED, "nothing could be delivered for three days"
        said = {"ms": outcome.ms, "status": outcome.status, "failure": outcome.failure}
        await end_attempt(self._owner, delivery.id, state, said, pause)
        count_attempt(state)
        if reason is not None:
            await self._disable(recipient.webhook, reason)
        return outcome

    async def _sent(self, recipient: Recipient, endpoint: Endpoint, delivery: DeliveryRecord) -> Outcome:
        event = WebhookEvent(delivery.event)
        if not recipient.receives(event):
            return Outcome(0, failure="the key may not be sent it any more")
        try:
            data = await _RENDERED[event](recipient, delivery.facts)
        except CalledgerError as error:
            return Outcome(0, failure=guarded(str(error)))
        body = orjson.dumps({"type": event.value, "timestamp": moment(delivery.created_at), "data": data})
        id_ = encode_id(DELIVERY_PREFIX, delivery.id)
        headers = signed_headers(id_, datetime.now(UTC), body, endpoint.secrets)
        return await self._sender.post(endpoint.url, headers, body)

    async def _disable(self, webhook: WebhookRecord, reason: str) -> None:
        if await disable_webhook(self._owner, webhook.id, reason):
            log.warning("a webhook is disabled", webhook=str(webhook.id), reason=reason)
