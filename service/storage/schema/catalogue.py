"""The catalogue as the migrations make it: tables, columns, constraints, indexes, triggers and functions.

`catalogue.txt` is what they make, one object per line, the same on every version of PostgreSQL that we know. Whoever
has the owner's password can change any of it without touching a row: a rule that swallows copies, a default that
back-dates a hold, a function that counts otherwise. So the catalogue is held against the list. A migration that changes
it needs the list written anew: a test says how.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from service.storage.connection import Connection

LIST: Final = Path(__file__).with_name("catalogue.txt")

# Constraints of kind `n` are what PostgreSQL 18 has of NOT NULL, which is said of the column.
_OBJECTS: Final = r"""
    WITH ours AS (
        SELECT c.* FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
    ), watched AS (
        SELECT oid, relname, false AS is_part FROM ours
        UNION ALL
        SELECT part.oid, part.relname, true FROM ours JOIN pg_inherits AS i ON i.inhparent = ours.oid
        JOIN pg_class AS part ON part.oid = i.inhrelid AND part.relispartition
    ), found AS (
        SELECT format('table `%s`', relname) AS name, concat_ws(' ',
            CASE relkind WHEN 'r' THEN 'plain' WHEN 'p' THEN 'partitioned' ELSE relkind::text END,
            CASE relpersistence WHEN 'p' THEN 'permanent' ELSE relpersistence::text END,
            CASE WHEN relforcerowsecurity THEN 'forced' END, pg_get_partkeydef(oid)) AS definition
        FROM ours
        UNION ALL
        SELECT format('column `%s.%s`', ours.relname, a.attname), concat_ws(' ',
            format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
            nullif(a.attidentity, ''), nullif(a.attgenerated, ''), c.collname, pg_get_expr(d.adbin, d.adrelid))
        FROM ours JOIN pg_attribute AS a ON a.attrelid = ours.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
        UNION ALL
        SELECT format('constraint `%s` of `%s`', c.conname, ours.relname),
            concat_ws(' ', pg_get_constraintdef(c.oid), CASE WHEN NOT c.convalidated THEN 'unchecked' END)
        FROM ours JOIN pg_constraint AS c ON c.conrelid = ours.oid AND c.contype NOT IN ('n', 't')
        UNION ALL
        SELECT format('index `%s` of `%s`', c.relname, ours.relname),
            concat_ws(' ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'invalid' END,
            CASE WHEN i.indexprs IS NOT NULL OR i.indpred IS NOT NULL THEN 'computed' END)
        FROM ours JOIN pg_index AS i ON i.indrelid = ours.oid JOIN pg_class AS c ON c.oid = i.indexrelid
        UNION ALL
        SELECT format('trigger `%s` of `%s`', t.tgname, watched.relname), pg_get_triggerdef(t.oid)
        FROM watched JOIN pg_trigger AS t ON t.tgrelid = watched.oid AND NOT t.tgisinternal AND t.tgparentid = 0
        UNION ALL
        SELECT format('rule `%s` of `%s`', r.rulename, watched.relname), pg_get_ruledef(r.oid)
        FROM watched JOIN pg_rewrite AS r ON r.ev_class = watched.oid
        UNION ALL
        SELECT format('function `%s(%s)`', p.proname, pg_get_function_identity_arguments(p.oid)), concat_ws(' ',
            p.prokind, p.provolatile, CASE WHEN p.prosecdef THEN 'as its owner' END, l.lanname,
            array_to_string(p.proconfig, ' '),
            encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'UTF8')), 'hex'))
        FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = current_schema()::regnamespace AND starts_with(p.proname, 'calledger_')
    )
    SELECT name, regexp_replace(
        replace(definition, quote_ident(current_schema()) || '.', ''), '\s+', ' ', 'g') AS definition
    FROM found ORDER BY name COLLATE "C"
"""
_OURS: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname <> 'tortoise_migrations'
"""


@cache
def expected() -> Mapping[str, str]:
    """What the migrations make: definitions by name, as `catalogue.txt` has them."""
    lines = LIST.read_text("utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if line)


def expected_tables() -> list[str]:
    """The names of the tables that the migrations make, partitions left out."""
    return [name.split("`")[1] for name in expected() if name.startswith("table ")]


async def tables(connection: Connection) -> list[str]:
    """The tables that are there, partitions left out."""
    return [row["relname"] for row in await connection.fetch(_OURS)]


async def found(connection: Connection, names: list[str]) -> dict[str, str]:
    """The definitions of these tables, of what belongs to them, and of our functions, by name."""
    return {row["name"]: row["definition"] for row in await connection.fetch(_OBJECTS, names)}


async def catalogue_differences(connection: Connection) -> list[str]:
    """Everything in which our part of the catalogue is not what the migrations made, in words."""
    return list(_differences(expected(), await found(connection, expected_tables())))


def _differences(wanted: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    """What of the schema is other than it was written down."""
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            yield f"the {name} is missing"
        elif name not in wanted:
            # Further indexes are allowed to an operator, as long as they neither refuse rows nor run anything.
            if there[name].startswith("CREATE INDEX ") and not there[name].endswith(" computed"):
                continue
            yield f"the {name} is none of ours"
        elif wanted[name] != there[name]:
            yield f"the {name} is not as it was made"
