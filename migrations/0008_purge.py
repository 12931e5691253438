"""Two functions that replace several statements each: one round trip instead of four.

A purge reads the partitions again before each step that destroys, and every append reads the head of the ledger while
others wait for it.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Bounds are text, which depends on these settings; and `IST` would be read as another zone than it was written for.
PARTITIONS = r"""
CREATE FUNCTION calledger_partitions(
    stores text[], OUT store text, OUT name text, OUT tier smallint, OUT start_at timestamptz, OUT end_at timestamptz,
    OUT pending boolean, OUT partition oid
) RETURNS SETOF record LANGUAGE sql STABLE SET datestyle = 'ISO' SET timezone = 'UTC' AS $function$
    SELECT parent.relname, c.relname, b.bound[1]::smallint, b.bound[2]::timestamptz, b.bound[3]::timestamptz,
           i.inhdetachpending, c.oid
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_class parent ON parent.oid = i.inhparent,
    LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
        $re$^FOR VALUES FROM \('(-?[0-9]+)', '([^']+)'\) TO \('\1', '([^']+)'\)$$re$) b(bound)
    WHERE i.inhparent = ANY (stores::regclass[]) AND b.bound IS NOT NULL
    ORDER BY 1, 3, 4
$function$
"""

# The second statement sees what the last holder of the lock committed, since each has a snapshot of its own.
LEDGER_HEAD = """
CREATE FUNCTION calledger_ledger_head(key bigint, OUT entries bigint, OUT moment timestamptz, OUT peaks bytea[])
LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock(key);
    SELECT head.size, clock_timestamp(), ARRAY (
        SELECT substring(entry.hashes FROM level * 32 + 1 FOR 32)
        FROM generate_series(62, 0, -1) AS level
        JOIN ledger_entry AS entry ON entry.index = ((head.size >> level) << level) - 1
        WHERE (head.size >> level) & 1 = 1
        ORDER BY level DESC
    )
    INTO entries, moment, peaks
    FROM (SELECT coalesce(max(index) + 1, 0) AS size FROM ledger_entry) AS head;
END
$function$
"""


class Migration(migrations.Migration):
    """Create the functions."""

    dependencies = [("calledger", "0007_costs")]

    operations = [
        ops.RunSQL(
            [PARTITIONS, LEDGER_HEAD],
            reverse_sql=[
                "DROP FUNCTION calledger_ledger_head(bigint)",
                "DROP FUNCTION calledger_partitions(text[])",
            ],
        )
    ]
