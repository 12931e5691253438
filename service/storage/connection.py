"""What statements are given to: one connection to PostgreSQL, opened alone or lent by a pool."""

from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""A connection, whoever owns it: a pool lends a proxy, which is no subclass."""
