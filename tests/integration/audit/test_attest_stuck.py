"""What the statement, the report and `fsck` say of partitions that their store no longer shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ingesting import call
from retaining import NOW, OLD, SHORT, Killed, RetainedLedger, open_retained

from policies import digest
from policies.policy.model import DataClass, Store
from service.keyring import KeyringUnavailableError
from service.ledger import Checkpoints
from service.retention.audit.attestation.making import attest
from service.retention.audit.report import ClassState, report
from service.storage.control.policies import AppliedPolicy
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions, quoted


@pytest.fixture
async def retained(any_database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(any_database_url, tmp_path) as retained:
        yield retained


async def fill(retained: RetainedLedger, moment: datetime = OLD) -> str:
    """Two calls past their window; the name of the partition in which they are."""
    await retained.report(*(call(one, started_at=moment.isoformat(), account="acme") for one in "ab"))
    return (await retained.retention.partitions.list(Store.CALL))[0].name


@asynccontextmanager
async def counting(url: str, table: str) -> AsyncIterator[None]:
    """A session that has counted the rows of a partition, in a transaction that stays open."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.fetchval(f"SELECT count(*) FROM {quoted(table)}")
            yield
    finally:
        await connection.close()


async def stuck(retained: RetainedLedger) -> None:
    """A purge that cannot end, for somebody reads what it detaches."""
    retained.retention.partitions = Partitions(retained.retention.owner, attempts=1)
    with pytest.raises(PartitionsBusyError):
        await retained.purge()


async def calls_of(retained: RetainedLedger, data_class: DataClass = DataClass.OPERATIONAL) -> ClassState:
    """What the report says of one class of calls."""
    found = await report(retained.retention)
    [state] = [one for one in found.classes if (one.window.data_class, one.window.store) == (data_class, Store.CALL)]
    return state


async def statement(retained: RetainedLedger) -> dict[str, Any]:
    """The statement that `attest` signs."""
    await Checkpoints(retained.ledger).sign()
    applied = AppliedPolicy(SHORT, 1, digest(SHORT), datetime.now(UTC), "cli")
    return (await attest(retained.retention, retained.ledger, applied, days=92)).statement


def failing(said: dict[str, Any]) -> dict[str, str]:
    """The requirements that are not met, by the first word of their titles, with their findings."""
    return {one["title"].partition(",")[0]: one["finding"] for one in said["checks"] if not one["holds"]}


async def test_nothing_is_attested_of_a_purge_that_is_stuck(retained: RetainedLedger, any_database_url: str) -> None:
    """A partition whose detach is pending is in no count through its store; its rows are overdue all the same."""
    name = await fill(retained)
    async with counting(any_database_url, name):
        await stuck(retained)
        assert await retained.value("SELECT count(*) FROM call") == 0
        state, said = (await calls_of(retained)).state, await statement(retained)

    not_met = failing(said)
    assert (state.overdue, state.hidden) == (2, 2)
    assert state.oldest == OLD
    assert said["detached"] == [f"{name} (its detach is pending)"]
    assert "2 rows are past their deadline" in not_met["GDPR 5(1)(e)"]
    assert "2 rows are past their deadline" in not_met["PCI DSS v4 requirement 3.2.1"]
    assert "is stuck" in not_met["purges of the period"]
    assert name in not_met["partitions"]
    assert any(one["title"] == "fsck, deadlines" and name in one["finding"] for one in said["checks"])


async def test_the_rows_of_a_purge_that_was_cut_off_are_counted(retained: RetainedLedger) -> None:
    """A partition that is detached and not dropped is still on the disk: its rows are overdue until they are gone."""
    name = await fill(retained)

    def killed(step: str) -> None:
        if step == "recorded DETACHED":
            raise Killed

    with pytest.raises(Killed):
        await retained.purge(killed)
    assert await retained.retention.partitions.detached() >= {name}
    state, said = (await calls_of(retained)).state, await statement(retained)

    assert (state.overdue, state.hidden, state.oldest) == (2, 2, OLD)
    assert "2 rows are past" in failing(said)["GDPR 5(1)(e)"]
    await retained.purge()
    assert failing(await statement(retained)) == {}


async def test_a_live_partition_that_somebody_detached_is_in_the_statement(retained: RetainedLedger) -> None:
    """Rows within their window that nobody is shown: the statement fails and names the table."""
    name = await fill(retained, NOW - timedelta(days=3))
    await retained.purge()
    assert failing(await statement(retained)) == {}
    await retained.retention.owner.execute(f"ALTER TABLE call DETACH PARTITION {quoted(name)}")

    not_met = failing(await statement(retained))
    assert (await calls_of(retained)).state.hidden == 2
    assert name in not_met["partitions"]
    assert "fsck fails at partitions" in not_met["GDPR 5(1)(e)"]


async def test_what_was_not_looked_at_is_not_met(retained: RetainedLedger) -> None:
    """While the keyring is away nobody can say that no key is lost: the statement says that it did not look."""
    await fill(retained, NOW - timedelta(days=3))
    await retained.purge()
    keyring = retained.retention.keyring

    class Away:
        def __getattr__(self, name: str) -> Any:
            if name in ("tombstones", "counts", "periods", "account_key"):
                raise KeyringUnavailableError
            return getattr(keyring, name)

    retained.retention.keyring = Away()  # type: ignore[assignment] - a keyring whose home does not answer
    not_met = failing(await statement(retained))

    assert "not looked at" in not_met["keys"]
    assert "not looked at: keys" in not_met["GDPR 5(1)(e)"]
    assert "not looked at: keys" in not_met["PCI DSS v4 requirement 3.2.1"]


async def test_no_class_is_said_to_be_served_beyond_its_window(retained: RetainedLedger) -> None:
    """Pseudonyms end with their key, long before the calls that carry them: `oldestServed` says when they do."""
    old, young = NOW - timedelta(days=200), NOW - timedelta(days=20)
    for name, moment in (("old", old), ("young", young)):
        await retained.report(call(name, started_at=moment.isoformat(), account="acme", user="u"))

    assert (await calls_of(retained)).state.oldest_served == old
    assert (await calls_of(retained, DataClass.PERSONAL)).state.oldest_served == young
    for one in (await report(retained.retention)).classes:
        served = one.state.oldest_served
        assert served is None or served >= NOW - timedelta(days=one.window.days), one.window
