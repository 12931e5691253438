"""Statements on the ledger's tables."""

from typing import Final

LEDGER_LOCK: Final = 0x63616C6C_0020

# Waits for the lock, which lasts to the end of the transaction, and then reads: one round trip.
# The hashes are text, because for an array of bytea the driver reads the catalogue on each new connection.
HEAD: Final = """
    SELECT entries AS size, moment AS now, ARRAY(
        SELECT encode(peak, 'hex') FROM unnest(peaks) WITH ORDINALITY AS kept (peak, ordinal) ORDER BY ordinal
    ) AS peaks
    FROM calledger_ledger_head($1)
"""
"""The size of the tree of entries, its peaks in hexadecimal, and the database's time, before an entry is added."""

SIZE: Final = "SELECT coalesce(max(index) + 1, 0) FROM ledger_entry"
"""How many entries there are."""

ADD: Final = """
    WITH added AS (
        INSERT INTO ledger_entry (index, recorded_at, kind, actor, leaf, hashes) VALUES ($1, $2, $3, $4, $5, $6)
        RETURNING index
    ), noted AS (
        INSERT INTO ledger_note (index, salt, text) SELECT index, $7, $8 FROM added WHERE $8::text IS NOT NULL
    )
    SELECT pg_notify('calledger_control', 'ledger') FROM added
"""
"""Add an entry with its hashes, and its note where there is one."""

ADD_REPLAYED: Final = """
    INSERT INTO ledger_entry (index, recorded_at, kind, actor, leaf, hashes) VALUES ($1, $2, $3, $4, $5, $6)
"""
"""Add an entry that the mirror has and a restored database has not."""

ERASE_NOTES: Final = "DELETE FROM ledger_note WHERE index = ANY ($1) RETURNING index"
"""Delete notes; the entries keep their digests."""

NODES: Final = """
    SELECT substring(entry.hashes FROM node.level * 32 + 1 FOR 32) AS hash
    FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS node (index, level, ordinal)
    JOIN ledger_entry AS entry ON entry.index = node.index
    ORDER BY node.ordinal
"""
"""Hashes of the tree, by entry and level, in the order that was asked for."""

# Kinds and times are read from the leaves, because a column next to a leaf can be edited without breaking a hash.
_SELECTED: Final = """
    WHERE entry.index >= $1 AND entry.index < $2
      AND ($3::text[] IS NULL OR calledger_leaf_kind(entry.leaf) = ANY ($3))
      AND ($4::text IS NULL OR calledger_leaf_moment(entry.leaf) >= $4)
      AND ($5::text IS NULL OR calledger_leaf_moment(entry.leaf) < $5)
"""

PAGE: Final = f"""
    SELECT entry.index, entry.leaf, note.salt, note.text
    FROM ledger_entry AS entry LEFT JOIN ledger_note AS note ON note.index = entry.index
    {_SELECTED}
    ORDER BY entry.index LIMIT $6
"""  # noqa: S608 - constants
"""A page of entries with their notes, filtered."""

COUNT: Final = f"SELECT count(*) FROM ledger_entry AS entry {_SELECTED}"  # noqa: S608 - constants
"""How many entries the filter of a page lets pass."""

LEAVES: Final = "SELECT index, leaf FROM ledger_entry WHERE index >= $1 AND index < $2 ORDER BY index"
"""The leaves of a range of entries."""

ROWS: Final = """
    SELECT index, recorded_at, kind, actor, leaf, hashes FROM ledger_entry
    WHERE index >= $1 AND index < $2 ORDER BY index
"""
"""A range of entries with all columns, for checks and the mirror."""

# Entries whose columns disagree with their leaf, and entries that have a note or had one.
OTHER_COLUMNS: Final = """
    SELECT index FROM ledger_entry
    WHERE kind IS DISTINCT FROM calledger_leaf_kind(leaf)
        OR actor IS DISTINCT FROM substring(encode(leaf, 'escape') FROM '^{"actor":"([^"]*)"')
        OR to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            IS DISTINCT FROM calledger_leaf_moment(leaf)
    ORDER BY index LIMIT 5
"""
"""Entries whose columns say something else than their leaf."""

ENTRIES_WITH_NOTES: Final = """
    SELECT entry.index, entry.leaf, note.salt, note.text
    FROM ledger_entry AS entry LEFT JOIN ledger_note AS note ON note.index = entry.index
    WHERE entry.index >= $1
        AND (note.index IS NOT NULL OR position(convert_to('"note":"hmac-sha256:', 'UTF8') IN entry.leaf) > 0)
    ORDER BY entry.index LIMIT $2
"""
"""Entries that have a note or that say they had one, for checks."""

NEWEST_OF_KIND: Final = """
    SELECT index, leaf FROM ledger_entry WHERE calledger_leaf_kind(leaf) = $1 ORDER BY index DESC LIMIT 1
"""
"""The newest entry of one kind, by its leaf."""

OF_KINDS: Final = """
    SELECT index, leaf FROM ledger_entry WHERE calledger_leaf_kind(leaf) = ANY ($1) AND index >= $2
    ORDER BY index LIMIT $3
"""
"""Entries of some kinds, by their leaves, in parts."""

ADD_CHECKPOINT: Final = """
    INSERT INTO ledger_checkpoint (size, issued_at, note, public_key)
    VALUES ($1, coalesce($2, clock_timestamp()), $3, $4)
    ON CONFLICT (size) DO NOTHING
"""
"""Add a signed checkpoint, unless one of its size is there."""

NEWEST_CHECKPOINT: Final = """
    SELECT size, issued_at, note, public_key FROM ledger_checkpoint ORDER BY size DESC LIMIT 1
"""
"""The checkpoint that covers most entries."""

CHECKPOINT: Final = "SELECT size, issued_at, note, public_key FROM ledger_checkpoint WHERE size = $1"
"""The checkpoint of exactly this size."""

COVERING_CHECKPOINT: Final = """
    SELECT size, issued_at, note, public_key FROM ledger_checkpoint
    WHERE size >= $1 AND public_key = $2 ORDER BY size LIMIT 1
"""
"""The smallest checkpoint of a signer that covers so many entries."""

NEAR_CHECKPOINTS: Final = """
    SELECT (SELECT max(size) FROM ledger_checkpoint WHERE size < $1) AS smaller,
        (SELECT min(size) FROM ledger_checkpoint WHERE size > $1) AS larger
"""
"""The sizes of the checkpoints right below and above one that is not there."""

CHECKPOINTS: Final = """
    SELECT size, issued_at, note, public_key FROM ledger_checkpoint WHERE size > $1 ORDER BY size LIMIT $2
"""
"""The checkpoints behind a size, in parts."""

# How many entries have no checkpoint yet, and the age of the oldest.
UNSIGNED: Final = """
    SELECT count(*) AS entries, clock_timestamp() - min(recorded_at) AS age FROM ledger_entry
    WHERE index >= coalesce((SELECT max(size) FROM ledger_checkpoint), 0)
"""
"""How many entries no checkpoint covers, and how old the oldest of them is."""
