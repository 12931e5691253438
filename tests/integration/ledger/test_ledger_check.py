"""The ledger examined from its leaves: whatever was changed in the database is found."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledgers import open_ledger

from policies.evidence import Tree, verify
from service.ledger import (
    Checkpoints,
    EvidenceDocument,
    Ledger,
    LedgerKind,
    LedgerRangeError,
    Selection,
    bundle_lines,
    check,
)


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, tmp_path) as opened:
        for number in range(6):
            await opened.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli", note=f"note {number}")
            if number == 2:
                await Checkpoints(opened).sign()
        yield opened


async def test_a_whole_ledger_is_found_whole(ledger: Ledger) -> None:
    """Size, root and checkpoints are counted, and nothing is wrong; after a rotation too."""
    await Checkpoints(ledger).rotate_signer(bytes(range(32)), actor="cli")
    found = await check(ledger)

    assert (found.size, found.checkpoints, found.problems) == (7, 2, ())
    assert found.root == await ledger.root(7)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE ledger_entry SET actor = 'nobody' WHERE index = 4", "entry 4: its leaf says something else"),
        ("UPDATE ledger_entry SET kind = 'STARTED' WHERE index = 4", "entry 4: its leaf says something else"),
        ("UPDATE ledger_entry SET recorded_at = now() WHERE index = 4", "entry 4: its leaf says something else"),
        ("UPDATE ledger_entry SET leaf = leaf || ' '::bytea WHERE index = 4", "entry 4: its leaf is not one"),
        ("UPDATE ledger_entry SET hashes = hashes || hashes WHERE index = 4", "entry 4: its stored hashes"),
        ("UPDATE ledger_entry SET hashes = set_byte(hashes, 40, 0) WHERE index = 3", "entry 3: its stored hashes"),
        ("DELETE FROM ledger_entry WHERE index = 4", "entry 4: is missing"),
        (
            "UPDATE ledger_entry SET leaf = (SELECT leaf FROM ledger_entry WHERE index = 3) WHERE index = 4",
            "entry 4: its leaf says something else",
        ),
        ("UPDATE ledger_checkpoint SET note = translate(note, 'ABCDEFGH', 'BADCFEHG')", "the checkpoint of 3 entries"),
        ("UPDATE ledger_checkpoint SET size = 2", "the checkpoint of 2 entries says 3"),
        ("DELETE FROM ledger_entry WHERE index >= 2", "the checkpoint of 3 entries covers more than there are"),
    ],
)
async def test_what_was_changed_is_found(ledger: Ledger, statement: str, problem: str) -> None:
    """Past the database's own refusal, each kind of change is named with its place."""
    async with ledger.database.owner.acquire() as connection:
        for table in ("ledger_entry", "ledger_checkpoint"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await connection.execute(statement)

    assert any(text.startswith(problem) for text in (await check(ledger)).problems), (await check(ledger)).problems


async def test_a_rewritten_history_breaks_a_signed_checkpoint(ledger: Ledger) -> None:
    """An entry that is replaced consistently, hashes and all, no longer gives the root that was signed."""
    await ledger.database.owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")
    await ledger.database.owner.execute("DELETE FROM ledger_note")
    await ledger.database.owner.execute("DELETE FROM ledger_entry")
    for number in range(6):
        await ledger.append(LedgerKind.EXPORTED, {"rows": number + 1}, actor="cli")

    assert (await check(ledger)).problems == ("the checkpoint of 3 entries has another root hash",)


async def bundle(ledger: Ledger, **given: object) -> list[bytes]:
    return [line async for line in bundle_lines(ledger, actor="cli", **given)]


async def test_a_bundle_holds_the_ledger_and_what_it_names(ledger: Ledger) -> None:
    """All entries with their notes, the checkpoint and the documents; its own making is the last entry."""
    kept = (await Checkpoints(ledger).at(3)).note.encode()
    lines = await bundle(ledger, documents=[EvidenceDocument("retention", "application/json", b"{}")])
    key = str((await Checkpoints(ledger).signer()).key)

    verdict = verify(lines, key=key, since=kept)
    assert verdict.kinds == {"EXPORTED": 6, "EVIDENCE_CREATED": 1}
    assert verdict.documents.keys() == {"retention"}
    assert verdict.checkpoint.root == await ledger.root(7)
    assert b'"text":"note 5"' in b"".join(lines)


@pytest.mark.parametrize("start", [1, 3, 6])
async def test_a_bundle_of_the_rest_continues_a_checkpoint(ledger: Ledger, start: int) -> None:
    """From any entry on, the bundle is verified by the hashes of what came before."""
    verdict = verify(await bundle(ledger, start=start))

    assert verdict.kinds.total() == 7 - start


async def test_a_bundle_of_nothing_yet_is_refused(ledger: Ledger) -> None:
    """Since a size that the ledger has not reached there is nothing, and nothing is ledgered of it."""
    with pytest.raises(LedgerRangeError):
        await bundle(ledger, start=7)
    assert await ledger.size() == 6


async def test_what_is_appended_while_a_bundle_is_written_is_not_in_it(ledger: Ledger) -> None:
    """A bundle ends at its checkpoint, whatever happens meanwhile."""
    lines = []
    async for line in bundle_lines(ledger, actor="cli"):
        lines.append(line)
        await ledger.append(LedgerKind.EXPORTED, {"rows": 0}, actor="cli")

    assert verify(lines).kinds.total() == 7
    tree = Tree()
    async for entry in ledger.every(Selection(end=7)):
        tree.append(entry.leaf)
    assert verify(lines).checkpoint.root == tree.root()
