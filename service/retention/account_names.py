"""The names of accounts, in the ledger as salted digests: whoever renames or swaps accounts behind our back is found.

Accounts are made by the first call that is reported under a name, in the middle of a batch and by any service. So the
rows are looked at now and then, and those that are new are written down. The salt stands beside the name and goes with
it: of an account that was erased nobody can try names against the ledger.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from policies.evidence import LedgerKind
from policies.evidence.record import Record
from service.ledger import read_record
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.purge_runs import SYSTEM
from service.storage.connection import Connection

_LOCK: Final = 0x63616C6C_0024
_SALT_BYTES: Final = 32
_UNNAMED: Final = """
    SELECT id, name FROM account
    WHERE name_salt IS NULL AND name NOT LIKE 'erased:%' AND id <> ALL ($1::integer[])
    ORDER BY id LIMIT $2
"""
_SALT: Final = """
    UPDATE account SET name_salt = new.salt FROM unnest($1::integer[], $2::bytea[]) AS new (id, salt)
    WHERE account.id = new.id
"""
"""Give accounts the salts that their names are written down under."""


def name_digest(row: Mapping[str, Any] | asyncpg.Record) -> str:
    """What the ledger has of an account's `id`, `name` and `name_salt`."""
    bound = b"calledger/account-name/v1\0%d\0" % row["id"] + row["name"].encode("utf-8", "surrogatepass")
    return "sha256:" + hashlib.sha256(row["name_salt"] + bound).hexdigest()


async def record_accounts(context: RetentionContext) -> int:
    """Write down the names of accounts that the ledger does not know; how many. 0 while another is at it.

    An account that the ledger knows is never written down again: another name is a difference, which `fsck` names.
    """
    done = 0
    async with context.owner.acquire() as connection, connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        if not await connection.fetch(_UNNAMED, [], 1):
            return 0
        record: Record = await read_record(context.ledger, kinds=(LedgerKind.ACCOUNTS_NAMED,))
        known = list(record.accounts)
        while rows := await connection.fetch(_UNNAMED, known, entries.NAMES_MAX):
            await _write(context, connection, rows)
            done += len(rows)
    return done


async def _write(context: RetentionContext, connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
    salted = [{"id": row["id"], "name": row["name"], "name_salt": os.urandom(_SALT_BYTES)} for row in rows]
    await connection.execute(_SALT, [row["id"] for row in salted], [row["name_salt"] for row in salted])
    facts = {"accounts": [row["id"] for row in salted], "names": [name_digest(row) for row in salted]}
    await context.ledger.append(LedgerKind.ACCOUNTS_NAMED, facts, actor=SYSTEM, connection=connection)
