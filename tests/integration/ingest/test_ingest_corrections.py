"""Corrections: bound to their calls, taken once, never more than was billed, and money only."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bodies import read_native
from ingesting import ANYONE, RECENT, Ingest, body, call, ingesting
from prometheus_client import REGISTRY

from policies import Role
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.errors import ServiceError
from service.ingest.pipeline.writer import as_read
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.storage.statements.correct import STORE_CORRECTIONS
from service.storage.statements.write import CREATE_STAGED, deltas_of

ACCEPTED, COMPLETED, DUPLICATE, CONFLICT, REJECTED = (
    Status.ACCEPTED,
    Status.COMPLETED,
    Status.DUPLICATE,
    Status.CONFLICT,
    Status.REJECTED,
)
REBUILT = deltas_of("call", corrections=True)
STAGE_CORRECTIONS = """
    INSERT INTO call_staged (account_id, tier, started_at, id, digest, source, source_id, amount, currency)
    SELECT account_id, tier, started_at, gen_random_uuid(), 1, source, 'of-' || source_id, '-0.5', currency FROM call
    RETURNING id, substr(source_id, 4) AS corrects
"""
CALL_FIELDS = """
    sourceId amount { amount currency source } netAmount { amount currency source } correctedAt
    corrects { sourceId } corrections { sourceId correctedAt amount { amount } corrects { sourceId } }
"""


@dataclass
class Billing:
    """A writer, and what asks of what it stored."""

    ingest: Ingest
    reader: Reader

    async def report(self, *rows: dict[str, Any]) -> list[RowResult]:
        return await self.ingest.report(*rows)

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        policy = self.ingest.applied.policy
        scope = Scope("testkey2", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
        answers = []
        for compiled in (False, True):
            context = Context(scope=scope, reader=self.reader, bucket=Bucket(0), max_cost=100_000, request_id="test")
            schema = build_schema(compiled=compiled)
            result = await schema.execute(query, variable_values=variables or {}, context_value=context)
            assert result.errors is None, result.errors
            answers.append(result.data)
        assert answers[0] == answers[1]
        return answers[0]

    async def refusal(self, row: dict[str, Any]) -> str:
        [verdict] = await self.report(row)
        assert (verdict.status, verdict.code, verdict.id) == (REJECTED, Refusal.CORRECTION_INVALID, None), verdict
        return verdict.reason or ""

    async def costs(self, arguments: str, bucket: bool = False) -> list[tuple[str | None, str, str | None, str | None]]:
        """Model (or bucket), calls, amount and average of each row, by model."""
        grouped = "bucket: DAY" if bucket else "groupBy: [MODEL]"
        data = await self.data(
            f"{{ costs({grouped} {arguments}) {{ rows {{ key {{ model bucketStart }} calls amount {{ amount }} "
            "averageCost } } }"
        )
        return [
            (
                row["key"]["bucketStart" if bucket else "model"],
                row["calls"],
                row["amount"] and row["amount"]["amount"],
                row["averageCost"],
            )
            for row in data["costs"]["rows"]
        ]


@pytest.fixture
async def billing(database_url: str, tmp_path: Path) -> AsyncIterator[Billing]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield Billing(ingest, await Reader.open(ingest.database, ingest.accounts, ingest.keyring))


def correction(id_: str, corrects: str | None, amount: str, **facts: Any) -> dict[str, Any]:
    return call(id_, corrects=corrects, amount=amount, **facts)


def statuses(verdicts: list[RowResult]) -> list[Status]:
    return [verdict.status for verdict in verdicts]


def later(minutes: int) -> str:
    return (RECENT + timedelta(minutes=minutes)).isoformat()


async def test_a_correction_changes_money_and_nothing_else(billing: Billing) -> None:
    """It is no call in counts, averages, lists and facets; its call's net amount has it."""
    first = call("a", amount="10", input_tokens=5, latency_ms=80, api_key="k", tags={"team": "search"})
    [stored] = await billing.report(first)
    [corrected] = await billing.report(correction("c", stored.id, "-4", model="another", started_at=later(5)))
    assert corrected.status is ACCEPTED
    assert statuses(await billing.report(correction("d", "a", "1.5", started_at=later(9)))) == [ACCEPTED]

    for _ in range(2):
        assert await billing.costs("") == [("gpt-4o", "1", "7.5", "7.5")]
        assert await billing.costs('filter: {tags: [{key: "team", value: {eq: "search"}}]}') == [
            ("gpt-4o", "1", "7.5", "7.5")
        ]
        assert await billing.costs("filter: {isCorrection: {eq: false}}") == [("gpt-4o", "1", "10", "10")]
        data = await billing.data(
            f"{{ calls {{ totalCount nodes {{ {CALL_FIELDS} }} }} facets {{ models {{ value count }} }} }}"
        )
        assert data["facets"]["models"] == [{"value": "gpt-4o", "count": "1"}]
        assert data["calls"]["totalCount"] == 1
        [node] = data["calls"]["nodes"]
        assert node["amount"] == {"amount": "10", "currency": "USD", "source": "BILLED"}
        assert node["netAmount"] == {"amount": "7.5", "currency": "USD", "source": "BILLED"}
        assert (node["corrects"], node["correctedAt"]) == (None, None)
        assert [(one["sourceId"], one["amount"]["amount"]) for one in node["corrections"]] == [
            ("c", "-4"),
            ("d", "1.5"),
        ]
        assert {one["corrects"]["sourceId"] for one in node["corrections"]} == {"a"}
        await billing.ingest.assert_sums_are_right()
        await billing.ingest.compaction().compact()

    data = await billing.data(
        f"{{ calls(filter: {{isCorrection: {{eq: true}}}}) {{ totalCount nodes {{ {CALL_FIELDS} }} }} }}"
    )
    assert data["calls"]["totalCount"] == 2
    assert {node["corrects"]["sourceId"] for node in data["calls"]["nodes"]} == {"a"}
    assert {node["netAmount"]["amount"] for node in data["calls"]["nodes"]} == {"-4", "1.5"}
    one = await billing.data(
        "query($id: ID!) { call(id: $id) { sourceId corrects { sourceId } } }", {"id": corrected.id}
    )
    assert one == {"call": {"sourceId": "c", "corrects": {"sourceId": "a"}}}


async def test_a_retry_refunds_once(billing: Billing) -> None:
    """A correction is known by its own id: sent again at any time it is a duplicate, with other content a conflict."""
    await billing.report(call("a", amount="10"), call("b", amount="10"))
    sent = correction("c", "a", "-3")
    assert statuses(await billing.report(sent, sent | {"started_at": later(3)})) == [ACCEPTED, DUPLICATE]
    assert statuses(await billing.report(sent | {"started_at": later(50)})) == [DUPLICATE]
    assert statuses(await billing.report(sent | {"amount": "-2"}, sent | {"corrects": "b"})) == [CONFLICT, CONFLICT]

    assert await billing.ingest.value("SELECT sum(amount) FROM call") == 17
    await billing.ingest.assert_sums_are_right()


async def test_what_cannot_be_corrected_is_refused(billing: Billing) -> None:
    """Unknown calls, other accounts, sources, currencies, itself, corrections, what has no amount: each by name."""
    [stored, other, unpriced] = await billing.report(
        call("a", amount="10"), call("a", account="other", amount="10"), call("u", model="made-up")
    )
    [taken] = await billing.report(correction("c", "a", "-1"))
    twins = [call("twin", amount="1"), call("twin", amount="1", started_at=later(1))]
    await billing.report(*twins)

    for row, why in [
        (correction("x", "nobody", "-1"), "names no call"),
        (correction("x", "call_aaaaaaibuiblfrl3qaribk6smpcl7iev", "-1"), "names no call"),
        (correction("x", other.id, "-1"), "of another account"),
        (correction("x", "x", "-1"), "names the correction itself"),
        (correction("a", stored.id, "-1", started_at=later(1)), "names the correction itself"),
        (correction("x", taken.id, "-1"), "names a correction"),
        (correction("x", "c", "-1"), "names a correction"),
        (correction("x", "a", "-1", currency="EUR"), "is in `USD`"),
        (correction("x", unpriced.id, "1"), "has no amount to correct"),
        (correction("x", "twin", "-1"), "names several calls"),
        (correction("x", "a", "-9.000000000001"), "`9` `USD` is left"),
        (correction("x", "a", "-1", started_at=(RECENT - timedelta(days=1)).isoformat()), "must not be earlier"),
        (call("x", corrects="a"), "needs an `amount`"),
    ]:
        assert why in await billing.refusal(row), row
    litellm = await billing.ingest.value("UPDATE call SET source = 2 WHERE source_id = 'u' RETURNING 1")
    assert litellm == 1
    assert "another gateway" in await billing.refusal(correction("x", unpriced.id, "1"))


async def test_a_correction_of_a_correction_of_one_request_is_named_so(billing: Billing) -> None:
    """What arrives together is told the same as what arrives later; a call's id wins over a correction's."""
    [_, first, second, itself] = await billing.report(
        call("a", amount="10"), correction("c", "a", "-1"), correction("d", "c", "-1"), correction("e", "e", "-1")
    )
    assert first.status is ACCEPTED
    assert (second.status, "names a correction" in (second.reason or "")) == (REJECTED, True)
    assert (itself.status, "names the correction itself" in (itself.reason or "")) == (REJECTED, True)
    await billing.report(call("c", amount="5"))
    assert statuses(await billing.report(correction("f", "c", "-5"))) == [ACCEPTED]
    await billing.ingest.assert_sums_are_right()


async def test_what_a_correction_adds_is_never_without_a_word(billing: Billing) -> None:
    """Up to ten times what was billed is quiet, beyond it both amounts are said and counted, alone or in sum, and
    beyond a million times it is refused; what was billed below one may grow to a million."""
    count = "calledger_ingest_steep_corrections_total"
    before = REGISTRY.get_sample_value(count) or 0.0
    await billing.report(call("a", amount="1"), call("free", amount="0"), call("big", amount="20"))
    quiet, sum_, steep = await billing.report(
        correction("c", "a", "9"), correction("d", "a", "0.5"), correction("e", "a", "989.5")
    )
    assert [(verdict.status, len(verdict.warnings)) for verdict in (quiet, sum_, steep)] == [
        (ACCEPTED, 0),
        (ACCEPTED, 1),
        (ACCEPTED, 1),
    ]
    assert steep.warnings == ("the call is now `1000.0` `USD`, more than ten times the `1` that was billed",)
    [back] = await billing.report(correction("f", "a", "-999"))
    assert (back.status, back.warnings) == (ACCEPTED, ())
    assert "a million times" in await billing.refusal(correction("g", "a", "999999999999999"))
    assert "a million times" in await billing.refusal(correction("h", "big", "19999980.000000000001"))
    [edge, free] = await billing.report(correction("i", "big", "19999980"), correction("j", "free", "1000000"))
    assert [(verdict.status, len(verdict.warnings)) for verdict in (edge, free)] == [(ACCEPTED, 1)] * 2
    [again] = await billing.report(correction("j", "free", "1000000"))
    assert (again.status, again.warnings) == (DUPLICATE, ())
    assert "a million times" in await billing.refusal(correction("k", "free", "0.000000000001"))
    assert (REGISTRY.get_sample_value(count) or 0.0) - before == 4
    assert await billing.ingest.value("SELECT sum(amount) FROM call") == 1 + 20_000_000 + 1_000_000
    await billing.ingest.assert_sums_are_right()


async def test_corrections_count_in_the_period_that_is_asked_for(billing: Billing) -> None:
    """By the call's time they lower its day; by their own, the day in which they were made, and closed days stay."""
    day = RECENT.replace(hour=12) - timedelta(days=9)
    own = day + timedelta(days=5)
    await billing.report(call("a", amount="10", started_at=day.isoformat(), api_key="k"))
    await billing.report(correction("c", "a", "-4", started_at=own.isoformat()))
    midnight = [moment.replace(hour=0).strftime("%Y-%m-%dT00:00:00.000Z") for moment in (day, own)]
    for _ in range(2):
        for filtered in (
            "",
            'filter: {apiKey: {eq: "k"}}',
            'filter: {model: {eq: "gpt-4o"}, account: {eq: "default"}}',
        ):
            assert await billing.costs(filtered, bucket=True) == [(midnight[0], "1", "6", "6")]
            assert await billing.costs(f"{filtered} corrections: BY_CALL_TIME", bucket=True) == [
                (midnight[0], "1", "6", "6")
            ]
            assert await billing.costs(f"{filtered} corrections: BY_OWN_TIME", bucket=True) == [
                (midnight[0], "1", "10", "10"),
                (midnight[1], "0", "-4", None),
            ]
            assert await billing.costs(f"{filtered} corrections: BY_OWN_TIME") == [("gpt-4o", "1", "6", "6")]
        await billing.ingest.compaction().compact()
    result = await build_schema().execute(
        "{ costs(groupBy: [OPERATION], corrections: BY_OWN_TIME) { rows { calls } } }",
        context_value=Context(
            scope=Scope(
                "k",
                Role.ADMIN,
                None,
                billing.ingest.applied.policy,
                view_table(billing.ingest.applied.policy, Role.ADMIN),
            ),
            reader=billing.reader,
            bucket=Bucket(0),
            max_cost=100_000,
            request_id="test",
        ),
    )
    assert result.errors is not None
    assert "in the sums alone" in result.errors[0].message


async def test_an_estimate_is_replaced_only_by_what_covers_its_corrections(billing: Billing) -> None:
    """What was taken back of an estimate is never more than the amount that is reported later."""
    first = call("a", input_tokens=1_000_000, output_tokens=0)
    await billing.report(first, correction("c", "a", "-2"))

    assert statuses(await billing.report(first | {"amount": "1"})) == [CONFLICT]
    assert statuses(await billing.report(first | {"amount": "9", "currency": "EUR"})) == [CONFLICT]
    assert statuses(await billing.report(first | {"amount": "2"})) == [COMPLETED]
    assert await billing.costs("") == [("gpt-4o", "1", "0", "0")]
    await billing.ingest.assert_sums_are_right()


async def test_what_a_correction_inherited_stays(billing: Billing) -> None:
    """Names that come after a correction would part it from its call: figures come in, names do not."""
    first = call("a", amount="10", model="made-up")
    await billing.report(first)
    await billing.report(correction("c", "a", "-4"))

    named = first | {"provider": "openai", "operation": "chat"}
    assert statuses(await billing.report(named, named | {"input_tokens": 5})) == [DUPLICATE, COMPLETED]
    data = await billing.data("{ costs(groupBy: [PROVIDER]) { rows { key { provider } amount { amount } } } }")
    assert data["costs"]["rows"] == [{"key": {"provider": None}, "amount": {"amount": "6"}}]
    assert await billing.ingest.value("SELECT input_tokens FROM call WHERE source_id = 'a'") == 5
    await billing.ingest.assert_sums_are_right()


async def test_writers_together_never_take_back_more_than_was_billed(billing: Billing) -> None:
    """However many corrections of one call come at once, by two writers whose connections are cut again and again."""
    writers = [billing.ingest.writer, await billing.ingest.another_writer()]
    await billing.report(*(call(f"{number}", amount="10") for number in range(4)))
    kill = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database()
          AND (query LIKE '%correction_of%' OR query LIKE 'COMMIT%')
    """
    ended = asyncio.Event()

    async def cut() -> None:
        pause_s = 0.05
        while not ended.is_set():
            await billing.ingest.value(kill)
            await asyncio.sleep(pause_s)
            pause_s *= 1.1  # however slow the machine is, a commit comes through at last

    async def send(number: int) -> Status:
        row = body(correction(f"c{number}", f"{number % 4}", "-3", started_at=later(number % 7)))
        while True:
            with suppress(ServiceError):
                [verdict] = await writers[number % 2].submit(
                    read_native(row), as_read, ANYONE, source="native", wait_for_room=True
                )
                return verdict.status

    cutter = asyncio.create_task(cut())
    try:
        # Each correction is sent by both writers.
        found = Counter(await asyncio.gather(*(send(number // 2) for number in range(80))))
    finally:
        ended.set()
        await cutter
    assert found.keys() <= {ACCEPTED, DUPLICATE, REJECTED}
    left = await billing.ingest.fetch(
        "SELECT sum(amount) AS left FROM call GROUP BY coalesce(correction_of, id) ORDER BY 1"
    )
    assert [row["left"] for row in left] == [1] * 4
    assert await billing.ingest.value("SELECT count(*) FROM correction") == 12
    assert [row[2] for row in await billing.costs("")] == ["4"]
    await billing.ingest.assert_sums_are_right()


async def test_exact_amounts_at_the_last_digit(billing: Billing) -> None:
    """A call can be taken back to nothing, and not a trillionth further."""
    await billing.report(call("a", amount="0.000000000001"))

    assert statuses(await billing.report(correction("c", "a", "-0.000000000001"))) == [ACCEPTED]
    assert "`0" in await billing.refusal(correction("d", "a", "-0.000000000001"))
    assert Decimal((await billing.costs(""))[0][2] or "1") == 0


async def test_sums_that_are_made_anew_have_corrections(billing: Billing) -> None:
    """Rebuilt from the calls, sums count what corrections add, and no call more."""
    await billing.report(call("a", amount="10"), correction("c", "a", "-4"))
    await billing.ingest.database.owner.execute(f"WITH gone AS (DELETE FROM usage_delta) {REBUILT}")

    assert await billing.costs("") == [("gpt-4o", "1", "6", "6")]
    await billing.ingest.assert_sums_are_right()


@pytest.mark.plain("counts the rows of a plan")
async def test_corrections_of_one_moment_are_not_compared_each_with_each(billing: Billing) -> None:
    """Calls of one account and millisecond are found by their whole key: the rows that PostgreSQL makes on the way to
    store their corrections are some for each, and not as many as pairs of them."""
    count = 400
    moment = (RECENT + timedelta(minutes=1)).isoformat()
    await billing.report(*(call(f"c{n}", started_at=moment, amount="1", currency="USD") for n in range(count)))
    connection = await billing.ingest.database.owner.acquire()
    try:
        async with connection.transaction():
            await connection.execute(CREATE_STAGED)
            stored = await connection.fetch(STAGE_CORRECTIONS)
            calls = {row["source_id"]: row["id"] for row in await connection.fetch("SELECT source_id, id FROM call")}
            ids = [row["id"] for row in stored]
            given = (ids, [calls[row["corrects"]] for row in stored], [RECENT] * count, [1] * count, ids)
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {STORE_CORRECTIONS}", *given)
            await connection.execute("TRUNCATE call_staged")
            assert await connection.fetchval("SELECT count(*) FROM correction") == count
    finally:
        await billing.ingest.database.owner.release(connection)

    assert rows_made(json.loads(plan)[0]["Plan"]) < 40 * count


def rows_made(node: dict[str, Any]) -> int:
    """Rows that a plan and those below it gave or threw away while joining."""
    mine = (node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0)) * node["Actual Loops"]
    return round(mine) + sum(rows_made(inner) for inner in node.get("Plans", ()))
