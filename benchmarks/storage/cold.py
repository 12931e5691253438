"""The cold tier: bytes a call in files and in the database, and pages of an account from both.

Calls of a month that is long past, as gateways report them (ids of 36 characters, tags on half of them), in a database
of its own. Each question is asked at the same places before and after the calls move to files, without HTTP.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.data.fill import DAYS, Shape, store_calls
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import machine
from policies import Role, Store
from policies.policy.views import view_table
from service.query.model.catalog import CALLS
from service.query.model.predicate import And, Compare, Predicate
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.page import PageRequest, PageSelection
from service.retention.cold.freeze import freeze
from service.runtime.runtime import Runtime, open_runtime
from service.settings import Settings
from service.storage.cold.catalogue import AGE_MIN, cold_files
from service.storage.ids import encode_call_id

_AGO: Final = timedelta(days=80)
_SHOWN: Final = (
    "id",
    "startedAt",
    "account",
    "model",
    "provider",
    "status",
    "inputTokens",
    "latencyMs",
    "apiKey",
    "tags",
)
_SIZE: Final = """
    SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'call'::regclass
"""
_SOME: Final = "SELECT account_id, id, started_at FROM call ORDER BY random() LIMIT $1"


async def _fill(runtime: Runtime, calls: int) -> None:
    policy = runtime.applied.policy
    tier = policy.tiers[policy.default_tier].number
    numbers = await runtime.accounts.ensure(sample.ACCOUNTS)
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _AGO - timedelta(days=DAYS)
    days = [start + timedelta(days=day) for day in range(DAYS + 1)]
    await runtime.partitions.ensure(policy, [(Store.CALL, tier, day) for day in days])
    await store_calls(runtime, Shape(calls), start, {tier: [numbers[name] for name in sample.ACCOUNTS]})
    for part in await runtime.partitions.list(Store.CALL):
        await runtime.database.owner.execute(f"VACUUM (FULL, ANALYZE) {part.name}", timeout=3600)


class _Asking:
    """Asks at the same places, before and after."""

    def __init__(self, runtime: Runtime, reader: Reader, some: Sequence[Any]) -> None:
        policy = runtime.applied.policy
        self._scope = Scope("benchmark", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
        self._reader = reader
        self._names = {number: name for name, number in runtime.accounts.ids(None).items()}
        self._some = some

    async def page(self, row: Any, *more: Predicate) -> None:
        """A page of 50 calls x 10 fields of an account, from a moment back."""
        of_account = Compare("account", "eq", self._names[row["account_id"]])
        predicate = And((of_account, Compare("startedAt", "lt", row["started_at"]), *more))
        selection = PageSelection(selection={name: {} for name in _SHOWN})
        await self._reader.page(self._scope, CALLS, PageRequest(predicate, size=50), selection)

    async def filtered(self, row: Any) -> None:
        """The same of the calls that were slow: a few in a hundred."""
        await self.page(row, Compare("latencyMs", "gt", 20_000))

    async def everybody(self, row: Any) -> None:
        """A page over every account."""
        predicate = Compare("startedAt", "lt", row["started_at"])
        selection = PageSelection(selection={name: {} for name in _SHOWN})
        await self._reader.page(self._scope, CALLS, PageRequest(predicate, size=50), selection)

    async def single(self, row: Any) -> None:
        """One call by its id."""
        found = await self._reader.call(self._scope, encode_call_id(row["account_id"], row["id"]), {"model": {}})
        assert found is not None

    async def times(self, ask: Callable[[Any], Awaitable[None]]) -> float:
        """The median of milliseconds, over all places."""
        taken = []
        for row in self._some:
            begin = time.perf_counter()
            await ask(row)
            taken.append(1000 * (time.perf_counter() - begin))
        return statistics.median(taken)


async def _measure(folder: Path, calls: int) -> dict[str, Any]:
    async with open_runtime(Settings(data=folder)) as runtime:
        await _fill(runtime, calls)
        owner, cold = runtime.database.owner, runtime.database.cold
        assert cold is not None
        hot_bytes = await owner.fetchval(_SIZE)
        reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
        some = await owner.fetch(_SOME, 60)
        random.shuffle(some)
        asking = _Asking(runtime, reader, some)
        questions = {"page": asking.page, "filtered": asking.filtered, "all": asking.everybody, "one": asking.single}
        hot = {name: await asking.times(ask) for name, ask in questions.items()}
        begin = time.monotonic()
        for _ in range(2):
            await freeze(runtime.retention, AGE_MIN, actor="benchmark", lease=timedelta(0))
        seconds = time.monotonic() - begin
        await reader.clock.refresh()
        files = [file for file in await cold_files(owner) if file.frozen]
        frozen = {name: await asking.times(ask) for name, ask in questions.items()}
    return {
        "calls": sum(file.rows for file in files),
        "hot_bytes_a_call": hot_bytes / calls,
        "bytes_a_call": sum(file.bytes for file in files) / sum(file.rows for file in files),
        "seconds": seconds,
        "hot_ms": hot,
        "cold_ms": frozen,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__, calls=300_000, quick_calls=30_000).parse_args(arguments)
    calls = calls_of(chosen)
    say(machine())
    with tempfile.TemporaryDirectory(prefix="calledger-cold-") as name:
        found = asyncio.run(_measure(Path(name), calls))
    print(f"{found['calls']:,} calls moved in {found['seconds']:.0f} s: {found['bytes_a_call']:.1f} bytes a call,")
    print(f"{found['hot_bytes_a_call']:.0f} in the database with its indexes; milliseconds, medians of 60:")
    print(f"{'':34} {'hot':>7} {'cold':>7}")
    names = {"page": "page of an account", "filtered": "the same, by a filter that few pass"}
    names |= {"all": "page of all accounts", "one": "one call"}
    for key, text in names.items():
        print(f"{text:34} {found['hot_ms'][key]:>7.1f} {found['cold_ms'][key]:>7.1f}")
    note = f"{found['hot_bytes_a_call']:.0f} in the database; {found['calls']:,} calls"
    figures = [
        Figure("cold/call", found["bytes_a_call"], note),
        Figure("cold/page", found["cold_ms"]["page"], f"{found['hot_ms']['page']:.1f} ms from the database"),
    ]
    return conclude(figures, found, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
