"""The types of what runs a statement: one connection to PostgreSQL, opened alone or acquired from a pool."""

from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""A connection of our own or of a pool, which gives out a proxy that is no subclass."""

Queryable: TypeAlias = asyncpg.Pool | Connection
"""Anything that can run a statement."""


async def one_row(source: Queryable, statement: str, *arguments: object) -> asyncpg.Record:
    """The row of a statement that always returns one: an aggregate without groups, or a row inserted just before."""
    row = await source.fetchrow(statement, *arguments)
    assert row is not None, "the statement always gives a row"
    return row
