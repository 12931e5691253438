"""Erasing the ledger's notes that name people, and the copies of them in holds and API keys.

A leaf stays, with the salted hash of its note; without text and salt nobody can test names against it. Which notes were
erased, and why, is an entry of its own: a note that is missing without one was removed behind our back.
"""

import unicodedata
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

import asyncpg

from policies.evidence import LedgerKind, read_leaf
from service.errors import RequestError
from service.ledger import ErasedNotes
from service.retention.context import RetentionContext
from service.retention.ledger_entries import ERASED
from service.storage.connection import Connection
from service.storage.control.idempotency_keys import forget_answers
from service.storage.notifications import notify

INDEXES_MAX: Final = 500
"""How many notes one entry lists, and one request erases."""

_REASON_MAX: Final = 1500
_READ_AT_ONCE: Final = 2000
_NOTES: Final = """
    SELECT note.index, note.text, entry.kind, entry.leaf
    FROM ledger_note AS note JOIN ledger_entry AS entry ON entry.index = note.index
    WHERE note.index > $1 ORDER BY note.index LIMIT $2
"""
"""The notes of the ledger with their entries, in parts."""
_IN_FORCE: Final = "SELECT ledger_index FROM hold WHERE lifted_at IS NULL AND ledger_index IS NOT NULL"
_BLANK_HOLDS: Final = "UPDATE hold SET name = $2, owner = $2, reason = NULL WHERE ledger_index = ANY ($1)"
"""Take the words from the holds whose notes are erased."""
_BLANK_SCOPES: Final = """
    UPDATE hold SET
        model = CASE WHEN model IS NOT NULL THEN $2 END, api_key = CASE WHEN api_key IS NOT NULL THEN $2 END
    WHERE ledger_index = ANY ($1) AND released_at IS NOT NULL
"""
"""A hold in force keeps what it is about, or it would hold nothing any more; it goes when the hold ends."""
_MADE_KEYS: Final = "SELECT leaf FROM ledger_entry WHERE index = ANY ($1) AND kind = 'API_KEY_CREATED'"
"""The API keys that were made by the entries whose notes are erased."""
_BLANK_KEYS: Final = "UPDATE api_key SET name = NULL WHERE prefix = ANY ($1)"
"""Take the names from these API keys."""
_BLANK_WEBHOOKS: Final = """
    UPDATE webhook SET name = NULL WHERE id IN (
        SELECT (convert_from(leaf, 'UTF8')::jsonb #>> '{facts,webhook}')::uuid FROM ledger_entry
        WHERE index = ANY ($1) AND kind = 'WEBHOOK_CREATED'
    )
"""
"""Take the names from the webhooks that were made by the entries whose notes are erased."""
_OF_ACCOUNTS: Final = (LedgerKind.API_KEY_CREATED, LedgerKind.WEBHOOK_CREATED)
"""Entries that name several accounts."""


class NotesError(RequestError):
    """notes cannot be erased as it was asked"""


async def erase_notes(context: RetentionContext, indexes: Collection[int], *, reason: str, actor: str) -> ErasedNotes:
    """Erase the notes of these entries, and the texts of holds and keys that repeat them. Done and recorded on return.

    Raises NotesError when there are none, too many, or no reason is given.
    """
    if not reason.strip() or len(reason) > _REASON_MAX or "\0" in reason:
        raise NotesError(f"erasing notes needs a `reason` of 1 to {_REASON_MAX} characters")
    if not 1 <= len(set(indexes)) <= INDEXES_MAX:
        raise NotesError(f"name 1 to {INDEXES_MAX} entries whose notes are to go")
    async with context.owner.acquire() as connection, connection.transaction():
        done = await _erase(context, connection, sorted(set(indexes)), {}, actor=actor, note=reason)
        if not done.indexes:
            raise NotesError("none of these entries has a note, or it was erased before")
    await notify(context.owner, "keys")
    return done


async def erase_notes_naming(context: RetentionContext, name: str, *, reason: str, actor: str) -> ErasedNotes:
    """Erase the notes that contain `name` as a separate word, in any case."""
    if not name.strip():
        raise NotesError("say whom the notes name")
    async with context.owner.acquire() as connection:
        found = [row["index"] async for row in _notes(connection) if mentions(row["text"], name)]
    if not found:
        raise NotesError("no note names them")
    done = [
        await erase_notes(context, found[start : start + INDEXES_MAX], reason=reason, actor=actor)
        for start in range(0, len(found), INDEXES_MAX)
    ]
    return ErasedNotes(tuple(index for one in done for index in one.indexes), done[-1].ledger_index)


async def forget_in_notes(
    context: RetentionContext,
    connection: Connection,
    name: str,
    *,
    account: int,
    only_of_account: bool,
    facts: dict[str, Any],
    actor: str,
) -> int:
    """Erase every note that names an erased person or account, in the transaction of their erasure; how many.

    `only_of_account`: notes about other accounts are left, because a person's id is theirs within one account only.
    Holds in force keep their texts: these serve a legal claim, and can be erased by their index when it ends.
    """
    in_force = {row[0] for row in await connection.fetch(_IN_FORCE)}
    found = [
        row["index"]
        async for row in _notes(connection)
        if row["index"] not in in_force
        and mentions(row["text"], name)
        and not (only_of_account and _of_others(row["leaf"], account))
    ]
    count = 0
    for start in range(0, len(found), INDEXES_MAX):
        some = found[start : start + INDEXES_MAX]
        count += len((await _erase(context, connection, some, facts, actor=actor, note=None)).indexes)
    return count


def mentions(text: str, name: str) -> bool:
    """Whether `text` has `name` as a separate word, whatever the case and the width of its letters."""
    text, name = _folded(text), _folded(name)
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(name, end)
    return False


def without(text: str, name: str) -> str:
    """`text`, or `ERASED` when it names them, because it is about to be stored."""
    return ERASED if mentions(text, name) else text


async def _notes(connection: Connection) -> AsyncIterator[asyncpg.Record]:
    last = -1
    while rows := await connection.fetch(_NOTES, last, _READ_AT_ONCE):
        for row in rows:
            yield row
        last = rows[-1]["index"]


async def _erase(
    context: RetentionContext,
    connection: Connection,
    indexes: Sequence[int],
    facts: dict[str, Any],
    *,
    actor: str,
    note: str | None,
) -> ErasedNotes:
    done = await context.ledger.erase_notes(indexes, actor=actor, note=note, facts=facts, connection=connection)
    erased = list(done.indexes)
    await forget_answers(connection)
    await connection.execute(_BLANK_HOLDS, erased, ERASED)
    await connection.execute(_BLANK_SCOPES, erased, ERASED)
    keys = [read_leaf(row["leaf"]).facts["key"] for row in await connection.fetch(_MADE_KEYS, erased)]
    await connection.execute(_BLANK_KEYS, keys)
    await connection.execute(_BLANK_WEBHOOKS, erased)
    return done


def _of_others(leaf: bytes, account: int) -> bool:
    """Whether an entry says that it is about other accounts than this one."""
    read = read_leaf(leaf)
    named = read.facts.get("accounts") if read.kind in _OF_ACCOUNTS else read.facts.get("account")
    account_ids = named if isinstance(named, list | tuple) else [named]
    return named is not None and account not in account_ids


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
