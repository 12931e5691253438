"""Latency in the sums over all accounts, and sums by API key and half hour, for local days of an account or a key.

A histogram is one number, so that it is added and subtracted like any sum: bucket b of `calledger_latency_bucket` is
twelve digits of it, from the 12b-th on, and holds up to 10^12 - 1 calls.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

SKETCH = """
CREATE FUNCTION calledger_latency_sketch(bin smallint, entries numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (entries::text || 'E' || (12 * bin)::text)::numeric
"""
KEY = "tier, model, provider, currency"
TABLES = {
    "usage_quarter_all": ("usage_quarter", "bucket_at"),
    "usage_hour_all": ("usage_quarter", "date_trunc('hour', bucket_at, 'UTC')"),
    "usage_day_all": ("usage_day", "bucket_at"),
}


def _fill(table: str) -> str:
    store, bucket = TABLES[table]
    same = " AND ".join(f"{table}.{name} = found.{name}" for name in ("bucket_at", *KEY.split(", ")))
    return f"""
        UPDATE {table} SET latency = found.latency
        FROM (
            SELECT bucket_at, {KEY}, sum(calledger_latency_sketch(bin, entries)) AS latency
            FROM (
                SELECT {bucket} AS bucket_at, {KEY}, bin, sum(entries) AS entries
                FROM {store}, unnest(latency_buckets, latency_counts) AS histogram (bin, entries)
                GROUP BY 1, {KEY}, bin
            ) AS bins
            GROUP BY bucket_at, {KEY}
        ) AS found
        WHERE {same}
    """


_SUMS = (
    "calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "priced", "amount", "estimated", "wasted",
)  # fmt: skip
_WORKED_OUT = {"errors": "sum(calls) FILTER (WHERE failed)", "wasted": "sum(amount) FILTER (WHERE failed)"}
_NUMERIC = ("amount", "estimated", "wasted")
# Rows of one time are stored together, so that BRIN finds them for a purge and for questions about all accounts.
HALF_HOURS = [
    f"""
    CREATE TABLE usage_half_hour (
        bucket_at timestamptz NOT NULL,
        {", ".join(f"{name} {'numeric' if name in _NUMERIC else 'bigint'} NOT NULL" for name in _SUMS)},
        account_id integer NOT NULL, tier smallint NOT NULL, api_key text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL, PRIMARY KEY (account_id, tier, bucket_at, api_key, currency)
    )
    """,
    "CREATE INDEX usage_half_hour_bucket_at ON usage_half_hour USING brin (bucket_at) WITH (pages_per_range = 32)",
]
_FILL_HALF_HOURS = f"""
    INSERT INTO usage_half_hour (bucket_at, account_id, tier, api_key, currency, {", ".join(_SUMS)})
    SELECT
        date_bin('30 minutes', bucket_at, '1970-01-01 00:00:00+00'), account_id, tier, api_key, currency,
        {", ".join(f"coalesce({_WORKED_OUT.get(name, f'sum({name})')}, 0)" for name in _SUMS)}
    FROM usage_quarter GROUP BY 1, 2, 3, 4, 5 ORDER BY 1
"""

# A compaction between two of the statements would be in one table and not in another.
FILL = f"""
DO $$ BEGIN
    LOCK TABLE usage_quarter, usage_day IN SHARE MODE;
    {";".join(_fill(table) for table in TABLES)};
    {_FILL_HALF_HOURS};
END $$
"""

_SCOPED = "account_id = ANY (nullif(current_setting('calledger.accounts', true), '')::integer[])"
_READABLE = """
    CREATE POLICY scoped ON usage_half_hour FOR SELECT TO calledger_app USING ({scoped});
    CREATE POLICY everything ON usage_half_hour FOR SELECT TO calledger_app_all USING (true);
    GRANT SELECT ON usage_half_hour TO calledger_app, calledger_app_all
"""
ROW_SECURITY = [
    "ALTER TABLE usage_half_hour ENABLE ROW LEVEL SECURITY",
    f"""
    DO $$ BEGIN
        IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2 THEN
            {_READABLE.format(scoped=_SCOPED).strip()};
        END IF;
    END $$
    """,
]


class Migration(migrations.Migration):
    """Create column and table, and fill them from the rollups."""

    dependencies = [("calledger", "0009_exports")]

    operations = [
        ops.RunSQL(
            [
                SKETCH,
                *(f"ALTER TABLE {table} ADD COLUMN latency numeric NOT NULL DEFAULT 0" for table in TABLES),
                *HALF_HOURS,
                FILL,
                *ROW_SECURITY,
            ],
            reverse_sql=[
                "DROP TABLE usage_half_hour",
                *(f"ALTER TABLE {table} DROP COLUMN latency" for table in TABLES),
                "DROP FUNCTION calledger_latency_sketch(smallint, numeric)",
            ],
        )
    ]
