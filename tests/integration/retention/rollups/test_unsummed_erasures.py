"""Erasures on days whose sums are left to their calls: nothing of the account or the person stays in what is kept."""

from datetime import timedelta

import pytest
from ingesting import call
from retaining import NOW, RetainedLedger

from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.rollups.rebuild import days_to_rebuild
from service.retention.rollups.tag_check import check_tags
from service.retention.rollups.tag_keys import keep_tags, sum_history
from service.retention.rollups.tag_sums import EVERY_TABLE as TAG_TABLES
from service.retention.rollups.unsummed import TABLES, leave, leave_unsummed, look_at

AT_ONCE = timedelta(0)
USER, ACCOUNT = ErasureKind.USER, ErasureKind.ACCOUNT
ROLLUPS = {"usage_quarter", "usage_day"}
BY_ACCOUNT = {*ROLLUPS, "usage_half_hour"}


@pytest.mark.parametrize(("kind", "user", "others"), [(USER, "worker-77315", 150), (ACCOUNT, None, 148)])
async def test_a_name_leaves_sums_by_tag_of_such_days(
    retained: RetainedLedger, kind: ErasureKind, user: str | None, others: int
) -> None:
    """An erasure makes the sums by account first: nothing has the name afterwards, and costs of all others stay. Then
    these are left to calls again.
    """
    moment = NOW - timedelta(days=5)
    await keep_tags(retained.retention)
    rows = [
        call(f"{n}", started_at=moment.isoformat(), account="acme" if n < 2 else f"a{n}", tags={"team": f"t{n % 5}"})
        for n in range(150)
    ]
    rows[0] |= {"tags": {"team": "worker-77315"}}
    await retained.report(*rows)
    await sum_history(retained.retention)
    await retained.compact()
    await look_at(retained.retention.owner, 1, moment.replace(hour=0, minute=0, second=0))
    assert await retained.value("SELECT count(*) FROM usage_tag_day") == 0
    named = "SELECT count(*) FROM {} WHERE tag_value LIKE '%77315%'"
    assert await retained.value(named.format("usage_tag_day_all")) == 1

    await request_erasure(retained.retention, kind=kind, account="acme", user=user, reason="they asked", actor="cli")
    await retained.compact()

    owner, policy = retained.retention.owner, retained.retention.policy()
    for kept in (others, 0):
        for table in (*TAG_TABLES, "usage_tag_delta"):
            assert await retained.value(named.format(table)) == 0, table
        assert await retained.value("SELECT coalesce(sum(calls), 0) FROM usage_tag_day") == kept
        assert await retained.value("SELECT sum(calls) FROM usage_tag_day_all") == others
        assert [one async for one in check_tags(owner, policy)] == []
        await leave_unsummed(retained.retention, settled=AT_ONCE)


@pytest.mark.parametrize("lost", [BY_ACCOUNT, ROLLUPS], ids=["by account", "rollups"])
async def test_an_erasure_leaves_derived_sums_to_calls_until_they_are_made_again(
    retained: RetainedLedger, lost: set[str]
) -> None:
    """Of a day whose rollups are left to its calls: costs are without the account's, at once and after maintenance, and
    no table has a row of it.
    """
    moment = NOW - timedelta(days=5)
    day = moment.replace(hour=0, minute=0, second=0)
    for account in ("acme", "beta"):
        rows = (call(f"{account}{n}", started_at=moment.isoformat(), account=account, model="m") for n in range(120))
        await retained.report(*rows)
    await retained.compact()
    owner = retained.retention.owner
    async with owner.acquire() as connection, connection.transaction():
        await leave(connection, 1, day, sorted(lost))
    erased = await retained.value("SELECT id FROM account WHERE name = 'acme'")

    await request_erasure(
        retained.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="they asked", actor="cli"
    )
    await retained.compact()

    left = await retained.value("SELECT sums FROM usage_unsummed WHERE again")
    assert set(left) == set(TABLES)
    assert await days_to_rebuild(retained.retention) == []
    assert await leave_unsummed(retained.retention, settled=AT_ONCE) == 0
    for table in ("usage_half_hour", "usage_hour_all", "usage_day_all"):
        assert await retained.value(f"SELECT sum(calls) FROM {table}") == 120
    assert await retained.value("SELECT count(*) FROM usage_half_hour WHERE account_id = $1", erased) == 0
    assert await days_to_rebuild(retained.retention) == []
    assert await retained.findings() == {}


async def test_a_persons_name_leaves_derived_sums_of_days_without_rollups(retained: RetainedLedger) -> None:
    """Who is in a model's and an API key's name leaves the sums that are kept, and those are made again without."""
    moment = NOW - timedelta(days=5)
    names = {"model": "ft:worker-77315", "api_key": "key of worker-77315"}
    await retained.report(
        call("a", started_at=moment.isoformat(), account="acme", **names),
        call("b", started_at=moment.isoformat(), account="beta"),
    )
    await retained.compact()
    owner, derived = retained.retention.owner, sorted(set(TABLES) - ROLLUPS)
    async with owner.acquire() as connection, connection.transaction():
        await leave(connection, 1, moment.replace(hour=0, minute=0, second=0), sorted(ROLLUPS))

    await request_erasure(
        retained.retention,
        kind=ErasureKind.USER,
        account="acme",
        user="worker-77315",
        reason="they asked",
        actor="cli",
    )

    for again in (False, True):
        for table in derived:
            assert await retained.value(f"SELECT count(*) FROM {table} AS kept WHERE kept::text LIKE '%77315%'") == 0
            assert await retained.value(f"SELECT coalesce(sum(calls), 0) FROM {table}") == 2 * again
        await leave_unsummed(retained.retention, settled=AT_ONCE)
    assert await retained.findings() == {}
