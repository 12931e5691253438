"""Columns of an export hold what its rows are answered as."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import SeededLedger, open_seeded
from varied_rows import fill, policies_of

from policies.policy.model import Role
from service.api.exports.kinds import SHAPES, chosen_fields
from service.api.exports.requests import ExportRequest
from service.errors import RequestError
from service.export.files.columns import Layout
from service.export.sources import operation
from service.export.sources.source import open_source
from service.query.model.scope import Scope

COMPUTED = ["totalTokens", "tokenEfficiency", "netAmount", "correctedAt", "corrects"]
READERS = (Role.VIEWER, Role.PARTNER, Role.SUPPORT, Role.ADMIN)
"""The roles that may export."""


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await fill(seeded)
        yield seeded


async def table(seeded: SeededLedger, scope: Scope, kind: str, names: list[str], form: str) -> tuple[Layout, list[Any]]:
    """Every row of an export, as its source hands it to the file: dicts, or tuples of the columns' values."""
    request = ExportRequest(kind, form, chosen_fields(SHAPES[kind], names, scope))
    source = await open_source(seeded.reader, scope, request)
    rows: list[Any] = []
    async with aclosing(source.batches) as batches:
        async for batch in batches:
            made = batch.rows if form == "NDJSON" else [*zip(*batch.rows, strict=True)]
            assert len(made) == batch.count
            rows += made
    return source.layout, rows


def spread(row: Mapping[str, Any], layout: Layout) -> Iterator[Any]:
    """The cells of a row that is answered as JSON."""
    for columns in layout:
        name, _, part = columns[0].name.partition(".")
        if part:
            yield from (None if row[name] is None else row[name][one.name.partition(".")[2]] for one in columns)
        else:
            yield row[name]


@pytest.mark.timeout(300)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    role=st.sampled_from(READERS),
    accounts=st.sampled_from([(), (1,), (1, 2)]),
    masking=st.booleans(),
    kind=st.sampled_from(["CALLS", "ERRORS"]),
    page=st.sampled_from([9, 700]),
    seed=st.integers(0, 2**32),
)
async def test_columns_are_the_answered_rows(
    seeded: SeededLedger,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
    accounts: tuple[int, ...],
    masking: bool,
    kind: str,
    page: int,
    seed: int,
) -> None:
    """Whichever fields, policy, role, accounts and size of a page: column by column the same values and rows."""
    scope = seeded.scope(role, *accounts, policy=policies_of(seeded)[masking])
    dice, known = random.Random(seed), [name for name, _ in chosen_fields(SHAPES[kind], None, scope)]
    known += COMPUTED if kind == "CALLS" else []
    names = dice.sample(known, dice.choice([1, 3, len(known)]))
    monkeypatch.setattr(operation, "PAGE", page)
    try:
        _, rows = await table(seeded, scope, kind, names, "NDJSON")
    except RequestError:  # of the masking policy: what may not be null in the schema
        assert masking
        return
    layout, cells = await table(seeded, scope, kind, names, "CSV")
    assert cells == [tuple(spread(row, layout)) for row in rows]
    assert rows
