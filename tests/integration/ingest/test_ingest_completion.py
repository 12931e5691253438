"""A later report completes a call that it contradicts nowhere: once, and the sums get the difference."""

import asyncio
import itertools
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bodies import read_native
from ingesting import ANYONE, RECENT, Ingest, body, call, eventually

from policies import Role
from policies.policy.model import Action
from policies.policy.views import view_table
from service.errors import ServiceError
from service.ingest.pipeline.writer import as_read
from service.ingest.results import RowResult, Status
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.usage.report import Costs, read_costs
from service.query.usage.report_request import NEEDS, CostRequest
from service.query.usage.source import UsageReader
from service.storage.sources import AMOUNT_UNKNOWN_NUMBERS
from service.storage.statements.complete import AMOUNT, FILLED

ACCEPTED, COMPLETED, DUPLICATE, CONFLICT = Status.ACCEPTED, Status.COMPLETED, Status.DUPLICATE, Status.CONFLICT
KILL_COMPLETIONS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
      AND (query LIKE '%FOR UPDATE OF call%' OR query LIKE '%array_append(call.digests%' OR query LIKE 'COMMIT%')
"""


def statuses(verdicts: list[RowResult]) -> list[Status]:
    return [verdict.status for verdict in verdicts]


async def costs(ingest: Ingest, *dimensions: str) -> Costs:
    policy = ingest.applied.policy
    scope = Scope("key", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
    reader = UsageReader(
        ingest.database, ingest.accounts, scope, await ingest.value("SELECT now()"), Cursors(bytes(32))
    )
    figures = frozenset(NEEDS) - {"timeToFirstTokenMs"}  # which sums do not have
    return await read_costs(
        reader, CostRequest(dimensions=dimensions, row_figures=figures, total_figures=figures, zone="UTC")
    )


async def test_a_stream_that_is_priced_later_ends_with_its_price(ingest: Ingest) -> None:
    """Unknown first, reported later: the amount is known; either report again is a duplicate, another a conflict."""
    first = call("a", model="made-up", input_tokens=10, output_tokens=5)
    second = first | {"amount": "0.25"}
    assert statuses(await ingest.report(first)) == [ACCEPTED]
    assert await ingest.value("SELECT amount_unknown FROM call") == AMOUNT_UNKNOWN_NUMBERS["NOT_PRICED"]

    assert statuses(await ingest.report(second)) == [COMPLETED]
    assert statuses(await ingest.report(first, second, first)) == [DUPLICATE] * 3
    assert statuses(await ingest.report(first | {"amount": "0.26"})) == [CONFLICT]

    row = (await ingest.fetch("SELECT amount, currency, amount_source, amount_unknown FROM call"))[0]
    assert tuple(row) == (Decimal("0.25"), "USD", 1, None)
    await ingest.assert_sums_are_right()
    await ingest.compaction().compact()
    await ingest.assert_sums_are_right()


async def test_a_reported_amount_takes_the_place_of_an_estimate(ingest: Ingest) -> None:
    """An estimate is no knowledge: what is reported later replaces it, and never the other way round."""
    first = call("a", input_tokens=1_000_000, output_tokens=0)
    assert statuses(await ingest.report(first, first | {"amount": "9", "currency": "EUR"})) == [ACCEPTED, COMPLETED]
    assert statuses(await ingest.report(first)) == [DUPLICATE]

    row = (await ingest.fetch("SELECT amount, currency, amount_source, amount_parts FROM call"))[0]
    assert tuple(row) == (Decimal(9), "EUR", 1, None)
    await ingest.assert_sums_are_right()


async def test_what_was_unknown_is_filled_in_and_counted(ingest: Ingest) -> None:
    """Tokens, latency and names that were null come in, what was known stays, and figures and percentiles follow."""
    await ingest.report(call("a", model="made-up", latency_ms=700), call("b", model="made-up", latency_ms=5))
    await ingest.compaction().compact()
    later = call("a", model="made-up", input_tokens=7, output_tokens=3, provider="openai", latency_ms=90, amount="1")
    ttft = call("a", model="made-up", time_to_first_token_ms=12)
    assert statuses(await ingest.report(later, ttft)) == [COMPLETED, COMPLETED]

    row = (await ingest.fetch("SELECT * FROM call WHERE source_id = 'a'"))[0]
    assert (row["input_tokens"], row["output_tokens"], row["provider"], row["latency_ms"]) == (7, 3, "openai", 700)
    assert row["time_to_first_token_ms"] == 12
    for _ in range(2):
        await ingest.assert_sums_are_right()
        report = await costs(ingest, "PROVIDER")
        rows = {row.key.values["PROVIDER"]: row.figures for row in report.rows}
        assert rows.keys() == {"openai", None}
        assert (rows["openai"].sums["calls"], rows["openai"].sums["amount"]) == (1, 1)
        assert [sum(figures.histograms["latency"][1]) for figures in (rows["openai"], rows[None])] == [1, 1]
        assert {total.currency: total.sums["calls"] for total in report.totals} == {"USD": 1, None: 1}
        await ingest.compaction().compact()


async def test_a_completion_may_come_before_its_call_is_folded(ingest: Ingest) -> None:
    """Whatever order the folder takes deltas in, even what is taken away before what was there, sums end right."""
    rows = [call(str(number), model="made-up", latency_ms=number * 50) for number in range(6)]
    await ingest.report(*rows)
    await ingest.report(*(row | {"amount": "1", "provider": "p"} for row in rows))
    await ingest.database.owner.execute(
        "CREATE TEMP TABLE turned AS SELECT * FROM usage_delta; DELETE FROM usage_delta;"
        "INSERT INTO usage_delta SELECT * FROM turned ORDER BY calls"
    )
    for _ in range(4):
        await ingest.compaction(1).compact()
        await ingest.assert_sums_are_right()
    report = await costs(ingest)
    assert [(total.currency, total.sums["calls"]) for total in report.totals] == [("USD", 6)]


async def test_what_contradicts_stays_a_conflict(ingest: Ingest) -> None:
    """Another end, model, token count or amount changes nothing, whatever else the report could fill in."""
    first = call("a", model="made-up", input_tokens=10, amount="1")
    await ingest.report(first)
    more = {"latency_ms": 5, "output_tokens": 1}
    others: list[dict[str, Any]] = [
        {"input_tokens": 11},
        {"amount": "2"},
        {"currency": "EUR"},
        {"model": "gpt-4o"},
        {"status": "failed"},
        {"input_tokens": None, "cache_read_tokens": 11},
    ]
    for other in others:
        assert statuses(await ingest.report(first | more | other)) == [CONFLICT], other
    assert await ingest.value("SELECT latency_ms IS NULL AND output_tokens IS NULL FROM call")
    await ingest.assert_sums_are_right()


async def test_a_report_with_less_is_a_duplicate(ingest: Ingest) -> None:
    """What says nothing new and nothing else, though never seen in this form, is a duplicate."""
    await ingest.report(call("a", model="made-up", input_tokens=1, output_tokens=2, amount="1", latency_ms=3))

    assert statuses(await ingest.report(call("a", model="made-up", input_tokens=1))) == [DUPLICATE]
    assert await ingest.value("SELECT digests IS NULL FROM call")


async def test_what_the_policy_keeps_away_is_not_completed(ingest: Ingest) -> None:
    """Where amounts are not kept, another amount is still a conflict, and none is filled in."""
    rules = dict(ingest.applied.policy.fields)
    for name in ("Call.amount", "Call.amountParts", "Call.amountUnknown"):
        rules[name] = replace(rules[name], action=Action.DROP)
    ingest.use_policy(replace(ingest.applied.policy, fields=rules))
    first = call("a", model="made-up", amount="1")
    await ingest.report(first)

    assert statuses(await ingest.report(first, first | {"amount": "2"}, call("a", model="made-up"))) == [
        DUPLICATE,
        CONFLICT,
        DUPLICATE,
    ]


async def test_completing_a_failed_call_leaves_its_error_and_user_alone(ingest: Ingest) -> None:
    """The error record is not touched, and a user that was erased does not come back."""
    failed = call(
        "a", model="made-up", status="failed", user="u-17", error={"type": "Timeout", "message": "it took too long"}
    )
    await ingest.report(failed)
    before = await ingest.fetch("SELECT * FROM call_error")
    await ingest.database.owner.execute("UPDATE call SET user_token = NULL")

    assert statuses(await ingest.report(failed | {"amount": "1"})) == [COMPLETED]
    assert await ingest.fetch("SELECT * FROM call_error") == before
    assert await ingest.value("SELECT user_token IS NULL FROM call")


PARTS = [{"name": "input", "amount": "0.75"}, {"name": "output", "amount": "0.25"}]
LATER = {
    "attempt": 2, "team": "search", "organization": "acme", "tags": {"team": "search"}, "units": {"images": 2},
}  # fmt: skip


async def test_what_comes_later_is_never_lost_in_silence(ingest: Ingest) -> None:
    """Parts of the amount, tags, units, team, organization and attempt complete a stored call, alone and together; the
    call's key, user and error do not, and the answer says so and counts them."""
    for number, (name, value) in enumerate({"amount_parts": PARTS, **LATER}.items()):
        first = call(f"c{number}", amount="1", currency="USD")
        assert statuses(await ingest.report(first, first | {name: value}, first | {name: value})) == [
            ACCEPTED, COMPLETED, DUPLICATE,
        ]  # fmt: skip
        assert await ingest.value(f"SELECT {name} IS NOT NULL FROM call WHERE source_id = 'c{number}'")
    first = call("all", amount="1", currency="USD", model="m")
    await ingest.report(first)
    assert statuses(await ingest.report(first | {"amount_parts": PARTS, **LATER})) == [COMPLETED]
    assert statuses(await ingest.report(first)) == [DUPLICATE]
    [late] = await ingest.report(first | {"api_key": "prod", "user": "u1"})
    assert late.status is DUPLICATE
    assert late.dropped == {"api_key": 1, "user": 1}
    assert [text.split(" ")[0] for text in late.warnings] == ["`api_key`", "`user`"]
    assert await ingest.value("SELECT api_key FROM call WHERE source_id = 'all'") is None
    bare = call("bad", status="failed")
    await ingest.report(bare)
    [late] = await ingest.report(bare | {"error": {"type": "E", "message": "m"}})
    assert (late.status, late.dropped) == (DUPLICATE, {"error": 1})
    await ingest.assert_sums_are_right()


async def test_tags_and_units_are_added_and_never_changed(ingest: Ingest) -> None:
    """A later report adds names of tags and units; what is there keeps its value, in one batch as in two."""
    first = call("a", tags={"team": "search"}, units={"images": 2})
    more = call("a", tags={"team": "growth", "feature": "x"}, units={"images": 5, "seconds": 3})
    assert statuses(await ingest.report(first, more)) == [ACCEPTED, COMPLETED]
    kept = await ingest.fetch("SELECT tags, units FROM call")
    assert json.loads(kept[0]["tags"]) == {"team": "search", "feature": "x"}
    assert json.loads(kept[0]["units"]) == {"images": "2", "seconds": "3"}
    assert statuses(await ingest.report(more, first)) == [DUPLICATE, DUPLICATE]


async def test_a_call_has_no_more_units_than_one_report_may_bring(ingest: Ingest) -> None:
    """However many reports add some: the others are left out, which the answer says, and the row grows no further."""
    for number in range(6):
        units = {f"u{number}_{place}": 1 for place in range(6)}
        [last] = await ingest.report(call("a", units=units))
        assert last.status is (ACCEPTED, COMPLETED, COMPLETED, DUPLICATE, DUPLICATE, DUPLICATE)[number]
        assert last.dropped == ({"units": 1} if number > 1 else {})
    assert last.warnings == ("`units` came later than its call, which takes up no more of them: left out",)
    assert len(json.loads(await ingest.value("SELECT units FROM call"))) == 16


async def test_two_writers_complete_a_call_once(ingest: Ingest) -> None:
    """Of two amounts that come at once one completes the call and the other is a conflict, and sums are exact."""
    other = await ingest.another_writer()
    calls = [call(f"{number}", model="made-up", latency_ms=number) for number in range(40)]
    await ingest.report(*calls)

    async def priced(writer: Any, amount: str, step: int) -> list[Status]:
        rows = [row | {"amount": amount} for row in calls[::step]]
        return statuses(await writer.submit(read_native(body(*rows)), as_read, ANYONE, source="native"))

    for _ in range(3):
        one, two = await asyncio.gather(priced(ingest.writer, "1", 1), priced(other, "2", -1))
        for pair in zip(one, reversed(two), strict=True):
            assert set(pair) in ({COMPLETED, CONFLICT}, {DUPLICATE, CONFLICT})
    assert await ingest.value("SELECT count(*) FROM call WHERE amount IS NOT NULL") == 40
    await ingest.assert_sums_are_right()
    await ingest.compaction().compact()
    await ingest.assert_sums_are_right()


async def test_completions_survive_kills(ingest: Ingest) -> None:
    """However often the writers' connections are cut, what is answered as completed is, once."""
    calls = [call(f"{number}", model="made-up", latency_ms=number) for number in range(300)]
    await ingest.report(*calls)
    writers = [ingest.writer, await ingest.another_writer(batch_rows=20)]
    pending = dict(zip(range(300), itertools.cycle(writers), strict=False))
    ended = asyncio.Event()

    async def kill() -> None:
        while not ended.is_set():
            await ingest.value(KILL_COMPLETIONS)
            await asyncio.sleep(0.01)

    async def send(number: int, writer: Any) -> Status:
        rows = body(calls[number] | {"amount": "0.000000000001"})
        while True:
            with suppress(ServiceError):
                [verdict] = await writer.submit(read_native(rows), as_read, ANYONE, source="native", wait_for_room=True)
                return verdict.status

    killer = asyncio.create_task(kill())
    try:
        found = Counter(await asyncio.gather(*(send(number, writer) for number, writer in pending.items())))
    finally:
        ended.set()
        await killer
    # Whose connection broke as it was committed asks again, and may find its own completion there.
    assert found.keys() <= {COMPLETED, DUPLICATE}
    assert await ingest.value("SELECT sum(amount) FROM call") == Decimal("0.000000000300")
    await eventually(lambda: ingest.value("SELECT sum(priced) = 300 AND sum(calls) = 300 FROM usage_delta"))
    await ingest.assert_sums_are_right()


async def test_what_is_filled_in_is_in_no_index(ingest: Ingest) -> None:
    """A completed row stays on its page where there is room: no index has what a completion changes, but for the trace,
    which is there from the first report on."""
    await ingest.report(call("a"))
    indexed = await ingest.fetch(
        """
        SELECT DISTINCT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = 'call'::regclass OR indrelid IN (SELECT inhrelid FROM pg_inherits
                                                          WHERE inhparent = 'call'::regclass)
        """
    )
    assert {row["attname"] for row in indexed} & {*FILLED, *AMOUNT, "digest", "digests"} == {"trace_id"}


async def test_what_was_purged_is_refused_plainly(ingest: Ingest) -> None:
    """A completion that comes after its call's window says so, and stores nothing."""
    started_at = RECENT.replace(year=RECENT.year - 3).isoformat()
    [verdict] = await ingest.report(call("a", started_at=started_at, amount="1"))

    assert verdict.status is Status.REJECTED
    assert verdict.reason is not None
    assert "older than calls are kept" in verdict.reason
