"""Whatever figure is accepted can be read, summed and exported."""

import csv
import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import Ingest, call, ingesting

from policies import Role
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.exports.kinds import SHAPES, ExportGrouping, shape_of
from service.api.exports.requests import ExportRequest
from service.api.schema import build_schema
from service.export.sources.source import encoder_for, file_parts, open_source
from service.ingest.formats.native.fields import INTEGER_MAX
from service.ingest.results import Status
from service.query.model.scope import Scope
from service.query.reader import Reader

LARGEST = "999999999999999.999999999999"
COST_FIELDS = """
    calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens amount { amount currency }
    tokenEfficiency averageCost costPerThousandOutputTokens latencyMs { p50 p95 p99 } wastedOnFailures
    estimatedShare callsWithoutAmount
"""
COSTS = f"""
    query ($filter: CallFilter) {{
      costs(filter: $filter) {{ nodes {{ {COST_FIELDS} }} totals {{ {COST_FIELDS} }} }}
    }}
"""


class Ledger:
    """What a test sends to, and asks by either path of GraphQL. No dataclass: Hypothesis would print the policy."""

    def __init__(self, ingest: Ingest, reader: Reader) -> None:
        self.ingest, self.reader = ingest, reader

    async def data(self, query: str, variables: dict[str, Any], *, compiled: bool) -> Any:
        policy = self.ingest.applied.policy
        scope = Scope("testkey2", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
        context = Context(scope=scope, reader=self.reader, bucket=Bucket(0), max_cost=100_000, request_id="test")
        schema = build_schema(compiled=compiled)
        result = await schema.execute(query, variable_values=variables, context_value=context)
        assert result.errors is None, result.errors
        return result.data

    async def exported(self, kind: str, filter_: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of an NDJSON file with every field. A CSV file has as many, below its header."""
        policy = self.ingest.applied.policy
        scope = Scope("testkey2", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
        grouping = ExportGrouping() if kind == "COSTS" else None
        shape = SHAPES[kind] if grouping is None else shape_of(kind, grouping)
        fields = tuple((name, parts) for name, (_, parts) in shape.fields.items())
        files = []
        for form in ("NDJSON", "CSV"):
            request = ExportRequest(kind, form, fields, filter_, grouping)
            source = await open_source(self.reader, scope, request)
            encoder = encoder_for(request, source.layout, {})
            files.append(b"".join([part async for part, _ in file_parts(source, encoder)]).decode())
        rows = [json.loads(line) for line in files[0].splitlines()]
        assert len(list(csv.DictReader(io.StringIO(files[1], newline="")))) == len(rows)
        return rows


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield Ledger(ingest, await Reader.open(ingest.database, ingest.accounts, ingest.keyring))


tokens = st.sampled_from([None, 0, 1, INTEGER_MAX - 1, INTEGER_MAX])
money = st.sampled_from([None, "0", "0.000000000001", "1", LARGEST])
milliseconds = st.sampled_from([None, 0, 1, INTEGER_MAX])
parts = st.sampled_from(
    [
        [],
        [{"name": "input", "amount": LARGEST, "quantity": LARGEST, "unit_price": LARGEST}],
        [{"name": "discount", "amount": f"-{LARGEST}", "quantity": "0.000000000001"}, {"name": "input", "amount": 0}],
    ]
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row of extremes; parts of tokens do not exceed their whole."""
    whole, answered = draw(tokens), draw(tokens)
    return {
        "status": draw(st.sampled_from(["succeeded", "failed"])),
        "input_tokens": whole,
        "output_tokens": answered,
        "cache_read_tokens": draw(st.sampled_from([None, 0, whole])),
        "reasoning_tokens": draw(st.sampled_from([None, answered])),
        "amount": draw(money),
        "amount_parts": draw(parts),
        "latency_ms": draw(milliseconds),
        "time_to_first_token_ms": draw(milliseconds),
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.lists(rows(), min_size=1, max_size=6))
async def test_what_is_accepted_is_read_summed_and_exported(ledger: Ledger, given: list[dict[str, Any]]) -> None:
    """The extremes of every figure come out of calls, costs and exports, by both paths of GraphQL, and are exact."""
    account = f"a-{uuid4().hex[:8]}"
    sent = [call(f"{number}", account=account, **facts) for number, facts in enumerate(given)]
    verdicts = await ledger.ingest.report(*sent)
    assert {verdict.status for verdict in verdicts} == {Status.ACCEPTED}

    wanted = {"account": {"eq": account}}
    exported = {kind: await ledger.exported(kind, wanted) for kind in ("CALLS", "COSTS")}
    by_id = {row["sourceId"]: row for row in exported["CALLS"]}
    for number, facts in enumerate(given):
        reported = [facts[name] for name in ("input_tokens", "output_tokens") if facts[name] is not None]
        assert by_id[str(number)]["totalTokens"] == (str(sum(reported)) if reported else None)
    costs = [await ledger.data(COSTS, {"filter": wanted}, compiled=compiled) for compiled in (False, True)]
    assert costs[0] == costs[1]
    total = sum(int(entry["inputTokens"]) for entry in costs[0]["costs"]["totals"])
    assert total == sum(facts["input_tokens"] or 0 for facts in given)
    amounts = [row["amount"] for row in exported["CALLS"] if row["amount"] is not None]
    summed = [entry["amount"] for entry in costs[0]["costs"]["totals"] if entry["amount"] is not None]
    assert sum(Decimal(one["amount"]) for one in summed) == sum(Decimal(one["amount"]) for one in amounts)
