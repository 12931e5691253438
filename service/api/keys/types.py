"""API keys as the schema shows them: role, accounts and dates, never the secret or its MAC."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Final

import strawberry

from service.access.issuing import ApiKeys
from service.access.key_state import CheckedKey
from service.api.execution.context import Context
from service.api.types.calls import Node
from service.api.types.declarations import described, value
from service.api.types.enums import Role
from service.storage.control.api_keys import KeyRecord

PREFIX: Final = "key"
_ID: Final = re.compile(rf"(?:{PREFIX}_)?([2-9a-hjkmnp-z]{{8}})")


@strawberry.enum
class ApiKeyState(Enum):
    """Whether a key may be used."""

    LIVE = value("LIVE", "It may be used.")
    EXPIRED = value("EXPIRED", "Its end has come.")
    REVOKED = value("REVOKED", "It was ended, for good.")
    REFUSED = value("REFUSED", "It is live in the database and not in the ledger, and so it is refused: revoke it.")


@strawberry.type
class ApiKey(Node):
    """An API key, without its secret."""

    id: strawberry.ID = described("Opaque id, `key_...`.")
    key_id: strawberry.ID = described("Public part of the key, as in `viewer.keyId` and as the ledger's actor.")
    name: str | None = described("What it is for.")
    role: Role = described("What it may do.")
    accounts: list[str] | None = described("Accounts that it is bound to. Null: every account.")
    state: ApiKeyState = described("Whether it may be used, by the ledger.")
    created_at: datetime = described("When it was made.")
    expires_at: datetime | None = described("When it ends by itself; null: it does not.")
    last_used_at: datetime | None = described("When it was last used, to some minutes; null: never.")
    revoked_at: datetime | None = described("When it was ended; null: it was not.")


def encode_key_id(prefix: str) -> strawberry.ID:
    """The id of a key as clients see it."""
    return strawberry.ID(f"{PREFIX}_{prefix}")


def decode_key_id(text: str) -> str | None:
    """The public part of a key, given as `key_...` or alone; None for what is neither."""
    match = _ID.fullmatch(text)
    return None if match is None else match[1]


def keys_of(context: Context) -> ApiKeys:
    """The API keys of the ledger that this process serves."""
    keys: ApiKeys = context.services["keys"]
    return keys


async def key_node(context: Context, record: KeyRecord) -> ApiKey:
    """The stored key as the schema shows it."""
    return (await key_nodes(context, [record]))[0]


async def key_nodes(context: Context, records: Sequence[KeyRecord]) -> list[ApiKey]:
    """Stored keys as the schema shows them: role, accounts and end are the ledger's, and so is the state."""
    checked = await keys_of(context).checked(records)
    return [await _node(context, record, known) for record, known in zip(records, checked, strict=True)]


async def _node(context: Context, record: KeyRecord, known: CheckedKey) -> ApiKey:
    accounts = context.reader.accounts
    names = None if known.accounts is None else [await accounts.name(one) for one in known.accounts]
    return ApiKey(
        id=encode_key_id(record.prefix),
        key_id=strawberry.ID(record.prefix),
        name=record.name,
        role=Role[known.role.upper()],
        accounts=names,
        state=ApiKeyState[known.state.name],
        created_at=record.created_at,
        expires_at=known.expires_at,
        last_used_at=record.last_used_at,
        revoked_at=record.revoked_at or known.ended_at,
    )
