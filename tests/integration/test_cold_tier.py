"""Calls in files: every answer is as it was before they moved, and what may not be in a file comes back first."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ingesting import call
from retaining import Killed, RetainedLedger, open_retained

from policies import canonical, digest
from policies.policy.model import Action, Role, Store
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.ingest.refusals import Refusal
from service.ingest.results import Status
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.scan import cold as cold_scan
from service.retention.audit.fsck import check_ledger
from service.retention.audit.incremental.states import States
from service.retention.cold import thaw as thawing
from service.retention.cold.check import check_cold
from service.retention.cold.freeze import candidates, freeze
from service.retention.cold.thaw import sweep, thaw, thaw_held
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.purge.planning import plan_purge
from service.retention.withdrawal import remove_withdrawn
from service.storage.cold import tier
from service.storage.cold.catalogue import AGE_MIN, cold_files, take_lock
from service.storage.cold.errors import ColdFileError
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


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ColdLedger]:
    async with opened(database_url, tmp_path) as ledger:
        yield ledger


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


async def test_files_that_are_done_with_are_removed(ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished file, and one whose rows came back, go with the next sweep; listed files stay, and so does one that
    this database knows nothing of: fsck names it.
    """
    await ledger.freeze()
    first, *others = await ledger.files()
    kept, left = (ledger.folder / f"call_t1_20200101-00.parquet{suffix}" for suffix in ("", ".part"))
    for path in (kept, left, copy := ledger.folder / "copy"):
        path.write_bytes((ledger.folder / first.name).read_bytes())
    await thaw(ledger.retention, first, actor="cli")
    copy.rename(ledger.folder / first.name)  # as a crash after the commit leaves it
    assert await sweep(ledger.retention) == []
    monkeypatch.setattr(thawing, "ORPHANED_S", -1.0)
    assert await sweep(ledger.retention) == sorted([left.name, first.name])
    assert {path.name for path in ledger.folder.iterdir()} == {kept.name, *(file.name for file in others)}
    assert kept.name in (await ledger.kept.findings())["cold tier"]


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


async def test_a_copy_that_is_lost_keeps_nothing(ledger: ColdLedger) -> None:
    """Where a copy is missing that does not answer yet, lists answer from the table, and the next round begins anew."""
    ids = await paged(ledger, 200)
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    await ledger.reader.clock.refresh()
    lost = (await ledger.files())[0]
    (ledger.folder / lost.name).unlink()
    assert lost.name in (await ledger.kept.findings())["cold tier"]
    assert await paged(ledger, 50) == ids
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert lost.name not in {file.name for file in await ledger.files()}
    await ledger.freeze()
    assert await ledger.stored() == 1 and await paged(ledger, 50) == ids


async def test_a_late_report_waits_for_no_move(ledger: ColdLedger) -> None:
    """While rows move, late calls of a batch are to be sent again, and the fresh ones beside them are stored."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    late = old_call(0, started_at=file.start.isoformat(), id="late")
    async with ledger.kept.ingest.database.owner.acquire() as connection, connection.transaction():
        await take_lock(connection)
        began = time.monotonic()
        outcomes = await ledger.kept.report(late, call("fresh", account="acme"))
    assert time.monotonic() - began < 10
    assert [one.status for one in outcomes] == [Status.REJECTED, Status.ACCEPTED]
    assert "are being moved" in str(outcomes[0].reason) and outcomes[0].code is Refusal.NOT_STORED
    assert [one.status for one in await ledger.kept.report(late)] == [Status.ACCEPTED]


async def test_single_calls_are_found_however_many_there_are(
    ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a window may look at is no bound for late reports, look-ups by id and the feed."""
    ids, feed = await paged(ledger, 200), QUERIES[8]
    changes = await ledger.data(feed)
    await ledger.freeze()
    monkeypatch.setattr(tier, "LOOKED_AT_MAX", 1)
    assert (await ledger.ask(IDS)).errors is not None
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Call { id } } }"
    assert [node["id"] for node in (await ledger.data(query, ids=ids[-90:]))["nodes"]] == ids[-90:]
    assert await ledger.data(feed) == changes
    again = await ledger.kept.report(*(old_call(number) for number in range(40)), call("fresh", account="acme"))
    assert [one.status for one in again] == [Status.DUPLICATE] * 40 + [Status.ACCEPTED]


async def test_files_are_read_over_the_share_of_a_key(ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that reads files as often as it may waits for its own, and is refused when its list of files is old."""
    await ledger.freeze()
    share = ledger.reader.database.share_of("testkey2")
    taken = 0
    while not share.locked():
        await share.acquire()
        taken += 1
    since = (NOW - timedelta(days=9)).isoformat()
    young = f'{{ calls(first: 5, filter: {{startedAt: {{gte: "{since}"}}}}) {{ nodes {{ id }} }} }}'
    assert (await ledger.data(young))["calls"]["nodes"]
    waiting = asyncio.create_task(ledger.ask(IDS))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    for _ in range(taken):
        share.release()
    assert (await waiting).errors is None
    monkeypatch.setattr(cold_scan, "KNOWN_S", -1.0)
    result = await ledger.ask(IDS)
    assert result.errors is not None and result.errors[0].extensions["code"] == "TIMEOUT"


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
    """A correction finds its call in a file, and is judged with the corrections before it."""
    ids = {node["traceId"]: node["id"] for node in (await ledger.data(QUERIES[0]))["calls"]["nodes"]}
    target = ids["trace-1"]
    first = {"account": "acme", "currency": "USD", "corrects": target}
    assert [one.status for one in await ledger.kept.report(call("c-1", amount="-0.005", **first))] == [Status.ACCEPTED]
    await ledger.freeze()
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


async def test_an_unreadable_file_is_an_error_and_no_empty_answer(ledger: ColdLedger) -> None:
    """Lists of the time of a damaged file fail and say so, others answer, and nothing is stored twice."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    path.write_bytes(path.read_bytes()[:-9])
    result = await ledger.ask(IDS)
    assert result.errors is not None and result.errors[0].extensions["code"] == "UNAVAILABLE"
    assert "cannot be read" in result.errors[0].message and file.name not in result.errors[0].message
    young = await ledger.data(
        f'{{ calls(filter: {{startedAt: {{gte: "{file.end.isoformat()}"}}}}, first: 200) {{ nodes {{ id }} }} }}'
    )
    assert young["calls"]["nodes"]
    late = old_call(0, started_at=file.start.isoformat(), id="late")
    outcomes = await ledger.kept.report(late, call("new", account="acme"))
    assert [one.status for one in outcomes][1] is Status.ACCEPTED
    assert outcomes[0].status not in (Status.ACCEPTED, Status.DUPLICATE)
    findings = await ledger.kept.findings()
    assert file.name in findings["cold tier"]


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


async def test_a_listing_that_somebody_changed_is_found(ledger: ColdLedger) -> None:
    """fsck names a partition whose file is not listed any more, or not as it was, and rests on no earlier run there."""
    await ledger.freeze()
    owner, (file, *_) = ledger.retention.owner, await ledger.files()
    catalogue = await ledger.retention.partitions.catalogue([Store.CALL])
    (part,) = [part for part in catalogue.partitions if part.name == file.partition]
    before = (await States.read(owner, 1)).of(part)
    assert (await check_cold(ledger.retention, NOW))[0] == []
    changes = (
        ("UPDATE cold_file SET rows = rows + 1", "UPDATE cold_file SET rows = rows - 1"),
        ("UPDATE cold_file SET end_at = end_at + '1 day'", "UPDATE cold_file SET end_at = end_at - '1 day'::interval"),
        ("UPDATE cold_file SET frozen_at = NULL", "UPDATE cold_file SET frozen_at = now()"),
        ("DELETE FROM cold_file", "SELECT 1"),
    )
    for change, back in changes:
        await owner.execute(change)
        wrong, _ = await check_cold(ledger.retention, NOW)
        assert any(file.partition in text for text in wrong), change
        assert "rows" in change or (await States.read(owner, 1)).of(part) != before
        await owner.execute(back)


@pytest.mark.parametrize("kind", ErasureKind)
async def test_an_unreadable_file_keeps_no_erasure_from_the_rest(ledger: ColdLedger, kind: ErasureKind) -> None:
    """With a file unreadable, what can be reached is erased; the erasure ends when the file is back, and not before."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    user = "u-1" if kind is ErasureKind.USER else None
    erasure = await request_erasure(ledger.retention, kind=kind, account="acme", user=user, reason="asked", actor="cli")
    assert erasure.state == "REQUESTED" and "ERASURE_RESULT" not in await ledger.kept.kinds()
    if kind is ErasureKind.USER:
        reached = "SELECT count(*) FROM call WHERE trace_id = 'trace-101' AND user_token IS NULL"
    else:
        reached = "SELECT count(*) FROM account WHERE name LIKE 'erased:%' AND id NOT IN (SELECT account_id FROM call)"
    assert await ledger.kept.value(reached) == 1
    findings = await ledger.kept.findings()
    assert findings.keys() - {"deadlines"} == {"cold tier"}, findings
    with pytest.raises(ColdFileError):
        await carry_out_erasures(ledger.retention)
    path.write_bytes(whole)
    await carry_out_erasures(ledger.retention)
    assert await ledger.kept.value("SELECT count(*) FROM erasure WHERE finished_at IS NULL") == 0
    assert (await ledger.kept.findings()).keys() <= {"deadlines"}
    path.write_bytes(whole)  # of an account that is erased, as a backup would bring it back
    put_back = (
        "INSERT INTO cold_file (tier, start_at, end_at, partition, name, rows, bytes, sha256, fingerprint, copied_at, "
        "frozen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, decode($8, 'hex'), '', now(), now())"
    )
    await ledger.retention.owner.execute(put_back, *file[1:9])
    assert (file.name in (await ledger.kept.findings()).get("erasures", "")) is (kind is ErasureKind.ACCOUNT)


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


async def test_an_unreadable_file_keeps_no_field_from_the_rest(ledger: ColdLedger) -> None:
    """A withdrawn field goes from all calls that can be reached, and is done when the file is back."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    kept = ledger.retention.policy()
    dropped = replace(kept.fields["Call.latencyMs"], action=Action.DROP)
    apply = "INSERT INTO policy_version (name, digest, document, applied_at, applied_by) VALUES ($1, $2, $3, $4, 'cli')"
    for policy, days in ((kept, 300), (replace(kept, fields={**kept.fields, "Call.latencyMs": dropped}), 4)):
        await ledger.retention.owner.execute(
            apply,
            *(policy.name, digest(policy), canonical(policy).decode(), NOW - timedelta(days=days)),
        )
        ledger.kept.ingest.use_policy(policy)
    with pytest.raises(ColdFileError):
        await remove_withdrawn(ledger.retention)
    left = "SELECT count(*) FROM call WHERE latency_ms IS NOT NULL"
    assert await ledger.kept.value(left) == 0 and await ledger.stored() == 121 - file.rows
    assert "FIELD_REMOVED" not in await ledger.kept.kinds()
    path.write_bytes(whole)
    await remove_withdrawn(ledger.retention)
    assert await ledger.kept.value(left) == 0 and await ledger.stored() == 121
    assert "FIELD_REMOVED" in await ledger.kept.kinds()
