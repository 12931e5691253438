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


def _is_by_account(key: str) -> bool:
    return key.startswith("account_id, ")


def _made(table: str, key: str, parted: str) -> str:
    """Statements of PL/pgSQL that make the table that takes the place of `table`."""
    brin = f"CREATE INDEX {table}_new_bucket_at ON {table}_new USING brin (bucket_at) WITH (pages_per_range = 32);"
    scoped = f"""
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'calledger_app') THEN
            CREATE POLICY scoped ON {table}_new FOR SELECT TO calledger_app USING ({_SCOPED});
            GRANT SELECT ON {table}_new TO calledger_app;
        END IF;
    """
    return f"""
        CREATE TABLE {table}_new (LIKE {table} INCLUDING DEFAULTS, PRIMARY KEY ({key})) {parted};
        ALTER TABLE {table}_new ENABLE ROW LEVEL SECURITY;
        {brin + scoped if _is_by_account(key) else ""}
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'calledger_app_all') THEN
            CREATE POLICY everything ON {table}_new TO calledger_app_all USING (true) WITH CHECK (true);
            GRANT SELECT ON {table}_new TO calledger_app_all;
        END IF;
    """


def _changed_places(table: str, key: str) -> str:
    """Statements of PL/pgSQL that put the new table in the place of the old."""
    brin = f"ALTER INDEX {table}_new_bucket_at RENAME TO {table}_bucket_at;" if _is_by_account(key) else ""
    return f"""
        DROP TABLE {table};
        ALTER TABLE {table}_new RENAME TO {table};
        ALTER INDEX {table}_new_pkey RENAME TO {table}_pkey;
        {brin}
    """


def _moved(derived: dict[str, tuple[str, str]], parted: str, copied: str) -> str:
    """A block that makes new tables, has them filled by `copied`, and puts them in the place of the old, unless that
    was done before and not recorded.
    """
    tables = ", ".join(f"'{table}'" for table in derived)
    return f"""
    DO $block$
    DECLARE
        part record;
        its_table text;
        its_part text;
        pause double precision := 0.1;
    BEGIN
        IF (SELECT relkind FROM pg_class WHERE oid = '{next(iter(derived))}'::regclass) = '{"p" if parted else "r"}' THEN
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
        {"".join(_made(table, key, parted) for table, (_, key) in derived.items())}
        COMMIT;
        {copied}
        LOOP
            BEGIN
                -- Who reads waits behind this lock while it is waited for: briefly, and then not for ten times as long.
                SET LOCAL lock_timeout = '50ms';
                LOCK TABLE {", ".join(derived)} IN ACCESS EXCLUSIVE MODE;
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                PERFORM pg_sleep(pause);
                pause := least(pause * 2, 2);
            END;
        END LOOP;
        {"".join(_changed_places(table, key) for table, (_, key) in derived.items())}
        COMMIT;
        {" ".join(f"PERFORM pg_advisory_unlock({lock});" for lock in _LOCKS)}
    END $block$
    """


def _in_parts(derived: dict[str, tuple[str, str]]) -> str:
    """Statements of PL/pgSQL that fill partitions. What is of one that a purge has begun to detach goes with it. A
    rollup's may have been made by hand, under any name.
    """
    rollups = ", ".join(f"('{table}', '{rollup}')" for table, (rollup, _) in derived.items())
    return f"""
    FOR part IN
        SELECT own.sums, own.sums || '_t' || CASE
                WHEN starts_with(rollup.name, rollup.store || '_t') THEN substr(rollup.name, length(rollup.store) + 3)
                ELSE rollup.name
            END AS own_name, rollup.tier,
            rollup.start_at, to_char(rollup.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS start_text,
            rollup.end_at, to_char(rollup.end_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS end_text
        FROM (VALUES {rollups}) AS own (sums, rollup)
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


def forward(derived: dict[str, tuple[str, str]]) -> list[str]:
    """What puts these tables, each with its rollup and its key, into partitions."""
    return [_moved(derived, "PARTITION BY RANGE (tier, bucket_at)", _in_parts(derived))]


def back(derived: dict[str, tuple[str, str]]) -> list[str]:
    """What makes one table of each again."""
    return [
        _moved(derived, "", "".join(f"INSERT INTO {table}_new SELECT * FROM {table}; COMMIT;" for table in derived))
    ]


class Migration(migrations.Migration):
    """Copy the sums, a partition a transaction."""

    atomic = False

    dependencies = [("calledger", "0044_cold_rewriting")]

    operations = [ops.RunSQL(forward(DERIVED), reverse_sql=back(DERIVED), atomic=False)]
