"""A running service that sends to a receiver beside it, and what a test asks of both."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from receiving import Received, Receiver, receiving
from running import RunningService

CREATE = """
    mutation($in: CreateWebhookInput!) { createWebhook(input: $in) { secret webhook { id url events failure } } }
"""
DELIVERIES = """
    query($id: ID!) { webhookDeliveries(webhook: $id, first: 50) { totalCount nodes {
        id event state endedAt attempts { at status durationMs failure } } } }
"""
WEBHOOKS = "{ webhooks { totalCount nodes { id url name disabledAt failure accounts createdBy } } }"
ROTATE = "mutation($in: RotateWebhookSecretInput!) { rotateWebhookSecret(input: $in) { secret } }"
TEST = "mutation($id: ID!) { sendTestWebhook(id: $id) { delivery { id state } } }"
REPLAY = "mutation($id: ID!) { replayWebhookDelivery(id: $id) { delivery { id state } } }"
ENABLE = "mutation($id: ID!) { enableWebhook(id: $id) { webhook { disabledAt } } }"
DELETE = "mutation($id: ID!) { deleteWebhook(id: $id) { webhook { id } } }"
ALLOWED = {"CALLEDGER_WEBHOOK_NETWORKS": "127.0.0.0/8", "CALLEDGER_WEBHOOK_HTTP": "true"}


def call(name: str, **changes: Any) -> dict[str, Any]:
    started = datetime.now(UTC).isoformat()
    return {"id": name, "account": "acme", "model": "m", "status": "succeeded", "started_at": started, **changes}


class WebhookService:
    """A running service, a receiver beside it, and the admin's key."""

    def __init__(self, service: RunningService, receiver: Receiver) -> None:
        self.service, self.receiver = service, receiver
        self.admin = service.admin_key
        self.reports = service.new_key("ingest")

    async def ask(self, query: str, key: str | None = None, **variables: Any) -> dict[str, Any]:
        answer = await asyncio.to_thread(self.service.ask, key or self.admin, query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def code(self, query: str, key: str | None = None, **variables: Any) -> str:
        answer = await asyncio.to_thread(self.service.ask, key or self.admin, query, **variables)
        return answer["errors"][0]["extensions"]["code"]

    async def webhook(self, *events: str, key: str | None = None, **wanted: Any) -> tuple[str, str]:
        """A webhook at the receiver: its id and secret."""
        asked = {"url": f"{self.receiver.url}/hook", "events": events or ["CALLS_RECORDED"], **wanted}
        made = (await self.ask(CREATE, key, **{"in": asked}))["createWebhook"]
        return made["webhook"]["id"], made["secret"]

    async def report(self, *calls: dict[str, Any]) -> None:
        await asyncio.to_thread(self.service.report, self.reports, *calls)

    async def deliveries(self, id_: str) -> list[dict[str, Any]]:
        return (await self.ask(DELIVERIES, id=id_))["webhookDeliveries"]["nodes"]

    async def ended(self, id_: str, state: str = "DELIVERED") -> list[dict[str, Any]]:
        """The deliveries, once all of them are so."""
        while True:
            found = await self.deliveries(id_)
            if found and {one["state"] for one in found} == {state}:
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def open_webhook_service(
    data: Path, *options: str, environment: Mapping[str, str] = {}
) -> AsyncIterator[WebhookService]:
    """A service over `data` that may send to the loopback, and a receiver, during the block."""
    service = await asyncio.to_thread(RunningService, data, *options, environment={**ALLOWED, **environment})
    try:
        async with receiving() as receiver:
            yield WebhookService(service, receiver)
    finally:
        await asyncio.to_thread(service.stop)


def changes(received: list[Received], secret: str) -> list[tuple[str, str]]:
    """The changes that came, in their order: kind, and the call's id at its source."""
    bodies = [one.verified(secret) for one in received]
    return [(one["kind"], one["call"]["sourceId"]) for body in bodies for one in body["data"]["changes"]]
