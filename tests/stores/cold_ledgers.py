"""A ledger of old calls of two accounts, which can move to files, and what is asked of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingesting import call
from retaining import RetainedLedger, open_retained

from policies.policy.model import Role
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.ingest.results import Status
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.retention.cold.freeze import freeze
from service.storage.cold.catalogue import AGE_MIN, cold_files
from service.storage.numbering import number_changes

NOW = datetime.now(UTC).replace(microsecond=0)
BASE = (NOW - timedelta(days=70)).replace(hour=6, minute=7, second=0)
NOTHING = timedelta(0)
IDS = "{ calls(first: 200) { nodes { id } } }"

FIELDS = """
    id startedAt account model provider status inputTokens amount { amount currency } tags { key value }
    user latencyMs traceId recordedAt corrections { id amount { amount } } netAmount { amount }
"""


@dataclass
class ColdLedger:
    """A ledger of old calls of two accounts, and one reader of it."""

    kept: RetainedLedger
    reader: Reader
    folder: Path

    @property
    def retention(self) -> Any:
        return self.kept.retention

    async def ask(self, query: str, *accounts: int, **variables: Any) -> Any:
        """Execute, for a role that sees these accounts (none: all)."""
        policy = self.kept.ingest.applied.policy
        scope = Scope("testkey2", Role.ADMIN, accounts or None, policy, view_table(policy, Role.ADMIN))
        context = Context(scope=scope, reader=self.reader, bucket=Bucket(0), max_cost=100_000, request_id="test")
        return await build_schema().execute(query, variable_values=variables, context_value=context)

    async def data(self, query: str, *accounts: int, **variables: Any) -> Any:
        result = await self.ask(query, *accounts, **variables)
        assert result.errors is None, result.errors
        return result.data

    async def freeze(self, on_step: Callable[[str], None] = lambda _: None) -> None:
        """Move all that may move, in both of its halves."""
        for _ in range(2):
            await freeze(self.retention, AGE_MIN, actor="cli", lease=NOTHING, on_step=on_step)
        await self.reader.clock.refresh()

    async def stored(self) -> int:
        return await self.kept.value("SELECT count(*) FROM call")

    async def files(self) -> list[Any]:
        return await cold_files(self.kept.ingest.database.owner)


def old_call(number: int, **facts: Any) -> dict[str, Any]:
    """One of some calls of two accounts, a few minutes apart over two weeks, of which each says something else."""
    moment = BASE + timedelta(minutes=151 * number)
    return call(
        f"old-{number}",
        **{
            "started_at": moment.isoformat(),
            "account": ("acme", "umbra")[number % 3 == 0],
            "model": ("gpt-4o", "claude", 'o"1, é')[number % 3],
            "user": f"u-{number % 4}",
            "input_tokens": number if number % 5 else None,
            "amount": f"0.0{number}1" if number % 2 else None,
            "currency": "USD" if number % 2 else None,
            "latency_ms": 100 * number,
            "trace_id": f"trace-{number}",
            "tags": {"team": f"t{number % 2}"},
        }
        | facts,
    )


@asynccontextmanager
async def opened(url: str, folder: Path, calls: int = 120) -> AsyncIterator[ColdLedger]:
    async with open_retained(url, folder) as kept:
        kept.retention.partitions.forget()
        results = await kept.report(*(old_call(number) for number in range(calls)))
        assert {result.status for result in results} == {Status.ACCEPTED}
        await kept.report(call("young", account="acme", amount="1", currency="USD"))
        async with kept.ingest.database.owner.acquire() as connection:
            while await number_changes(connection):
                pass
        reader = await Reader.open(kept.ingest.database, kept.ingest.accounts, kept.ingest.keyring)
        yield ColdLedger(kept, reader, folder / "cold")


_OF_THREE_WEEKS = (
    f'filter: {{startedAt: {{gte: "{BASE.isoformat()}", lt: "{(BASE + timedelta(days=20)).isoformat()}"}}}}'
)
_UNTIL_NOW = f'filter: {{startedAt: {{gte: "{BASE.isoformat()}", lt: "{NOW.isoformat()}"}}}}'
_FIGURES = "key { model } calls inputTokens amount { amount }"
COSTS = f"{{ costs({_UNTIL_NOW}, groupBy: [MODEL]) {{ nodes {{ {_FIGURES} }} }} }}"
QUERIES = [
    f"{{ calls(first: 200) {{ nodes {{ {FIELDS} }} totalCount pageInfo {{ hasNextPage }} }} }}",
    "{ calls(first: 200, orderBy: [{field: STARTED_AT, direction: ASC}]) { nodes { id } } }",
    '{ calls(first: 9, filter: {account: {eq: "umbra"}, status: {eq: SUCCEEDED}}) { nodes { id } totalCount } }',
    '{ calls(first: 200, filter: {tags: {key: "team", value: {eq: "t1"}}}) { nodes { id } totalCount } }',
    '{ calls(first: 200, filter: {model: {contains: "é"}}) { nodes { id model } } }',
    '{ calls(first: 3, filter: {traceId: {eq: "trace-77"}}) { nodes { id traceId } } }',
    "{ calls(last: 7, filter: {latencyMs: {gt: 3000}}) { nodes { id } pageInfo { hasPreviousPage } } }",
    f"{{ calls(first: 20, orderBy: [{{field: LATENCY}}], {_OF_THREE_WEEKS}) {{ nodes {{ id latencyMs }} }} }}",
    "{ changes(first: 200) { nodes { kind call { id model } } unreadable } }",
    f"{{ facets({_UNTIL_NOW}) {{ models {{ value count }} }} }}",
    COSTS,
]


async def paged(ledger: ColdLedger, size: int, *accounts: int) -> list[str]:
    """The ids of all calls, page by page."""
    ids: list[str] = []
    after = None
    while True:
        page = (
            await ledger.data(
                "query ($n: Int, $after: String) { calls(first: $n, after: $after) "
                "{ nodes { id } pageInfo { hasNextPage endCursor } } }",
                *accounts,
                n=size,
                after=after,
            )
        )["calls"]
        ids += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return ids
