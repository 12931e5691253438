"""Money is exact whatever is reported in whatever order: costs are the sums of the calls' net amounts."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bodies import read_native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import ANYONE, RECENT, Ingest, body, call, ingesting

from policies import Role
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.ingest.pipeline.writer import Writer, as_read
from service.query.model.scope import Scope
from service.query.reader import Reader

CALLS = """
    query ($filter: CallFilter) {
      calls(first: 200, filter: $filter) {
        nodes { sourceId model provider apiKey status netAmount { amount currency } }
      }
    }
"""
COSTS = """
    query ($filter: CallFilter, $by: [CostDimension!], $at: CorrectionTime) {
      costs(filter: $filter, groupBy: $by, corrections: $at) {
        rows { key { model provider apiKey status currency } calls amount { amount } }
      }
    }
"""
FIELDS = {"MODEL": "model", "PROVIDER": "provider", "API_KEY": "apiKey", "STATUS": "status"}


def reports(rng: random.Random, account: str) -> list[dict[str, Any]]:
    """Calls, each reported once or several times, by less and by more, and corrections, retried at other times."""
    rows = []
    for number in range(rng.randrange(1, 8)):
        full = call(
            f"{number}",
            account=account,
            started_at=(RECENT + timedelta(minutes=rng.randrange(40))).isoformat(),
            model=rng.choice(["gpt-4o", "made-up"]),
            status=rng.choice(["succeeded", "succeeded", "failed"]),
            provider=rng.choice([None, "openai"]),
            api_key=rng.choice([None, "prod"]),
            input_tokens=rng.choice([None, 10, 2**31 - 1]),
            output_tokens=rng.choice([None, 3]),
            amount=rng.choice([None, "0", "0.000000000001", "5.5", "999999999999"]),
            currency=rng.choice(["USD", "EUR"]),
            latency_ms=rng.choice([None, 7, 9000]),
        )
        known = ["provider", "input_tokens", "output_tokens", "amount", "latency_ms"]
        for _ in range(rng.randrange(1, 4)):
            less = dict(full)
            for name in known:
                if rng.random() < 0.4:
                    less[name] = None
            rows.append(less)
        for refund in range(rng.randrange(3)):
            given = {
                "amount": rng.choice(["-0.000000000001", "-3", "2.25", "-5.5"]),
                "currency": full["currency"],
                "account": account,
                "corrects": f"{number}",
            }
            for _ in range(rng.randrange(1, 3)):
                at = (RECENT + timedelta(minutes=40 + rng.randrange(60))).isoformat()
                rows.append(call(f"c{number}-{refund}", started_at=at, **given))
    rng.shuffle(rows)
    return rows


class Books:
    """Writers, a folder, and what asks."""

    def __init__(self, ingest: Ingest, reader: Reader, writers: list[Writer]) -> None:
        self.ingest, self.reader, self.writers = ingest, reader, writers
        self.rounds = 0

    async def data(self, query: str, variables: dict[str, Any]) -> Any:
        policy = self.ingest.applied.policy
        scope = Scope("testkey2", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
        context = Context(scope=scope, reader=self.reader, bucket=Bucket(0), max_cost=1_000_000, request_id="test")
        result = await build_schema().execute(query, variable_values=variables, context_value=context)
        assert result.errors is None, result.errors
        return result.data


@pytest.fixture
async def books(database_url: str, tmp_path: Path) -> AsyncIterator[Books]:
    async with ingesting(database_url, tmp_path) as ingest:
        writers = [ingest.writer, *[await ingest.another_writer(batch_rows=size) for size in (1, 3)]]
        yield Books(ingest, await Reader.open(ingest.database, ingest.accounts, ingest.keyring), writers)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    dimensions=st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=3),
    compact=st.sampled_from([0, 1, 3, 1000]),
    moved=st.booleans(),
)
async def test_costs_are_the_sums_of_net_amounts(
    books: Books, seed: int, dimensions: list[str], compact: int, moved: bool
) -> None:
    """For any interleaving of reports, retries, completions and corrections by several writers, compacted or not."""
    rng = random.Random(seed)
    books.rounds += 1
    account = f"a{books.rounds}"
    rows = reports(rng, account)
    pieces: list[list[dict[str, Any]]] = [[], [], []]
    for row in rows:
        rng.choice(pieces).append(row)
    sent = [
        writer.submit(read_native(body(*piece)), as_read, ANYONE, source="native")
        for writer, piece in zip(books.writers, pieces, strict=True)
        if piece
    ]
    await asyncio.gather(*sent, *([books.ingest.compaction(compact).compact()] if compact else []))
    # Again, all of it: nothing is counted twice.
    await books.writers[0].submit(read_native(body(*rows)), as_read, ANYONE, source="native")
    if compact:
        await books.ingest.compaction(compact).compact()

    wanted = {"account": {"eq": account}}
    nodes = (await books.data(CALLS, {"filter": wanted}))["calls"]["nodes"]
    expected: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for node in nodes:
        net = node["netAmount"]
        key = (*(node[FIELDS[name]] for name in dimensions), net and net["currency"])
        counts[key] += 1
        if net is not None:
            assert Decimal(net["amount"]) >= 0
            expected[key] += Decimal(net["amount"])
    at = "BY_OWN_TIME" if moved else "BY_CALL_TIME"
    found = (await books.data(COSTS, {"filter": wanted, "by": dimensions, "at": at}))["costs"]["rows"]
    keyed = {(*(row["key"][FIELDS[name]] for name in dimensions), row["key"]["currency"]): row for row in found}
    assert {key: int(row["calls"]) for key, row in keyed.items()} == counts
    assert {
        key: Decimal(row["amount"]["amount"]) for key, row in keyed.items() if row["amount"] is not None
    } == expected
    await books.ingest.assert_sums_are_right()
