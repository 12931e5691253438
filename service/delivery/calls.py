"""`calls.recorded`: the change feed in batches. The feed is the queue: a webhook has one batch under way at a time.

A delivery holds the two cursors that a batch lies between, and nothing of the calls: each attempt asks `changes` anew.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import asyncpg

from service.api.webhooks.operation import changes_operation
from service.delivery.recipient import Recipient
from service.storage.control.webhook_deliveries import add_delivery, has_pending
from service.storage.control.webhooks import advance_webhook
from service.webhooks.events import WebhookEvent

BATCH: Final = 200


async def find_calls(owner: asyncpg.Pool, recipient: Recipient) -> bool:
    """Note the next batch, if there is one and none is under way; whether there is more behind it.

    Raises AnswerRefusedError, with the code CURSOR_EXPIRED where changes were purged before they were sent.
    """
    webhook, event = recipient.webhook, WebhookEvent.CALLS_RECORDED
    cursor = webhook.feed_cursor
    if await has_pending(owner, webhook.id, event):
        return False
    changes = (await recipient.ask(changes_operation((("id", ()),)), _between(recipient, cursor, None)))["changes"]
    end = changes["pageInfo"]["endCursor"]
    if end == cursor:
        return False
    async with owner.acquire() as connection, connection.transaction():
        if not await advance_webhook(connection, webhook.id, cursor, end):
            return False
        if changes["nodes"]:
            facts = {"after": cursor, "until": end, "changes": len(changes["nodes"])}
            await add_delivery(connection, webhook, event, f"changes:{_short(end)}", facts)
    return changes["pageInfo"]["hasNextPage"]


async def calls_of(recipient: Recipient, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The batch as it is now: what was erased meanwhile is not in it any more."""
    fields = tuple((name, tuple(parts)) for name, parts in recipient.webhook.request["fields"])
    found = (await recipient.ask(changes_operation(fields), _between(recipient, facts["after"], facts["until"])))[
        "changes"
    ]
    return {"after": facts["after"], "until": facts["until"], "changes": found["nodes"]}


def _between(recipient: Recipient, after: str | None, until: str | None) -> Mapping[str, Any]:
    return {"filter": recipient.webhook.request["filter"], "after": after, "until": until, "first": BATCH}


def _short(cursor: str) -> str:
    return sha256(cursor.encode()).hexdigest()
