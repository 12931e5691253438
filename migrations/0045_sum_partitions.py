"""Sums that are derived from a rollup get a partition for each of the rollup's, which is dropped with it
(docs/decisions/0021-derived-sums-in-partitions.md).

Rows are copied partition by partition, each in a transaction of its own, while readers go on with the old tables; what
changes sums waits, and deltas that come meanwhile are read as ever. Then the tables change places, in one transaction.
Whoever is interrupted begins anew. On the way back it is the same without partitions.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

DERIVED = {
    "usage_quarter_all": ("usage_quarter", "tier, bucket_at, model, provider, currency"),
    "usage_hour_all": ("usage_quarter", "tier, bucket_at, model, provider, currency"),
    "usage_half_hour": ("usage_quarter", "account_id, tier, bucket_at, api_key, currency"),
    "usage_day_all": ("usage_day", "tier, bucket_at, model, provider, currency"),
}
_SCOPED = "account_id = ANY (nullif(current_setting('calledger.accounts', true), '')::integer[])"
# A purge, an erasure and what adds to sums, in this order, as they take these locks of sessions themselves.
_LOCKS = (0x63616C6C_0004, 0x63616C6C_0016, 0x63616C6C_0003)


def _made(table: str, key: str, parted: str) -> str:
    """Statements of PL/pgSQL that make the table that takes the place of `table`."""
    brin = f"CREATE INDEX {table}_new_bucket_at ON {table}_new USING brin (bucket_at) WITH (pages_per_range = 32);"
    scoped = f"CREATE POLICY scoped ON {table}_new FOR SELECT TO calledger_app USING ({_SCOPED});"
    of_accounts = table == "usage_half_hour"
    return f"""
        CREATE TABLE {table}_new (LIKE {table} INCLUDING DEFAULTS, PRIMARY KEY ({key})) {parted};
        {brin if of_accounts else ""}
        ALTER TABLE {table}_new ENABLE ROW LEVEL SECURITY;
        IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2 THEN
            {scoped if of_accounts else ""}
            CREATE POLICY everything ON {table}_new TO calledger_app_all USING (true) WITH CHECK (true);
            GRANT SELECT ON {table}_new TO {"calledger_app, calledger_app_all" if of_accounts else "calledger_app_all"};
        END IF;
    """


def _changed_places(table: str) -> str:
    """Statements of PL/pgSQL that put the new table in the place of the old."""
    brin = f"ALTER INDEX {table}_new_bucket_at RENAME TO {table}_bucket_at;" if table == "usage_half_hour" else ""
    return f"""
        DROP TABLE {table};
        ALTER TABLE {table}_new RENAME TO {table};
        ALTER INDEX {table}_new_pkey RENAME TO {table}_pkey;
        {brin}
    """


def _moved(parted: str, copied: str) -> str:
    """A block that makes new tables, has them filled by `copied`, and puts them in the place of the old, unless that
    was done before and not recorded.
    """
    tables = ", ".join(f"'{table}'" for table in DERIVED)
    return f"""
    DO $block$
    DECLARE
        part record;
        its_table text;
        its_part text;
    BEGIN
        IF (SELECT relkind FROM pg_class WHERE oid = 'usage_half_hour'::regclass) = '{"p" if parted else "r"}' THEN
            RETURN;
        END IF;
        {" ".join(f"PERFORM pg_advisory_lock({lock});" for lock in _LOCKS)}
        FOREACH its_table IN ARRAY ARRAY[{tables}] LOOP
            FOR its_part IN
                SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(its_table || '_new')
            LOOP
                EXECUTE 'DROP TABLE ' || its_part;
                COMMIT;
            END LOOP;
            EXECUTE format('DROP TABLE IF EXISTS %I', its_table || '_new');
        END LOOP;
        {"".join(_made(table, key, parted) for table, (_, key) in DERIVED.items())}
        COMMIT;
        {copied}
        LOOP
            BEGIN
                -- Shorter than a deadlock is waited for: a reader that has one table and waits for another goes on.
                SET LOCAL lock_timeout = '500ms';
                LOCK TABLE {", ".join(DERIVED)} IN ACCESS EXCLUSIVE MODE;
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                PERFORM pg_sleep(0.2);
            END;
        END LOOP;
        {"".join(map(_changed_places, DERIVED))}
        COMMIT;
        {" ".join(f"PERFORM pg_advisory_unlock({lock});" for lock in _LOCKS)}
    END $block$
    """


# What is of a partition that a purge has begun to detach goes with it.
_IN_PARTS = f"""
    FOR part IN
        SELECT own.sums, replace(rollup.name, rollup.store || '_t', own.sums || '_t') AS own_name, rollup.tier,
            rollup.start_at, to_char(rollup.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS start_text,
            rollup.end_at, to_char(rollup.end_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS end_text
        FROM (VALUES {", ".join(f"('{table}', '{rollup}')" for table, (rollup, _) in DERIVED.items())})
            AS own (sums, rollup)
        JOIN calledger_partitions(ARRAY['usage_quarter', 'usage_day']) AS rollup ON rollup.store = own.rollup
        WHERE NOT rollup.pending
    LOOP
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', part.own_name, part.sums);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part.own_name);
        EXECUTE format(
            'INSERT INTO %I SELECT * FROM %I WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 ORDER BY bucket_at',
            part.own_name, part.sums
        ) USING part.tier, part.start_at, part.end_at;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L, %L) TO (%L, %L)',
            part.sums || '_new', part.own_name, part.tier, part.start_text, part.tier, part.end_text
        );
        COMMIT;
    END LOOP;
"""
_AS_ONE = "".join(f"INSERT INTO {table}_new SELECT * FROM {table}; COMMIT;" for table in DERIVED)


class Migration(migrations.Migration):
    """Copy the sums, a partition a transaction."""

    atomic = False

    dependencies = [("calledger", "0044_cold_rewriting")]

    operations = [
        ops.RunSQL(
            [_moved("PARTITION BY RANGE (tier, bucket_at)", _IN_PARTS)], reverse_sql=[_moved("", _AS_ONE)], atomic=False
        )
    ]
