"""Latency in the sums over all accounts: a histogram as one number, so that it is added and taken away like any sum.

Bucket b of `calledger_latency_bucket` is twelve digits of `latency`, from the 12b-th on: it holds up to 10^12 - 1 calls.
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


# A fold between two of the statements would be in one table and not in another.
FILL = f"""
DO $$ BEGIN
    LOCK TABLE usage_quarter, usage_day IN SHARE MODE;
    {";".join(_fill(table) for table in TABLES)};
END $$
"""


class Migration(migrations.Migration):
    """Create the column, and fill it from the rollups."""

    dependencies = [("calledger", "0009_exports")]

    operations = [
        ops.RunSQL(
            [
                SKETCH,
                *(f"ALTER TABLE {table} ADD COLUMN latency numeric NOT NULL DEFAULT 0" for table in TABLES),
                FILL,
            ],
            reverse_sql=[
                *(f"ALTER TABLE {table} DROP COLUMN latency" for table in TABLES),
                "DROP FUNCTION calledger_latency_sketch(smallint, numeric)",
            ],
        )
    ]
