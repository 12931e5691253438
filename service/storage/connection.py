"""What statements are given to: one connection to PostgreSQL, opened alone or lent by a pool."""

from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""A connection, whoever owns it: a pool lends a proxy, which is no subclass."""

Queryable: TypeAlias = asyncpg.Pool | Connection
"""What a statement can be given to."""


async def one_row(source: Queryable, statement: str, *arguments: object) -> asyncpg.Record:
    """The row of a statement that always gives one: an aggregate without groups, or what was added just before."""
    row = await source.fetchrow(statement, *arguments)
    assert row is not None, "the statement always gives a row"
    return row
