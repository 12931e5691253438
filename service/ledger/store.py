"""The ledger: entries appended one by one, in the order of their commits, and proofs of them (RFC 6962).

There is one writer at a time, by an advisory lock that lasts to the end of the transaction, so that the order of
indexes is the order of commits and no index is ever missing. Entries are mirrored to files and signed into checkpoints
soon after (`service.ledger.mirror`, `service.ledger.checkpoints`).
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from policies import evidence
from policies.evidence import Leaf, LedgerKind, Node, Range, leaf_bytes, leaf_hash
from service.errors import RequestError
from service.keyring import Keyring
from service.ledger import statements
from service.ledger.errors import LedgerDamagedError, LedgerRangeError
from service.ledger.mirror import Mirror
from service.log_redaction import without_secrets
from service.storage.connection import Connection, one_row
from service.storage.database import Database

INDEX_MAX: Final = 2**62
_CHUNK: Final = 1000
_PLACEHOLDER_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as its leaf says. `note` is None when there was none or it was erased, and `salt` with it."""

    index: int
    recorded_at: datetime
    kind: LedgerKind
    actor: str
    leaf: bytes
    facts: Mapping[str, Any]
    salt: bytes | None
    note: str | None

    @property
    def leaf_hash(self) -> bytes:
        """The RFC 6962 hash of the leaf, 32 bytes."""
        return leaf_hash(self.leaf)


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of entries: half-open ranges of index and time, and kinds (None: all; empty: none)."""

    start: int = 0
    end: int = INDEX_MAX
    kinds: tuple[LedgerKind, ...] | None = None
    recorded_from: datetime | None = None
    recorded_to: datetime | None = None

    def parameters(self) -> tuple[object, ...]:
        """The parameters $1 to $5 of the statements that select entries."""
        kinds = None if self.kinds is None else [kind.value for kind in self.kinds]
        return self.start, self.end, kinds, _bound(self.recorded_from), _bound(self.recorded_to)


@dataclass(frozen=True, slots=True)
class Proof:
    """The hashes that lead to `root`, the root hash of the first `size` entries."""

    size: int
    root: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ErasedNotes:
    """The entries whose notes were erased, and the index of the entry that says so (None: there were none)."""

    indexes: tuple[int, ...]
    ledger_index: int | None


class Ledger:
    """The ledger of one database. Any number of processes may hold one."""

    def __init__(self, database: Database, keyring: Keyring, database_id: UUID) -> None:
        self.database = database
        self.keyring = keyring
        self.database_id = database_id
        self.mirror: Mirror | None = None

    async def append(
        self,
        kind: LedgerKind | str,
        facts: Mapping[str, Any],
        *,
        actor: str,
        note: str | None = None,
        connection: Connection | None = None,
    ) -> int:
        """Append an entry and return its index.

        With `connection`, in its transaction (READ COMMITTED): the entry is committed together with the rest of the
        transaction, and other appends wait for its end. Without, the entry is committed on return. `facts` are ids,
        counts, digests and times, `actor` is a key's id, `system` or `cli`; people's words go into `note`.

        Raises EntryError when a fact is of another type.
        """
        if connection is not None:
            return await self._append(connection, LedgerKind(kind), facts, actor, note)
        async with self.database.writer.acquire() as own, own.transaction():
            return await self._append(own, LedgerKind(kind), facts, actor, note)

    async def _append(
        self, connection: Connection, kind: LedgerKind, facts: Mapping[str, Any], actor: str, note: str | None
    ) -> int:
        if not connection.is_in_transaction():
            raise ValueError("an entry is appended in a transaction: its lock must last until the commit")
        if note is not None and (not note or len(note) > evidence.NOTE_CHARACTERS_MAX or "\0" in note):
            raise RequestError(f"a note has 1 to {evidence.NOTE_CHARACTERS_MAX} characters")
        if note is not None:
            # Without this, a credential that was typed as a reason would be kept for as long as the ledger.
            note = without_secrets(note)[: evidence.NOTE_CHARACTERS_MAX]
        salt = os.urandom(evidence.SALT_BYTES)
        digest = None if note is None else evidence.note_hash(salt, note)
        # Checked before the lock is taken, so that a refused entry does not keep others waiting.
        leaf_bytes(Leaf(kind, _PLACEHOLDER_TIME, actor, facts, digest))
        head = await one_row(connection, statements.HEAD, statements.LEDGER_LOCK)
        index, now = head["size"], head["now"]
        data = leaf_bytes(Leaf(kind, now, actor, facts, digest))
        hashes = completed(data, index, head["peaks"])
        await connection.execute(statements.ADD, index, now, kind.value, actor, data, b"".join(hashes), salt, note)
        return index

    async def size(self) -> int:
        """The number of entries."""
        return await self._value(statements.SIZE)

    async def page(self, selection: Selection, *, first: int) -> list[Entry]:
        """At most `first` entries of a selection, in order; continue with `start` after the last one's index."""
        async with self.database.reading(None) as connection:
            rows = await connection.fetch(statements.PAGE, *selection.parameters(), first)
        return [_entry(row) for row in rows]

    async def every(self, selection: Selection) -> AsyncIterator[Entry]:
        """All entries of a selection, in ledger order, read in pages."""
        start = selection.start
        while True:
            following = Selection(start, selection.end, selection.kinds, selection.recorded_from, selection.recorded_to)
            found = await self.page(following, first=_CHUNK)
            for entry in found:
                yield entry
            if len(found) < _CHUNK:
                return
            start = found[-1].index + 1

    async def count(self, selection: Selection) -> int:
        """The number of entries of a selection."""
        return await self._value(statements.COUNT, *selection.parameters())

    async def entry(self, index: int) -> Entry | None:
        """One entry by its index; None when there is none."""
        if not 0 <= index < INDEX_MAX:
            return None
        found = await self.page(Selection(index, index + 1), first=1)
        return found[0] if found else None

    async def newest(self, kind: LedgerKind) -> tuple[int, Leaf] | None:
        """The index and leaf of the last entry of a kind; None without one."""
        async with self.database.reading(None) as connection:
            row = await connection.fetchrow(statements.NEWEST_OF_KIND, kind.value)
        return None if row is None else (row["index"], evidence.read_leaf(row["leaf"]))

    async def root(self, size: int) -> bytes:
        """The root hash of the first `size` entries, 32 bytes. Raises LedgerRangeError when there are fewer."""
        return (await self._proof(size, []))[0]

    async def inclusion_proof(self, index: int, size: int) -> Proof:
        """The proof that entry `index` is among the first `size` (RFC 6962, 2.1.1). Raises LedgerRangeError."""
        try:
            parts = evidence.inclusion(index, size)
        except ValueError:
            raise LedgerRangeError(f"there is no entry {index} in a ledger of {size}") from None
        root, hashes = await self._proof(size, parts)
        return Proof(size, root, tuple(hashes))

    async def consistency_proof(self, first: int, second: int) -> Proof:
        """The proof that the first `second` entries begin with the first `first` (RFC 6962, 2.1.2).

        Raises LedgerRangeError.
        """
        try:
            parts = evidence.consistency(first, second)
        except ValueError:
            raise LedgerRangeError(f"a ledger of {second} entries does not begin with {first}") from None
        root, hashes = await self._proof(second, parts)
        return Proof(second, root, tuple(hashes))

    async def peaks(self, size: int) -> list[bytes]:
        """The hashes of the largest complete subtrees of the first `size` entries, left to right."""
        return (await self._proof(size, [Range(0, size)], nodes_only=True))[1]

    async def erase_notes(
        self,
        indexes: Sequence[int],
        *,
        actor: str,
        note: str | None = None,
        facts: Mapping[str, Any] | None = None,
        connection: Connection | None = None,
    ) -> ErasedNotes:
        """Erase the free text of entries for good, in the transaction of `connection` if given; their leaves stay.

        An entry NOTES_ERASED lists them, with `facts` besides, and says why, as its own `note`: a note that is missing
        without one was removed behind our back. `service.retention.erasure.notes` erases the copies of the texts
        elsewhere.
        """
        if connection is None:
            async with self.database.owner.acquire() as own, own.transaction():
                return await self.erase_notes(indexes, actor=actor, note=note, facts=facts, connection=own)
        erased = sorted(row["index"] for row in await connection.fetch(statements.ERASE_NOTES, list(indexes)))
        if not erased:
            return ErasedNotes((), None)
        all_facts = {"entries": erased, **(facts or {})}
        index = await self.append(LedgerKind.NOTES_ERASED, all_facts, actor=actor, note=note, connection=connection)
        return ErasedNotes(tuple(erased), index)

    async def _proof(self, size: int, parts: list[Range], *, nodes_only: bool = False) -> tuple[bytes, list[bytes]]:
        if not 0 <= size <= INDEX_MAX:
            raise LedgerRangeError(f"the ledger never had {size} entries")
        async with self.database.reading(None) as connection:
            return await prove(connection, size, parts, nodes_only=nodes_only)

    async def _value(self, statement: str, *parameters: object) -> int:
        async with self.database.reading(None) as connection:
            return await connection.fetchval(statement, *parameters)


async def prove(
    connection: Connection, size: int, parts: list[Range], *, nodes_only: bool = False
) -> tuple[bytes, list[bytes]]:
    """The root hash of `size` entries and the hashes of `parts` of them (with `nodes_only`, of all their nodes).

    It is one statement that reads a row by its key for each node: at most about 4 log2(size) rows.
    """
    if await connection.fetchval(statements.SIZE) < size:
        raise LedgerRangeError(f"the ledger does not have {size} entries yet")
    all_nodes = Range(0, size).nodes()
    nodes = list(dict.fromkeys([*all_nodes, *(node for part in parts for node in part.nodes())]))
    rows = await connection.fetch(
        statements.NODES, [node.completed_by for node in nodes], [node.level for node in nodes]
    )
    if len(rows) != len(nodes) or any(len(row["hash"]) != evidence.HASH_BYTES for row in rows):
        raise LedgerDamagedError
    hashes = dict(zip(nodes, (row["hash"] for row in rows), strict=True))
    root = evidence.fold(Range(0, size), hashes.__getitem__) if size else evidence.Tree().root()
    if nodes_only:
        return root, [hashes[node] for part in parts for node in part.nodes()]
    return root, [evidence.fold(part, hashes.__getitem__) for part in parts]


def completed(leaf: bytes, index: int, peaks: Sequence[str | None]) -> list[bytes]:
    """The hashes that are stored with `leaf`, from the peaks of the tree before it, in hexadecimal as HEAD returns
    them.
    """
    nodes, hashes = evidence.peaks(index), [bytes.fromhex(peak or "") for peak in peaks]
    if len(nodes) != len(hashes) or any(len(peak) != evidence.HASH_BYTES for peak in hashes):
        raise LedgerDamagedError
    known: dict[Node, bytes] = dict(zip(nodes, hashes, strict=True))
    return evidence.completed(leaf, index, known.__getitem__)


def _bound(moment: datetime | None) -> str | None:
    """A time as leaves write it, so that the texts compare as the times do."""
    return moment and moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _entry(row: asyncpg.Record) -> Entry:
    """An entry as its leaf says. LedgerDamagedError when it cannot be read."""
    try:
        leaf = evidence.read_leaf(row["leaf"])
    except evidence.EntryError:
        raise LedgerDamagedError from None
    return Entry(
        row["index"], leaf.recorded_at, leaf.kind, leaf.actor, row["leaf"], leaf.facts, row["salt"], row["text"]
    )
