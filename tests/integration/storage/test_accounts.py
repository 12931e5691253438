"""What is cached of accounts never tells of an account without its tier, and is looked up one account at a time."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ingesting import RECENT, Ingest, call, ingesting
from rows import SeededLedger, StoredCall, open_seeded
from tortoise import connections

from policies.policy.model import Role
from service.storage.control.accounts import EPOCH, Accounts

MANY = 20_000
FEW = 200
"""Rows that a look-up of some accounts may read of twenty thousand, with what their indexes lead to."""
_FILL = """
    WITH made AS (
        INSERT INTO account (name, created_at) SELECT 'account-' || n, now() FROM generate_series(1, $1::int) AS n
        RETURNING id
    )
    INSERT INTO account_tier (account_id, tier, from_at) SELECT id, 1, $2 FROM made
"""
_READ = """
    SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint AS rows,
        sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::bigint AS scans
    FROM pg_stat_user_tables WHERE relname IN ('account', 'account_tier')
"""


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


async def test_an_account_is_known_once_its_tier_is(ingest: Ingest) -> None:
    """While accounts are read anew, whoever knows an account's number can ask for its tier at every moment."""
    await ingest.accounts.ensure({"acme"})
    elsewhere = Accounts(ingest.accounts.default_tier)
    reading = asyncio.create_task(elsewhere.load_all())

    while not reading.done():
        number = elsewhere.cached("acme")
        assert number is None or elsewhere.tier(number, RECENT) == elsewhere.default_tier
        await asyncio.sleep(0)

    await reading
    assert elsewhere.cached("acme") == ingest.accounts.cached("acme")


async def test_many_new_accounts_at_once(ingest: Ingest) -> None:
    """Reports that make accounts while others of the same accounts arrive are all stored."""
    rows = [[call(f"r{turn}-{n}", account=f"new-{n % 7}") for n in range(20)] for turn in range(6)]

    answers = await asyncio.gather(*(ingest.report(*part) for part in rows))

    assert {verdict.status for answer in answers for verdict in answer} == {"accepted"}
    assert await ingest.value("SELECT count(*) FROM call") == 120


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await seeded.database.owner.execute(_FILL, MANY, EPOCH)
        await seeded.database.owner.execute("ANALYZE account, account_tier")
        await seeded.accounts.refresh()
        await seeded.put([StoredCall(await seeded.now(), account="account-1")])
        yield seeded


async def read(seeded: SeededLedger) -> tuple[int, int]:
    """Rows of accounts and their tiers that the database has read so far, and how many scans that took."""
    flush = "SELECT pg_stat_force_next_flush()"
    control = connections.get("default")
    await control.execute_query(flush)
    await control.execute_query("SELECT 1")
    async with seeded.database.reading(None) as connection:
        await connection.execute(flush)
        await connection.execute("SELECT 1")
    await seeded.database.owner.execute(flush)
    found = await seeded.database.owner.fetchrow(_READ)
    return found["rows"], found["scans"]


async def test_a_start_keeps_none(seeded: SeededLedger) -> None:
    """After a start the tiers of twenty thousand accounts are known, and which are erased, and none is in memory."""
    await seeded.database.owner.execute("UPDATE account SET name = 'erased:y' WHERE name = 'account-9'")
    elsewhere = Accounts(7)
    await elsewhere.refresh()

    assert (elsewhere.tiers(), elsewhere.tier_spans()) == ((1,), {(1, EPOCH, None)})
    assert elsewhere.erased == {await elsewhere.find("erased:y")}
    assert list(elsewhere.names().values()) == ["erased:y"]
    before = await read(seeded)
    await elsewhere.ensure(["made-after-the-start"])
    await elsewhere.on_notification("made")
    assert (await read(seeded))[0] - before[0] < 2 * FEW


async def test_everything_is_read_in_parts(seeded: SeededLedger) -> None:
    """Twenty thousand accounts are all known once they are asked for, and none of them twice."""
    for _ in range(2):
        await seeded.accounts.load_all()
    assert len(seeded.accounts.names()) == MANY
    assert len(seeded.accounts.ids(None)) == MANY
    assert seeded.accounts.tiers() == (1,)
    assert seeded.accounts.tier_spans() == {(1, EPOCH, None)}


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('account: {startsWith: "account-1"}', 1),
        ('account: {notIn: ["account-1"]}', 1),
        ('or: [{account: {eq: "account-2"}}, {model: {eq: "none"}}]', 1),
        ('not: {account: {eq: "account-2"}}', 1),
        ('account: {eq: "account-2"}', 1),
        ('account: {in: ["account-1", "account-2", "nope"]}', 2),
    ],
)
async def test_filters_find_accounts_that_nobody_asked_for(seeded: SeededLedger, filter_: str, found: int) -> None:
    """Whatever a filter says of accounts, a service that has none in memory answers as one that has all."""
    await seeded.put([StoredCall(await seeded.now(), account="account-2")])
    await _forget(seeded)

    data = await seeded.data(f"{{ calls(filter: {{{filter_}}}) {{ totalCount nodes {{ account }} }} }}")
    grouped = f"costs(filter: {{{filter_}}}, groupBy: [ACCOUNT])"
    costs = await seeded.data(f"{{ {grouped} {{ nodes {{ key {{ account }} calls }} }} }}")
    names = {one["account"] for one in data["calls"]["nodes"]}

    assert int(data["calls"]["totalCount"]) == len(data["calls"]["nodes"]) == found
    assert {one["key"]["account"] for one in costs["costs"]["nodes"]} == names


async def _forget(seeded: SeededLedger) -> None:
    """As after a start."""
    seeded.accounts.__init__(seeded.accounts.default_tier)
    await seeded.accounts.refresh()


@pytest.mark.parametrize(
    "query",
    [
        '{ calls(filter: {account: {eq: "nope"}}) { totalCount nodes { id } } }',
        '{ calls(filter: {account: {in: ["nope", "nor-this"]}}) { nodes { id } } }',
        '{ errors(filter: {account: {eq: "nope"}}) { nodes { id } } }',
        '{ costs(filter: {account: {eq: "nope"}}) { totals { calls } } }',
        '{ facets(filter: {account: {eq: "nope"}}) { models { value } } }',
        '{ retention(accounts: ["nope"]) { asOf } }',
    ],
)
async def test_an_unknown_account_is_looked_up_alone(seeded: SeededLedger, query: str) -> None:
    """A query that names nobody reads no account, however often it is asked, and asks the database little."""
    before = await read(seeded)
    for _ in range(20):
        await seeded.ask(query, seeded.scope(Role.ADMIN), services={"retention": seeded.retention})
    rows, scans = await read(seeded)
    assert rows - before[0] < FEW
    assert scans - before[1] <= 20


async def test_an_unknown_number_is_looked_up_alone(seeded: SeededLedger) -> None:
    """The same of ids that name accounts which were never there."""
    [known] = await seeded.put([StoredCall(await seeded.now(), account="account-2")])
    number = await seeded.accounts.find("account-2")
    from service.storage.ids import decode_call_id, encode_call_id

    unknown = encode_call_id(number + MANY, decode_call_id(known).uuid)
    before = await read(seeded)
    for _ in range(20):
        data = await seeded.data(
            f'{{ call(id: "{unknown}") {{ id }} calls(filter: {{id: {{eq: "{unknown}"}}}}) {{ totalCount }} }}'
        )
        assert data == {"call": None, "calls": {"totalCount": 0}}
    assert (await read(seeded))[0] - before[0] < FEW


async def test_a_page_of_accounts_reads_a_page(seeded: SeededLedger) -> None:
    """`accounts(first: 50)` reads fifty, as long as nobody asks how many there are."""
    query = "{ accounts(first: 50) { nodes { name tier calls } pageInfo { hasNextPage } } }"
    services = {"services": {"retention": seeded.retention}}
    await seeded.ask(query.replace("50", "1"), **services)
    before = await read(seeded)
    data = (await seeded.ask(query, **services)).data
    assert len(data["accounts"]["nodes"]) == 50
    assert (await read(seeded))[0] - before[0] < 4 * FEW


async def test_a_new_account_reads_no_others(seeded: SeededLedger) -> None:
    """Its first call costs a look-up and three rows, and the notice of it a look at the newest ids: the accounts are
    there already.
    """
    before = await read(seeded)
    numbers = await seeded.accounts.ensure({"new", "newer", "account-7"})
    assert seeded.accounts.tier(numbers["new"], RECENT) == seeded.accounts.default_tier
    assert (await read(seeded))[0] - before[0] < FEW
    await seeded.accounts.on_notification("made")
    before = await read(seeded)
    await seeded.accounts.on_notification("made")
    assert (await read(seeded))[0] - before[0] < FEW * 3 // 4


async def test_what_happens_elsewhere_is_heard(seeded: SeededLedger) -> None:
    """A notice of new accounts brings these alone, and a notice of one that has changed that one."""
    elsewhere = Accounts(7)
    numbers = await elsewhere.ensure([f"elsewhere-{n}" for n in range(5)])
    erased = await seeded.accounts.find("account-3")
    await seeded.database.owner.execute("UPDATE account SET name = 'erased:x' WHERE name = 'account-3'")
    before = await read(seeded)
    await seeded.accounts.on_notification("made")
    await seeded.accounts.on_notification(str(erased))
    assert (await read(seeded))[0] - before[0] < 4 * FEW
    assert {seeded.accounts.cached(name) for name in numbers} == set(numbers.values())
    assert seeded.accounts.tiers() == (1, 7)
    assert (seeded.accounts.cached("account-3"), seeded.accounts.cached("erased:x")) == (None, erased)
    assert seeded.accounts.erased == {erased}


async def test_misses_are_bounded_and_expire(seeded: SeededLedger) -> None:
    """That nobody has a name is remembered for a second, of ten thousand names at most; a notice ends it at once."""
    began = time.monotonic()
    assert await seeded.accounts.find("later") is None
    numbers = await Accounts(1).ensure(["later"])
    assert await seeded.accounts.find("later") is None or time.monotonic() - began > 1
    await asyncio.sleep(1.1)
    assert await seeded.accounts.find("later") == numbers["later"]
    assert await seeded.accounts.find("soon") is None
    numbers = await Accounts(1).ensure(["soon"])
    await seeded.accounts.on_notification("made")
    assert await seeded.accounts.find("soon") == numbers["soon"]
    await seeded.accounts.look_up(names=[f"nobody-{n}" for n in range(10_100)])
    assert len(seeded.accounts._missed) == 10_000
    for odd in ("", "x" * 1_000, "a\0b", "\ud800"):
        assert await seeded.accounts.find(odd) is None
