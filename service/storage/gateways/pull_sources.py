"""Gateways whose logs are pulled, and how far each was read. `service.imports` pulls.

One process at a time works for a source: it has a lease, which ends by itself when the process is killed. The owner
alone reads and writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from service.errors import RequestError
from service.storage.connection import Queryable, affected, one_row, record_of
from service.storage.database import uuid_of

SOURCES_MAX: Final = 100
LEASE: Final = timedelta(seconds=90)
BACK_OFF_MAX: Final = timedelta(hours=1)

_COLUMNS: Final = (
    "id, name, format, shown_address, account_id, options, sealed, every_s, created_at, reached, rows, refused, "
    "last_row_at, read_at, failures, failure, due_at, leased_until"
)
_ADD: Final = """
    INSERT INTO source (id, name, format, shown_address, account_id, options, sealed, every_s, created_at, due_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), clock_timestamp()
    WHERE (SELECT count(*) FROM source) < $9
    ON CONFLICT (name) DO NOTHING
"""
_ALL: Final = f"SELECT {_COLUMNS} FROM source ORDER BY name"  # noqa: S608 - names of our own
EVERY_SOURCE: Final = f"SELECT {_COLUMNS} FROM source ORDER BY created_at, id"  # noqa: S608
"""All sources, to be held against the ledger."""
# What is sealed is not for those who only look.
_SHOWN: Final = _COLUMNS.replace(" sealed,", " ''::bytea AS sealed,")
_PAGE: Final = f"SELECT {_SHOWN} FROM source WHERE name > $1 ORDER BY name LIMIT $2"  # noqa: S608
_ONE: Final = f"SELECT {_SHOWN} FROM source WHERE id = $1"  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM source"
_REMOVE: Final = "DELETE FROM source WHERE name = $1 RETURNING id"
_FORGET_OF_ACCOUNT: Final = "DELETE FROM source WHERE account_id = $1"
_LEASE: Final = f"""
    UPDATE source SET leased_until = clock_timestamp() + $1::interval WHERE id = (
        SELECT id FROM source WHERE ($2::text IS NULL AND due_at <= clock_timestamp() OR name = $2)
            AND (leased_until IS NULL OR leased_until <= clock_timestamp())
        ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {_COLUMNS}
"""  # noqa: S608
# Only by the process that has the lease: another one may have begun where it ended.
_REACHED: Final = """
    UPDATE source SET reached = $3, rows = rows + $4, leased_until = clock_timestamp() + $5::interval
    WHERE id = $1 AND leased_until = $2 RETURNING leased_until
"""
_PROLONG: Final = """
    UPDATE source SET leased_until = clock_timestamp() + $3::interval
    WHERE id = $1 AND leased_until = $2 RETURNING leased_until
"""
_READ: Final = """
    UPDATE source SET leased_until = NULL, read_at = clock_timestamp(), failures = 0, failure = NULL,
        last_row_at = greatest(last_row_at, $3), refused = refused + $4,
        due_at = clock_timestamp() + make_interval(secs => every_s)
    WHERE id = $1 AND leased_until = $2
"""
_FAILED: Final = """
    UPDATE source SET leased_until = NULL, failures = failures + 1, failure = $3,
        due_at = clock_timestamp() + least(make_interval(secs => every_s) * 2 ^ least(failures, 10), $4::interval)
    WHERE id = $1 AND leased_until = $2
"""
_GIVE_BACK: Final = "UPDATE source SET leased_until = NULL WHERE id = $1 AND leased_until = $2"
_STATE: Final = """
    SELECT count(*) FILTER (WHERE failures > 0) AS failing,
        coalesce(extract(epoch FROM clock_timestamp() - min(coalesce(read_at, created_at))), 0)::float AS oldest_s
    FROM source
"""


class LeaseLostError(RequestError):
    """another process reads this source by now"""


@dataclass(frozen=True, slots=True)
class NewSource:
    """What a source is made of."""

    id: UUID
    name: str
    format: str
    shown_address: str
    account_id: int | None
    options: Mapping[str, str]
    sealed: bytes
    every_s: int


@dataclass(frozen=True, slots=True)
class PullSource(NewSource):
    """One gateway. `sealed`: its address and secret, as `service.imports.sealing` opens them. `reached`: behind which
    cursor it is read on; `read_at`: when it was read to its end; `last_row_at`: when the newest call began that it had;
    `failure`: why it could not be read.
    """

    created_at: datetime
    reached: str | None
    rows: int
    refused: int
    last_row_at: datetime | None
    read_at: datetime | None
    failures: int
    failure: str | None
    due_at: datetime
    leased_until: datetime | None


async def add_source(owner: Queryable, new: NewSource) -> None:
    """Add a source. Raises RequestError where there is one of its name, or too many."""
    options = orjson.dumps(dict(new.options)).decode()
    facts = (new.id, new.name, new.format, new.shown_address, new.account_id, options, new.sealed, new.every_s)
    if not affected(await owner.execute(_ADD, *facts, SOURCES_MAX)):
        raise RequestError(f"there is a source `{new.name}` already, or there are {SOURCES_MAX}: remove one first")


async def all_sources(owner: Queryable) -> list[PullSource]:
    """Every source, by name."""
    return [source_of(row) for row in await owner.fetch(_ALL)]


def source_facts(source: NewSource | PullSource) -> Mapping[str, Any]:
    """The facts of SOURCE_ADDED, with a digest of name, format, address and options."""
    of = [source.name, source.format, source.shown_address, dict(source.options)]
    digest = sha256(orjson.dumps(of, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return {
        "source": str(source.id),
        "account": source.account_id,
        "every_s": source.every_s,
        "of": f"sha256:{digest}",
    }


async def page_sources(source: Queryable, size: int, behind: str) -> list[PullSource]:
    """Sources that `source` may see, by name, behind a name; without what is sealed."""
    return [source_of(row) for row in await source.fetch(_PAGE, behind, size)]


async def get_source(source: Queryable, id_: UUID) -> PullSource | None:
    """One source, if `source` may see it; without what is sealed."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else source_of(row)


async def count_sources(source: Queryable) -> int:
    """How many sources `source` may see."""
    return await source.fetchval(_COUNT)


async def remove_source(owner: Queryable, name: str) -> UUID | None:
    """Remove a source with its secret; None where there is none of that name. Calls that it brought stay."""
    id_ = await owner.fetchval(_REMOVE, name)
    return None if id_ is None else uuid_of(id_)


async def forget_sources_of(owner: Queryable, account_id: int) -> None:
    """Remove the sources of an erased account, which would bring its calls in again."""
    await owner.execute(_FORGET_OF_ACCOUNT, account_id)


async def lease_source(owner: Queryable, name: str | None = None) -> PullSource | None:
    """The source that has been due for longest, or the one of this name, for this process alone; None for none."""
    row = await owner.fetchrow(_LEASE, LEASE, name)
    return None if row is None else source_of(row)


async def prolong_source(owner: Queryable, source: PullSource, until: datetime) -> datetime:
    """Keep a source for longer; the lease's new end. Raises LeaseLostError."""
    later = await owner.fetchval(_PROLONG, source.id, until, LEASE)
    if later is None:
        raise LeaseLostError
    return later


async def save_reached(owner: Queryable, source: PullSource, until: datetime, cursor: str, rows: int) -> datetime:
    """Note that everything up to `cursor` is stored; the lease's new end. Raises LeaseLostError."""
    later = await owner.fetchval(_REACHED, source.id, until, cursor, rows, LEASE)
    if later is None:
        raise LeaseLostError
    return later


async def save_read(
    owner: Queryable, source: PullSource, until: datetime, last_row_at: datetime | None, refused: int
) -> None:
    """Note that a source was read to its end, and give it back until it is due again."""
    await owner.execute(_READ, source.id, until, last_row_at, refused)


async def save_failed(owner: Queryable, source: PullSource, until: datetime, failure: str) -> None:
    """Note why a source cannot be read, and give it back; each time in a row it waits twice as long."""
    await owner.execute(_FAILED, source.id, until, failure, BACK_OFF_MAX)


async def give_back(owner: Queryable, source: PullSource, until: datetime) -> None:
    """Give a source back unread, for another process to take at once."""
    await owner.execute(_GIVE_BACK, source.id, until)


async def sources_state(owner: asyncpg.Pool) -> tuple[int, float]:
    """How many sources fail, and for how many seconds the one was not read that waits for longest."""
    row = await one_row(owner, _STATE)
    return row["failing"], row["oldest_s"]


def source_of(row: asyncpg.Record) -> PullSource:
    """A row of `source`."""
    options: Any = row["options"]
    options = orjson.loads(options) if isinstance(options, str) else options
    return record_of(PullSource, row, id=uuid_of(row["id"]), options=options)
