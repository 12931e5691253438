"""The queue of exports: shared by processes, bounded per key, and of little memory."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from auditing import auditor, fill
from http_server import Served

from policies.policy.model import Role
from service.ledger import LedgerKind
from service.storage.control.exports import (
    QUEUED_MAX,
    UNDER_WAY_MAX,
    ExportBusyError,
    StoredExportKind,
    add_export,
    claim_export,
    request_export,
)


async def test_several_processes_share_the_queue(unwatched: Served) -> None:
    """Each export is claimed once, by whichever process comes first."""
    runtime = unwatched.runtime
    principals = [
        await runtime.authenticator.authenticate(f"Bearer {await unwatched.key(Role.AUDITOR)}") for _ in range(6)
    ]
    ids = set()
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        for principal in principals:
            request = {"start": 0, "size": 0}
            record = await add_export(connection, uuid4(), StoredExportKind.EVIDENCE, principal, "", request)
            ids.add(record.id)
    claimed = await asyncio.gather(*(claim_export(runtime.database.owner, number, 8) for number in range(8)))
    assert {record.id for record in claimed if record is not None} == ids
    assert sum(record is None for record in claimed) == 2


async def test_an_export_is_not_handed_over_by_the_services_roles(served: Served) -> None:
    """What serves requests reads exports and cannot write them."""
    for statement in (
        "UPDATE export SET requested_by = 'me'", "DELETE FROM export",
        "INSERT INTO export SELECT * FROM export",
    ):  # fmt: skip
        async with served.runtime.database.writer.acquire() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_a_few_exports_a_key_whatever_comes_at_once(unwatched: Served) -> None:
    """However many come together, a key has four exports under way, and all keys together so many that wait."""
    database = unwatched.runtime.database

    async def ask(key: str) -> bool:
        """Whether an export of the key is taken."""
        principal = await unwatched.runtime.authenticator.authenticate(f"Bearer {key}")
        try:
            await request_export(database, uuid4(), StoredExportKind.EVIDENCE, principal, "", {})
        except ExportBusyError:
            return False
        return True

    one, other = await unwatched.key(Role.AUDITOR), await unwatched.key(Role.AUDITOR)
    taken = await asyncio.gather(*(ask(one) for _ in range(12)))
    assert taken.count(True) == UNDER_WAY_MAX
    await database.owner.execute(
        "INSERT INTO export (id, kind, state, requested_by, role, policy, request, requested_at) SELECT "
        "gen_random_uuid(), 'EVIDENCE', 'QUEUED', 'k' || n, 'auditor', '', '{}', now() "
        "FROM generate_series(1, $1) AS n",
        QUEUED_MAX - UNDER_WAY_MAX - 1,
    )
    assert [await ask(other), await ask(other)] == [True, False]


async def test_a_key_with_many_exports_does_not_keep_the_others_waiting(unwatched: Served) -> None:
    """Of those that wait, one of a key that has none under way is written before the second of another."""
    database, principals = unwatched.runtime.database, []
    for _ in range(2):
        key = await unwatched.key(Role.AUDITOR)
        principals.append(await unwatched.runtime.authenticator.authenticate(f"Bearer {key}"))
    for principal in (principals[0], principals[0], principals[0], principals[1]):
        await request_export(database, uuid4(), StoredExportKind.EVIDENCE, principal, "", {})
    claimed = [await claim_export(database.owner, 1, 2) for _ in range(2)]
    assert [record.requested_by for record in claimed if record] == [one.key_id for one in principals]


async def test_a_ledger_of_any_length_takes_little_memory(served: Served) -> None:
    """The bundle is written and sent part by part: a hundred times the entries, the same peak."""
    import tracemalloc

    one = await auditor(served)
    peaks = []
    for count in (200, 6_000):
        async with served.runtime.database.writer.acquire() as connection, connection.transaction():
            for number in range(count):
                await served.runtime.ledger.append(
                    LedgerKind.EXPORTED, {"rows": number, "digest": "x" * 190}, actor="cli", connection=connection
                )
        tracemalloc.start()
        try:
            export = await one.bundle()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert int(export["bytes"]) > 2_500_000
    assert peaks[1] < peaks[0] + 3 * 2**20


async def test_who_hangs_up_harms_nobody(served: Served) -> None:
    """A download that is broken off leaves the service answering."""
    one = await auditor(served)
    await fill(served, 2_000)
    export = await one.bundle()
    url = served.url.removesuffix("/graphql") + export["url"]
    for _ in range(3):
        response = await served.session.get(url, headers={"Authorization": f"Bearer {one.key}"})
        await response.content.read(10)
        response.close()
    assert (await one.fetch(export["url"])).headers["Content-Length"] == export["bytes"]
