"""On a Citus cluster every statement over calls can be planned, those included that no test comes by there."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import asyncpg
import pytest

import service
from service.storage.citus.engine import DISTRIBUTED
from service.storage.statements.write import CREATE_STAGED

pytestmark = pytest.mark.citus
OVER_CALLS = re.compile(rf"\b(FROM|JOIN|INTO|UPDATE)\s+({'|'.join(DISTRIBUTED)})\b")
BEGINS = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b")
NAMED = re.compile(r"\{\w*\}|%s")
"""A part that is put in later: what is whole is seen where it is."""
VALUES = {
    "integer": "1",
    "smallint": "1",
    "bigint": "1",
    "numeric": "1",
    "text": "'x'",
    "uuid": "'00000000-0000-7000-8000-000000000000'",
    "bytea": "'\\x00'",
    "timestamp with time zone": "now()",
    "interval": "'1 day'",
    "json": "'[]'",
    "jsonb": "'[]'",
}
"""A value of each type of parameter."""
NOT_THERE = ("service.storage.cold", "service.retention.cold", "service.storage.packing")
"""Modules of what is not there on Citus (`distribution.NOT_THERE`)."""
IN_ANOTHER_WAY = (
    "LOCK_STORED",  # `locks.fetch_locked` locks rows account by account
    "LOCK_CORRECTED",
    "LOCK_TO_PRICE",
    "OLDEST",  # chosen by `probes_by_account`
    "lost_keys._ACCOUNTS",
    "lost_keys._PERIODS",
    "_TAGGED_OF_ACCOUNT",  # not asked where `leaves_days_unsummed` is false
    "unsummed._OF_ACCOUNT",
)
"""Statements in whose stead Citus is asked another, or none."""


def statements() -> Iterator[tuple[str, str]]:
    """Every constant that is a statement over calls, with where it is."""
    seen = set[str]()
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name.endswith("__main__") or module.name.startswith(NOT_THERE):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            place = f"{module.name}.{name}"
            for text in texts(value):
                is_one = BEGINS.match(text) and OVER_CALLS.search(text) and not NAMED.search(text)
                if is_one and text not in seen and not place.endswith(IN_ANOTHER_WAY):
                    seen.add(text)
                    yield place, text


def texts(value: object) -> Iterator[str]:
    """The texts of a constant, also of tuples and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, dict):
        yield from texts(list(value.values()))


def given(kind: str, truth: str) -> str:
    """A value of a parameter's type; `truth`: that of a boolean."""
    if kind == "boolean":
        return truth
    return f"ARRAY[{VALUES[kind[:-2]]}]::{kind}" if kind.endswith("[]") else f"{VALUES[kind]}::{kind}"


async def plan_of(connection: asyncpg.Connection, statement: str) -> str:
    """How it is run with some values, and with either boolean: one may leave nothing to do, and Citus does that.

    Raises what PostgreSQL raises where it cannot be run.
    """
    await connection.execute(f"PREPARE asked AS {statement}")
    try:
        kinds = await connection.fetchval(
            "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'"
        )
        lines = list[str]()
        for truth in ("true", "false") if "boolean" in kinds else ("true",):
            values = f"({', '.join(given(kind, truth) for kind in kinds)})" if kinds else ""
            lines += [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked{values}")]
        return "\n".join(lines)
    finally:
        await connection.execute("DEALLOCATE asked")


async def test_every_statement_over_calls_is_planned(database_url: str) -> None:
    """Citus refuses none, and does none without a task: an update whose condition asks for calls can be such a one."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(CREATE_STAGED)
    wrong, planned = [], 0
    for place, text in statements():
        try:
            plan = await plan_of(connection, text)
        except asyncpg.PostgresError as error:
            wrong.append(f"{place}: {error}")
            continue
        planned += 1
        if "Task Count: 0" in plan:
            wrong.append(f"{place}: no task")
    await connection.close()
    assert wrong == []
    assert planned > 50
