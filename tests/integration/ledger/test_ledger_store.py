"""The ledger in the database: gapless, append-only, provable, and signed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from ledgers import DATABASE_ID, open_ledger

from policies.evidence import (
    EntryError,
    Signer,
    Tree,
    leaf_hash,
    note_hash,
    read_checkpoint,
    read_key,
    read_leaf,
    verify_consistency,
    verify_inclusion,
)
from service.errors import RequestError
from service.ledger import (
    Checkpoints,
    Ledger,
    LedgerDamagedError,
    LedgerKind,
    LedgerRangeError,
    LedgerSignerError,
    Selection,
)


@pytest.fixture
async def ledger(any_database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(any_database_url, tmp_path) as opened:
        yield opened


async def filled(ledger: Ledger, count: int) -> list[bytes]:
    """Append `count` entries; their leaves."""
    for number in range(count):
        await ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli")
    return [entry.leaf async for entry in ledger.every(Selection())]


async def test_an_entry_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    """Index, moment, kind, actor, facts and note come back; the leaf is what its hash is of."""
    before = datetime.now(UTC)
    index = await ledger.append(LedgerKind.HOLD_PLACED, {"hold": "hold_1", "rows": 3}, actor="cl_ab", note="Case 7")
    entry = await ledger.entry(index)

    assert (entry.index, entry.kind, entry.actor, entry.note) == (0, LedgerKind.HOLD_PLACED, "cl_ab", "Case 7")
    assert abs(entry.recorded_at - before) < timedelta(minutes=5)
    leaf = read_leaf(entry.leaf)
    assert (leaf.recorded_at, leaf.facts) == (entry.recorded_at, {"hold": "hold_1", "rows": 3})
    assert leaf.note == note_hash(entry.salt, "Case 7")
    assert entry.leaf_hash == leaf_hash(entry.leaf)


async def test_the_tree_is_that_of_the_leaves(ledger: Ledger) -> None:
    """At every size the root from stored hashes is the root of the leaves themselves."""
    leaves = await filled(ledger, 20)
    tree = Tree()
    for size, leaf in enumerate(leaves, 1):
        tree.append(leaf)
        assert await ledger.root(size) == tree.root()
        assert await ledger.peaks(size) == tree.peaks
    assert await ledger.root(0) == Tree().root()


async def test_proofs_hold(ledger: Ledger) -> None:
    """Each entry is proved in each later size, and each size to continue each earlier one."""
    leaves = await filled(ledger, 11)
    for size in range(1, 12):
        for index in range(size):
            proof = await ledger.inclusion_proof(index, size)
            assert verify_inclusion(leaf_hash(leaves[index]), index, size, list(proof.hashes), proof.root)
            old = await ledger.root(index + 1)
            proof = await ledger.consistency_proof(index + 1, size)
            assert verify_consistency(index + 1, size, old, proof.root, list(proof.hashes))
            assert proof.root == await ledger.root(size)


async def test_what_is_not_there_is_not_proved(ledger: Ledger) -> None:
    """Sizes and indexes beyond the ledger, or below nought, are refused as the caller's mistake."""
    await filled(ledger, 3)
    for index, size in ((3, 3), (0, 4), (-1, 2), (0, 0), (0, 2**63), (2**70, 2**71)):
        with pytest.raises(LedgerRangeError):
            await ledger.inclusion_proof(index, size)
    for first, second in ((3, 2), (-1, 2), (1, 4), (0, 2**65)):
        with pytest.raises(LedgerRangeError):
            await ledger.consistency_proof(first, second)
    assert await ledger.entry(3) is None
    assert await ledger.entry(-1) is None
    assert await ledger.entry(2**70) is None


async def test_appends_at_once_leave_no_gap_and_no_double(ledger: Ledger) -> None:
    """Many writers in several pools get every index once, and the tree stays that of the leaves."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli")) for number in range(60)
        ]

    tree = Tree()
    async for entry in ledger.every(Selection()):
        tree.append(entry.leaf)
    assert sorted(task.result() for task in tasks) == list(range(60))
    assert await ledger.root(60) == tree.root()


async def test_an_entry_shares_the_fate_of_its_transaction(ledger: Ledger) -> None:
    """In a transaction that is rolled back nothing was appended, and the next entry takes its index."""
    async with ledger.database.owner.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await ledger.append(LedgerKind.PURGE_INTENT, {}, actor="system", connection=connection) == 0
        assert await ledger.append(LedgerKind.PURGE_INTENT, {}, actor="system", connection=connection) == 1
        await transaction.rollback()
        with pytest.raises(ValueError, match="in a transaction"):
            await ledger.append(LedgerKind.PURGE_INTENT, {}, actor="system", connection=connection)

    assert await ledger.size() == 0
    assert await ledger.append(LedgerKind.STARTED, {}, actor="system") == 0


async def test_a_transaction_that_looks_back_cannot_fork_the_ledger(ledger: Ledger) -> None:
    """Under REPEATABLE READ an old snapshot would give an index twice: the database refuses the second."""
    async with ledger.database.owner.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM ledger_entry")
        await ledger.append(LedgerKind.STARTED, {}, actor="system")
        with pytest.raises(asyncpg.PostgresError):
            async with connection.transaction():
                await ledger.append(LedgerKind.EXPORTED, {}, actor="cli", connection=connection)

    assert await ledger.size() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET actor = 'nobody'",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "UPDATE ledger_checkpoint SET note = ''",
        "DELETE FROM ledger_checkpoint",
    ],
)
async def test_nobody_changes_the_ledger_by_mistake(ledger: Ledger, statement: str) -> None:
    """Neither the service's roles nor the owner of the tables may update or delete; the roles not even notes."""
    await ledger.append(LedgerKind.STARTED, {}, actor="system", note="hello")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await ledger.database.owner.execute(statement)
    for pool in (ledger.database.writer,):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute("DELETE FROM ledger_note")
    async with ledger.database.reading((1,)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT 1 FROM ledger_entry")


async def test_an_erased_note_leaves_the_entry_whole(ledger: Ledger) -> None:
    """Text and salt are gone from the table, so that the hash cannot be tried against names; the tree is the same."""
    await ledger.append(LedgerKind.HOLD_PLACED, {}, actor="cli", note="Ms. Example asked for it")
    root = await ledger.root(1)

    assert (await ledger.erase_notes([0, 5], actor="cli")).indexes == (0,)
    entry = await ledger.entry(0)
    assert (entry.note, entry.salt) == (None, None)
    assert await ledger.root(1) == root
    assert await ledger.database.owner.fetchval("SELECT count(*) FROM ledger_note") == 0


@pytest.mark.parametrize(
    ("facts", "actor"),
    [({"user": "ann@example.com"}, "cli"), ({"reason": "she asked"}, "cli"), ({}, "Ann Example"), ({"x": 0.5}, "cli")],
)
async def test_people_cannot_get_into_the_tree(ledger: Ledger, facts: dict[str, object], actor: str) -> None:
    """A fact that is more than an id, a count, a digest or a moment is refused, and nothing is appended."""
    with pytest.raises(EntryError):
        await ledger.append(LedgerKind.ERASURE_INTENT, facts, actor=actor)
    assert await ledger.size() == 0


@pytest.mark.parametrize("note", ["", "x" * 2001, "a\0b"])
async def test_unfit_notes_are_refused(ledger: Ledger, note: str) -> None:
    """A note has a length, and what PostgreSQL cannot store is refused before it is asked."""
    with pytest.raises(RequestError):
        await ledger.append(LedgerKind.HOLD_PLACED, {}, actor="cli", note=note)
    assert await ledger.size() == 0


async def test_entries_are_selected_by_kind_index_and_time(ledger: Ledger) -> None:
    """Each bound of a selection is applied, half-open, and its count is the number of its entries."""
    for kind in (LedgerKind.STARTED, LedgerKind.EXPORTED, LedgerKind.PURGE_INTENT, LedgerKind.EXPORTED):
        await ledger.append(kind, {}, actor="system")
    third = (await ledger.entry(2)).recorded_at
    wanted = {
        (0, 1, 2, 3): Selection(),
        (1, 2): Selection(start=1, end=3),
        (1, 3): Selection(kinds=(LedgerKind.EXPORTED,)),
        (): Selection(kinds=()),
        (2, 3): Selection(recorded_from=third),
        (0, 1): Selection(recorded_to=third),
        (3,): Selection(start=2, kinds=(LedgerKind.EXPORTED, LedgerKind.STARTED)),
    }
    for indexes, selection in wanted.items():
        assert tuple([entry.index async for entry in ledger.every(selection)]) == indexes
        assert await ledger.count(selection) == len(indexes)
    assert [entry.index for entry in await ledger.page(Selection(), first=2)] == [0, 1]
    assert (await ledger.newest(LedgerKind.EXPORTED))[0] == 3


async def test_a_checkpoint_is_signed_once_for_a_size(ledger: Ledger) -> None:
    """It carries origin, size and root, holds under its public key, and is the same when asked for again."""
    await filled(ledger, 3)
    checkpoints = Checkpoints(ledger)
    first, again = await asyncio.gather(checkpoints.sign(), checkpoints.sign())

    read = read_checkpoint(first.note.encode())
    assert first == again == await checkpoints.latest() == await checkpoints.at(3)
    assert (read.origin, read.size, read.root) == (f"calledger/{DATABASE_ID}", 3, await ledger.root(3))
    assert read.signed_by(read_key(first.public_key))
    assert await checkpoints.at(2) is None


async def test_checkpoints_are_due_after_a_hundred_entries_or_five_minutes(ledger: Ledger) -> None:
    """Nothing is signed for a few young entries; the hundredth brings a checkpoint, and so does age."""
    checkpoints = Checkpoints(ledger)
    assert not await checkpoints.sign_if_due()
    await filled(ledger, 99)
    assert not await checkpoints.sign_if_due()
    await filled(ledger, 1)
    assert await checkpoints.sign_if_due()
    assert not await checkpoints.sign_if_due()
    await ledger.database.owner.execute(
        "INSERT INTO ledger_entry SELECT 100, clock_timestamp() - interval '6 minutes', kind, actor, leaf, hashes "
        "FROM ledger_entry WHERE index = 0"
    )
    assert await checkpoints.sign_if_due()


async def test_another_signer_signs_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """A keyring with another signer than the ledger's is refused; what was signed before stays readable."""
    await filled(ledger, 1)
    await Checkpoints(ledger).sign()
    (tmp_path / "other").mkdir()
    async with open_ledger(ledger.database.url, tmp_path / "other") as stranger:
        await filled(stranger, 1)
        with pytest.raises(LedgerSignerError):
            await Checkpoints(stranger).sign()
        assert (await Checkpoints(stranger).latest()).size == 1


async def test_the_old_signer_hands_over_to_the_new(ledger: Ledger) -> None:
    """The entry is signed by the old key over the new; the checkpoint with it carries both signatures."""
    await filled(ledger, 2)
    checkpoints = Checkpoints(ledger)
    before = read_key((await checkpoints.sign()).public_key)
    seed = bytes(range(32))
    index = await checkpoints.rotate_signer(seed, actor="cli")
    issued = await checkpoints.at(index + 1)

    after = read_key(issued.public_key)
    note = read_checkpoint(issued.note.encode())
    assert after == Signer(before.name, seed).key
    assert note.signed_by(before)
    assert note.signed_by(after)
    assert await checkpoints.rotate_signer(seed, actor="cli") == index
    with pytest.raises(LedgerSignerError):  # the keyring still has the old one
        await checkpoints.signer()


async def test_a_changed_row_is_noticed_when_it_is_used(ledger: Ledger) -> None:
    """When stored hashes are cut or gone, proofs are refused, not made up."""
    await filled(ledger, 4)
    owner: asyncpg.Pool = ledger.database.owner
    async with owner.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")
        await connection.execute("UPDATE ledger_entry SET hashes = substring(hashes FROM 1 FOR 32) WHERE index = 3")
    with pytest.raises(LedgerDamagedError):
        await ledger.root(4)
    with pytest.raises(LedgerDamagedError):
        await ledger.append(LedgerKind.EXPORTED, {}, actor="cli")


SCANS = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'ledger_entry'"


async def test_proofs_read_a_handful_of_rows(ledger: Ledger) -> None:
    """Head and nodes are found by the primary key: no statement reads the log whole."""
    await filled(ledger, 3)
    from service.ledger import statements

    async with ledger.database.owner.acquire() as connection:
        await connection.execute(
            "INSERT INTO ledger_entry SELECT number, now(), 'EXPORTED', 'cli', '\\x00', '\\x00' "
            "FROM generate_series(3, 20000) AS number"
        )
        await connection.execute("ANALYZE ledger_entry")
        for statement, parameters in (
            (statements.HEAD, (statements.LEDGER_LOCK,)),
            (statements.NODES, ([0, 1], [0, 1])),
            (statements.NEWEST_OF_KIND, ("STARTED",)),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *parameters))
            assert "Seq Scan on ledger_entry" not in plan, plan
            async with connection.transaction():
                # What a function does shows in no plan of its caller.
                await connection.fetch(statement, *parameters)
                assert await connection.fetchval(SCANS) == 0


async def test_an_entry_takes_two_round_trips(ledger: Ledger) -> None:
    """In the caller's transaction an append is two statements, with a note and without: others wait for its lock."""
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        seen: list[str] = []
        await ledger.append(LedgerKind.EXPORTED, {}, actor="cli", connection=connection)  # types are asked for once
        connection.add_query_logger(lambda query: seen.append(query.query))
        for note in (None, "ticket 4711"):
            await ledger.append(LedgerKind.EXPORTED, {}, actor="cli", note=note, connection=connection)
    assert len([query for query in seen if query != "COMMIT;"]) == 4
