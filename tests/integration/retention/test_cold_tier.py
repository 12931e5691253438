"""Calls in files: every answer is as it was before they moved, and what may not be in a file comes back first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cold_ledgers import COSTS, IDS, NOTHING, QUERIES, ColdLedger, old_call, opened, paged
from ingesting import call
from retaining import Killed

from policies.policy.model import Store
from service.ingest.results import Status
from service.query.usage.correction_check import check_corrections
from service.retention.audit.fsck import check_ledger
from service.retention.cold.freeze import candidates, freeze
from service.retention.cold.thaw import thaw, thaw_held
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.purge.planning import plan_purge
from service.storage.cold.catalogue import AGE_MIN

pytestmark = pytest.mark.plain("calls in files of the cold tier")


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ColdLedger]:
    async with opened(database_url, tmp_path) as ledger:
        yield ledger


async def test_every_answer_is_as_it_was(any_database_url: str, tmp_path: Path) -> None:
    """Lists, filters, orders, counts, the feed, sums and single calls answer the same from files."""
    async with opened(any_database_url, tmp_path) as ledger:
        await _answers_stay(ledger)


async def _answers_stay(ledger: ColdLedger) -> None:
    before = [await ledger.data(query) for query in QUERIES]
    ids = [node["id"] for node in before[0]["calls"]["nodes"]]
    assert len(ids) == 121
    await ledger.freeze()
    assert await ledger.stored() == 1 and len(await ledger.files()) >= 2
    for query, expected in zip(QUERIES, before, strict=True):
        assert await ledger.data(query) == expected, query
    assert await paged(ledger, 7) == ids
    nodes = await ledger.data(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Call { id latencyMs } } }", ids=ids[:50]
    )
    assert [node["id"] for node in nodes["nodes"]] == ids[:50]


async def test_a_scope_ends_at_its_accounts(ledger: ColdLedger) -> None:
    """A key of one account gets nothing of another's from a file, and PostgreSQL itself would give it nothing."""
    await ledger.freeze()
    names = ledger.kept.ingest.accounts.ids(None)
    for name, account in names.items():
        found = (await ledger.data("{ calls(first: 200) { nodes { account } } }", account))["calls"]["nodes"]
        assert found and {node["account"] for node in found} == {name}
    other = (await ledger.data(IDS, names["umbra"]))["calls"]["nodes"][0]["id"]
    query = "query ($id: ID!) { node(id: $id) { id } }"
    assert (await ledger.data(query, names["acme"], id=other))["node"] is None
    (file, *_) = await ledger.files()
    row = f'[{{"account_id": {names["umbra"]}, "tier": 1, "started_at": "{file.start.isoformat()}"}}]'
    async with ledger.kept.ingest.database.reading((names["acme"],)) as connection:
        given = await connection.fetch("SELECT account_id FROM calledger_cold($1, $2)", [file.id], row)
        assert given == []
    async with ledger.kept.ingest.database.reading((names["umbra"],)) as connection:
        assert len(await connection.fetch("SELECT account_id FROM calledger_cold($1, $2)", [file.id], row)) == 1


async def test_each_kill_leaves_every_call_once(any_database_url: str, tmp_path: Path) -> None:
    """Ended after any step of the move, or of the way back, each call is there once, and the next round ends it."""
    async with opened(any_database_url, tmp_path, calls=90) as ledger:
        before = (await ledger.data(QUERIES[0]))["calls"]
        seen: list[str] = []
        while True:
            killed = f"{len(seen)}"

            def on_step(step: str, killed: str = killed) -> None:
                if step not in seen:
                    seen.append(step)
                    raise Killed(killed)

            try:
                await ledger.freeze(on_step)
            except Killed:
                await ledger.reader.clock.refresh()
                assert (await ledger.data(QUERIES[0]))["calls"] == before, seen[-1]
                continue
            break
        assert seen == ["file written", "file listed", "file renamed", "file verified", "rows deleted", "file frozen"]
        assert (await ledger.data(QUERIES[0]))["calls"] == before
        assert await ledger.stored() == 1
        for file in await ledger.files():
            await thaw(ledger.retention, file, actor="cli")
            await ledger.reader.clock.refresh()
            assert (await ledger.data(QUERIES[0]))["calls"] == before
        assert await ledger.stored() == 91


async def test_a_reader_sees_each_call_once_at_every_moment(ledger: ColdLedger) -> None:
    """A reader whose list of files is as old as it may be sees each call once: before, at and after each commit."""
    ids = await paged(ledger, 200)
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    await ledger.reader.clock.refresh()  # from now on it knows the files, and nothing newer
    assert await paged(ledger, 50) == ids
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert await ledger.stored() == 1
    assert await paged(ledger, 50) == ids
    for file in await ledger.files():
        await thaw(ledger.retention, file, actor="cli")
    assert await paged(ledger, 50) == ids


async def test_a_file_does_not_answer_before_readers_know_it(ledger: ColdLedger) -> None:
    """Within the lease the rows stay where they are."""
    for _ in range(2):
        assert await freeze(ledger.retention, AGE_MIN, actor="cli") == []
    assert await ledger.stored() == 121 and not any(file.frozen for file in await ledger.files())


async def test_late_reports_are_told_from_new_ones(ledger: ColdLedger) -> None:
    """A call in a file that comes again is a duplicate, a conflict or completed, and one that is new is stored."""
    await ledger.freeze()
    before = await ledger.data(COSTS)
    again = await ledger.kept.report(*(old_call(number) for number in range(0, 40, 3)))
    assert {result.status for result in again} == {Status.DUPLICATE}
    assert await ledger.data(COSTS) == before
    changed = await ledger.kept.report(
        old_call(1, amount="9"), old_call(2, amount="0.5", currency="USD"), old_call(500)
    )
    assert [result.status for result in changed] == [Status.CONFLICT, Status.COMPLETED, Status.ACCEPTED]
    found = await ledger.data(
        '{ calls(filter: {traceId: {eq: "trace-2"}}) { nodes { amount { amount } } totalCount } }'
    )
    assert found["calls"]["nodes"] == [{"amount": {"amount": "0.5"}}]
    assert len(set(await paged(ledger, 30))) == len(await paged(ledger, 30)) == 122


async def test_a_call_in_a_file_is_corrected_by_its_id(ledger: ColdLedger) -> None:
    """A correction finds its call in a file, and is judged with the corrections before it; fsck misses none of them."""
    ids = {node["traceId"]: node["id"] for node in (await ledger.data(QUERIES[0]))["calls"]["nodes"]}
    target = ids["trace-1"]
    first = {"account": "acme", "currency": "USD", "corrects": target}
    assert [one.status for one in await ledger.kept.report(call("c-1", amount="-0.005", **first))] == [Status.ACCEPTED]
    await ledger.freeze()
    assert [one async for one in check_corrections(ledger.retention.owner, ledger.retention.policy())] == []
    second = await ledger.kept.report(call("c-2", amount="-0.007", **first), call("c-3", amount="-0.005", **first))
    assert [one.status for one in second] == [Status.REJECTED, Status.ACCEPTED]
    query = "query ($id: ID!) { node(id: $id) { ... on Call { netAmount { amount } corrections { id } } } }"
    node = (await ledger.data(query, id=target))["node"]
    assert float(node["netAmount"]["amount"]) == pytest.approx(0.001) and len(node["corrections"]) == 2


async def test_a_changed_partition_stays_where_it_is(ledger: ColdLedger) -> None:
    """A row that comes after the file was written keeps the whole partition from moving; the file is forgotten."""
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    (first, *_) = await ledger.files()
    await ledger.kept.report(old_call(0, id="late", started_at=(first.start + timedelta(hours=1)).isoformat()))
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert not (ledger.folder / first.name).exists()
    await ledger.freeze()
    assert await ledger.stored() == 1
    assert len(await paged(ledger, 200)) == 122


async def test_fsck_says_what_it_did_not_look_at(ledger: ColdLedger) -> None:
    """With calls in files every check passes, and says that it did not look at them; another file is found out."""
    await ledger.kept.purge()
    await ledger.freeze()
    found = {one.check: one async for one in check_ledger(ledger.retention)}
    assert {name: one.detail for name, one in found.items() if not one.ok} == {}
    assert "not looked at" in found["usage"].detail and "not looked at" in found["feed"].detail
    assert "was not looked at" in found["cold tier"].detail
    assert (await ledger.kept.kinds()).count("PARTITION_FROZEN") == len(await ledger.files())
    (file, *_) = await ledger.files()
    await ledger.kept.ingest.database.owner.execute("UPDATE cold_file SET sha256 = sha256(name::bytea)")
    assert file.name in (await ledger.kept.findings())["cold tier"]


async def test_an_erasure_reaches_calls_in_files(ledger: ColdLedger) -> None:
    """An erased person or account is in no file afterwards, and in no answer."""
    await ledger.freeze()
    erasure = {"account": "acme", "reason": "asked", "actor": "cli"}
    await request_erasure(ledger.retention, kind=ErasureKind.USER, user="u-1", **erasure)
    await ledger.reader.clock.refresh()
    assert await ledger.kept.value("SELECT count(*) FROM call WHERE trace_id = 'trace-1' AND user_token IS NULL") == 1
    await request_erasure(ledger.retention, kind=ErasureKind.ACCOUNT, user=None, **erasure)
    await ledger.freeze()
    names = (await ledger.data("{ calls(first: 200) { nodes { account } } }"))["calls"]["nodes"]
    assert {node["account"] for node in names} == {"umbra"}
    account = await ledger.kept.value("SELECT account_id FROM erasure WHERE kind = 'ACCOUNT'")
    assert not any([await ledger.kept.ingest.database.cold.has_account(file, account) for file in await ledger.files()])


async def test_a_hold_keeps_calls_out_of_files(ledger: ColdLedger) -> None:
    """A partition with rows of a held account does not move, and one that has moved comes back."""
    await ledger.freeze()
    await ledger.kept.hold()
    assert await thaw_held(ledger.retention) >= 1
    assert {one.reason for one in await candidates(ledger.retention, AGE_MIN)} == {
        "a hold is in force on an account of it"
    }
    await ledger.freeze()
    assert await ledger.files() == []


@pytest.mark.parametrize("held", [False, True])
async def test_a_purge_takes_files_with_their_partitions(ledger: ColdLedger, held: bool) -> None:
    """A purge of a partition in a file counts its calls, removes the file, and keeps what a hold names."""
    await ledger.freeze()
    if held:
        await ledger.kept.hold()
    policy = ledger.kept.ingest.applied.policy
    tier = policy.tiers["standard"]
    days = dict(tier.store_days) | {Store.CALL: 40, Store.CALL_ERROR: 30, Store.USAGE_QUARTER: 40}
    ledger.kept.ingest.use_policy(replace(policy, tiers={"standard": replace(tier, store_days=days)}))
    plan = await plan_purge(ledger.retention)
    files = {file.partition for file in await ledger.files()}
    assert files <= {part.name for part in plan.partitions}
    (run,) = await ledger.kept.purge(plan_digest=plan.digest())
    assert run.rows_dropped >= 120 and run.failure is None
    assert await ledger.files() == [] and list(ledger.folder.iterdir()) == []
    copies = await ledger.kept.value("SELECT count(*) FROM call_held")
    assert copies == (80 if held else 0)
    await ledger.reader.clock.refresh()
    assert len(await paged(ledger, 200)) == 1
