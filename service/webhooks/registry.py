"""Making, changing and ending webhooks: the table and the ledger's entry in one transaction.

Whoever asks was found to reach the webhook before: it was read through their own connection.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from service.errors import RequestError
from service.keyring import Keyring
from service.ledger import Ledger, LedgerKind
from service.log_redaction import guarded, without_secrets
from service.storage.connection import Connection
from service.storage.control.exports import Requester
from service.storage.control.webhook_deliveries import DeliveryRecord, add_delivery, replay_delivery
from service.storage.control.webhooks import (
    NewWebhook,
    WebhookRecord,
    add_webhook,
    delete_webhook,
    enable_webhook,
    get_webhook,
    locked_webhook,
    seal_webhook,
    wake_webhook,
)
from service.storage.database import Database
from service.webhooks.addresses import AddressGuard, shown
from service.webhooks.events import WebhookEvent
from service.webhooks.ledger_facts import webhook_facts
from service.webhooks.sealing import Endpoint, open_endpoint, seal_endpoint
from service.webhooks.signatures import SigningSecret, new_secret, rotated

NAME_CHARS_MAX: Final = 200
OVERLAP_MAX: Final = timedelta(days=7)


class NoWebhookError(RequestError):
    """there is no such webhook any more"""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A webhook to make. `request`: filter and fields of the calls; `feed_cursor`: behind which change they begin."""

    url: str
    name: str | None
    events: Collection[WebhookEvent]
    request: Mapping[str, Any]
    feed_cursor: str | None


class Webhooks:
    """The webhooks of one ledger. Secrets are given out by `create` and `rotate`, and nowhere else."""

    def __init__(self, database: Database, keyring: Keyring, ledger: Ledger, guard: AddressGuard) -> None:
        self._database = database
        self._keyring = keyring
        self._ledger = ledger
        self._guard = guard

    async def create(self, asked: WebhookRequest, requester: Requester) -> tuple[WebhookRecord, SigningSecret]:
        """A webhook and its secret. Raises RequestError for an address that is none, or too many webhooks of a key."""
        url, id_, secret = self._guard.checked_url(asked.url), uuid4(), new_secret()
        name = await _kept_name(asked.name)
        origin = await asyncio.to_thread(guarded, shown(url))
        sealed = await seal_endpoint(self._keyring, id_, Endpoint(asked.url, [secret]))
        events = frozenset(event.value for event in asked.events)
        new = NewWebhook(id_, name, events, asked.request, origin, sealed, asked.feed_cursor)
        async with self._changing() as connection:
            record = await add_webhook(connection, requester, new)
            note = origin if name is None else f"{name}: {origin}"
            kind, facts = LedgerKind.WEBHOOK_CREATED, webhook_facts(record)
            await self._ledger.append(kind, facts, actor=requester.key_id, note=note, connection=connection)
        return record, secret

    async def rotate(self, id_: UUID, overlap: timedelta, actor: str) -> tuple[WebhookRecord, SigningSecret]:
        """A new secret in place of the old one, which signs along for a while. Raises RequestError."""
        if not timedelta() <= overlap <= OVERLAP_MAX:
            raise RequestError(f"the two secrets overlap for 0 to {OVERLAP_MAX.days * 24} hours")
        secret, now = new_secret(), datetime.now(UTC)
        async with self._changing() as connection:
            record = await _locked(connection, id_)
            endpoint = await open_endpoint(self._keyring, id_, record.sealed)
            secrets = rotated(endpoint.secrets, secret, now, now + overlap)
            await seal_webhook(
                connection, id_, await seal_endpoint(self._keyring, id_, Endpoint(endpoint.url, secrets))
            )
            await self._changed(connection, id_, "secret", actor)
        return record, secret

    async def enable(self, id_: UUID, actor: str) -> WebhookRecord:
        """Send again to a webhook that was disabled, from where it had ended."""
        async with self._changing() as connection:
            record = await _locked(connection, id_)
            if record.disabled_at is not None:
                await enable_webhook(connection, id_)
                await self._changed(connection, id_, "enabled", actor)
                record = await get_webhook(connection, id_) or record
        return record

    async def delete(self, id_: UUID, actor: str) -> None:
        """Delete a webhook with its secrets and its log."""
        async with self._changing() as connection:
            await _locked(connection, id_)
            await delete_webhook(connection, id_)
            facts = {"webhook": str(id_)}
            await self._ledger.append(LedgerKind.WEBHOOK_DELETED, facts, actor=actor, connection=connection)

    async def test(self, id_: UUID) -> DeliveryRecord:
        """An event that says nothing, to be delivered now."""
        async with self._changing() as connection:
            record = await _locked(connection, id_)
            _refuse_disabled(record)
            delivery = await add_delivery(connection, record, WebhookEvent.TEST, f"test:{uuid4()}", {})
            assert delivery is not None, "no test is like another"
            await wake_webhook(connection, id_)
        return delivery

    async def replay(self, delivery: DeliveryRecord, actor: str) -> DeliveryRecord:
        """Deliver again, under the same id. Raises RequestError for what is on its way, or was replayed too often."""
        async with self._changing() as connection:
            record = await _locked(connection, delivery.webhook_id)
            _refuse_disabled(record)
            found = await replay_delivery(connection, delivery.id)
            if found is None:
                raise RequestError("the delivery is under way already, or was replayed too often")
            await self._changed(connection, record.id, "replay", actor, delivery=str(delivery.id))
            await wake_webhook(connection, record.id)
        return found

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Connection]:
        async with self._database.owner.acquire() as connection, connection.transaction():
            yield connection

    async def _changed(self, connection: Connection, id_: UUID, what: str, actor: str, **facts: str) -> None:
        entry = {"webhook": str(id_), "changed": what, **facts}
        await self._ledger.append(LedgerKind.WEBHOOK_CHANGED, entry, actor=actor, connection=connection)


async def _locked(connection: Connection, id_: UUID) -> WebhookRecord:
    record = await locked_webhook(connection, id_)
    if record is None:
        raise NoWebhookError
    return record


def _refuse_disabled(record: WebhookRecord) -> None:
    if record.disabled_at is not None:
        raise RequestError("the webhook is disabled: `enableWebhook` has it sent to again")


async def _kept_name(name: str | None) -> str | None:
    if name is None:
        return None
    if not name.isprintable() or not 0 < len(name.strip()) <= NAME_CHARS_MAX:
        raise RequestError(f"a name is one printable line of at most {NAME_CHARS_MAX} characters")
    return await asyncio.to_thread(without_secrets, name)
