"""The tables of a keyring in PostgreSQL, and every statement that works on them. It uses no extension.

A transaction that changes anything locks the one row of `keyring`: FOR SHARE to insert a key, FOR UPDATE to destroy
keys or to change what wraps them. So no key appears after its tombstone.
"""

from typing import Final

CHANNEL: Final = "calledger_keyring"
CREATION_LOCK: Final = 0x63616C6C_0006

CREATE: Final = """
    CREATE SCHEMA IF NOT EXISTS calledger_keyring;
    CREATE TABLE IF NOT EXISTS calledger_keyring.keyring (
        singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
        metadata text COLLATE "C" NOT NULL,
        database_id text COLLATE "C"
    );
    CREATE TABLE IF NOT EXISTS calledger_keyring.entry (
        name text COLLATE "C" PRIMARY KEY,
        content bytea NOT NULL
    );
    CREATE TABLE IF NOT EXISTS calledger_keyring.tombstone (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        had_key boolean NOT NULL,
        destroyed_at timestamptz NOT NULL
    );
    REVOKE ALL ON SCHEMA calledger_keyring FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA calledger_keyring FROM PUBLIC;
"""
"""Make the schema and the tables of a keyring."""
IS_THERE: Final = """
    SELECT to_regclass('calledger_keyring.keyring') IS NOT NULL AND to_regclass('calledger_keyring.entry') IS NOT NULL
        AND to_regclass('calledger_keyring.tombstone') IS NOT NULL
"""
"""Whether all tables of a keyring are there."""
IS_USED: Final = """
    SELECT EXISTS (SELECT FROM calledger_keyring.entry) OR EXISTS (SELECT FROM calledger_keyring.tombstone)
"""
"""Whether a key was ever stored or destroyed."""
SCHEMA: Final = "calledger_keyring"
ANY_SCHEMA: Final = "SELECT to_regnamespace('calledger_keyring') IS NOT NULL"
"""Whether the schema is there, whatever is in it."""
# `aside` is a name that we made of a prefix and a time, so it needs no quoting.
RENAME: Final = "ALTER SCHEMA calledger_keyring RENAME TO {aside}"
"""Set a lost keyring aside under another name."""
BEGIN_CREATION: Final = "SELECT pg_advisory_xact_lock($1)"
"""Let one process at a time create a keyring."""
PUT_METADATA: Final = "INSERT INTO calledger_keyring.keyring (metadata) VALUES ($1)"
"""Write the metadata of a new keyring."""
METADATA: Final = "SELECT metadata FROM calledger_keyring.keyring"
"""Read the metadata."""
METADATA_FOR_SHARE: Final = "SELECT metadata FROM calledger_keyring.keyring FOR SHARE"
"""Read the metadata while keys are added: nobody rotates meanwhile."""
METADATA_FOR_UPDATE: Final = "SELECT metadata FROM calledger_keyring.keyring FOR UPDATE"
"""Read the metadata in order to change them."""
SET_METADATA: Final = "UPDATE calledger_keyring.keyring SET metadata = $1"
"""Replace the metadata, at a rotation."""
BIND: Final = "UPDATE calledger_keyring.keyring SET database_id = $1 WHERE database_id IS NULL"
"""Bind the keyring to a database, unless it is bound."""
BOUND: Final = "SELECT database_id FROM calledger_keyring.keyring"
"""The database that the keyring is bound to."""

ENTRY: Final = "SELECT content FROM calledger_keyring.entry WHERE name = $1"
"""One wrapped key or secret."""
PUT_ENTRY: Final = """
    INSERT INTO calledger_keyring.entry (name, content)
    SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM calledger_keyring.tombstone WHERE name = $1)
    ON CONFLICT (name) DO NOTHING
"""
"""Store a new key, unless it was destroyed."""
ADD_ENTRY: Final = """
    INSERT INTO calledger_keyring.entry (name, content) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING true
"""
"""Store a new secret, unless there is one."""
REPLACE_ENTRY: Final = """
    UPDATE calledger_keyring.entry SET content = $3
    WHERE name = $1 AND content = $2 AND NOT EXISTS (SELECT FROM calledger_keyring.tombstone WHERE name = $1)
    RETURNING true
"""
"""Store a key that was wrapped anew, in the place of the one that was read."""
NAMES: Final = """
    SELECT name FROM calledger_keyring.entry
    WHERE name NOT LIKE 'secret/%' AND name NOT LIKE 'pack/%' AND NOT EXISTS (
        SELECT FROM calledger_keyring.tombstone WHERE tombstone.name = entry.name
    )
"""
"""The names of all keys."""
DIRECTLY_WRAPPED: Final = """
    SELECT name FROM calledger_keyring.entry
    WHERE substring(content FROM 1 FOR 1) <> $1 AND NOT EXISTS (
        SELECT FROM calledger_keyring.tombstone WHERE tombstone.name = entry.name
    )
"""
"""The names of all keys and secrets that no pack key wraps."""
IS_DESTROYED: Final = "SELECT EXISTS (SELECT FROM calledger_keyring.tombstone WHERE name = $1)"
"""Whether a key was destroyed."""
TOMBSTONES: Final = "SELECT name, had_key FROM calledger_keyring.tombstone ORDER BY number"
"""The destroyed keys, in the order of their destruction."""
BURY: Final = """
    INSERT INTO calledger_keyring.tombstone (name, had_key, destroyed_at)
    SELECT new.name, EXISTS (SELECT FROM calledger_keyring.entry WHERE entry.name = new.name), clock_timestamp()
    FROM unnest($1::text[]) WITH ORDINALITY AS new (name, ordinal) ORDER BY ordinal
    ON CONFLICT (name) DO NOTHING
"""
"""Write down that keys are destroyed, before they are removed."""
REMOVE: Final = "DELETE FROM calledger_keyring.entry WHERE name = ANY ($1::text[]) RETURNING name"
"""Remove destroyed keys."""
REMOVE_BURIED: Final = """
    DELETE FROM calledger_keyring.entry
    WHERE EXISTS (SELECT FROM calledger_keyring.tombstone WHERE tombstone.name = entry.name)
"""
"""Remove keys that were written down as destroyed and are still there."""
ANNOUNCE: Final = "SELECT pg_notify($1, '')"
"""Tell other processes that keys were destroyed."""
VACUUM: Final = "VACUUM calledger_keyring.entry"
"""Give back the pages that held destroyed keys."""

SYSTEM: Final = "SELECT system_identifier FROM pg_control_system()"
"""Which PostgreSQL cluster this is."""
STARTED: Final = "SELECT pg_postmaster_start_time()"
"""When the server was started."""
