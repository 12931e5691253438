"""The compiled operation answers what the ordinary path answers, byte for byte, errors included."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from compiled_operations import ORDINARY, Writer, answer_bytes, same_answer
from graphql import StringValueNode
from graphql import build_schema as schema_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries
from rows import SeededLedger, open_seeded
from varied_rows import fill, policies_of

from policies.policy.model import Role
from service.api.execution.errors import NULL_INPUT
from service.api.schema import sdl
from service.query.model.scope import Scope


@pytest.fixture(scope="function")
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await fill(seeded)
        yield seeded


async def _scopes(seeded: SeededLedger) -> list[Scope]:
    number = await seeded.accounts.find("acme")
    assert number is not None
    shipped, masking = policies_of(seeded)
    return [
        seeded.scope(Role.ADMIN),
        seeded.scope(Role.VIEWER),
        seeded.scope(Role.PARTNER, number),
        seeded.scope(Role.SUPPORT, number, policy=shipped),
        seeded.scope(Role.AUDITOR),
        seeded.scope(Role.VIEWER, policy=masking),
    ]


OWN = {"max_examples": 80, "deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(**OWN)
@given(seed=st.integers(0, 2**64))
@example(seed=18798)  # a null that the schema refuses, beside a cursor that is none
async def test_what_is_covered_is_answered_alike(seeded: SeededLedger, seed: int) -> None:
    """Pages in every form, for any role and any data, are the same bytes on both paths, and really are compiled."""
    draw = random.Random(seed)
    scope = draw.choice(await _scopes(seeded))
    ids = await _ids(seeded)
    for _ in range(2):
        writer = Writer(draw, ids)
        answered = await same_answer(seeded, scope, writer.query, writer.variables, writer.name)
        assert answered is _covered(
            orjson.loads(await answer_bytes(seeded, ORDINARY, scope, writer.query, writer.variables, writer.name))
        ), writer.query


def _covered(answer: list[Any]) -> bool:
    """Refusals before anything is run are the ordinary path's, and so are values that the schema does not let pass."""
    paths = [error.get("path", []) for error in answer[1]]
    null = any(error["message"] == NULL_INPUT for error in answer[1])
    return not null and all(len(path) == 1 for path in paths)


async def _ids(seeded: SeededLedger) -> list[str]:
    data = await seeded.data("{ calls(first: 3) { nodes { id } } errors(first: 3) { nodes { id } } }")
    return [node["id"] for nodes in data.values() for node in nodes["nodes"]]


@settings(**OWN)
@given(
    operation=queries(
        schema_of(sdl()),
        fields=["calls", "errors"],
        custom_scalars={
            "DateTime": st.sampled_from(["2026-11-22T10:00:00Z", "1970-01-01T00:00:00.5+14:00"]).map(
                lambda value: StringValueNode(value=value)
            ),
            "Decimal": st.sampled_from(["0.1", "-12"]).map(lambda value: StringValueNode(value=value)),
            "BigInt": st.sampled_from(["0", "-5"]).map(lambda value: StringValueNode(value=value)),
        },
    ),
    which=st.integers(0, 5),
)
async def test_any_valid_operation_is_answered_alike(seeded: SeededLedger, operation: str, which: int) -> None:
    """Whatever the schema lets be asked of the lists has one answer, whichever path it takes."""
    await same_answer(seeded, (await _scopes(seeded))[which], operation, {})
