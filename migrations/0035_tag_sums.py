"""Sums by tag, for the tags that the policy lets costs be grouped by (docs/decisions/0014-sums-by-tag.md).

`usage_tag_key`: the tags of which deltas are made. `summed_from`: every call from that moment on is in the sums; null
until today's are. `unlisted_at`: since when the policy no longer lists the tag.
`usage_tag_delta` is to these sums what `usage_delta` is to rollups. There are sums by account and over all accounts,
each by half hour and by UTC day. Calls that do not carry a tag are in none of them.
`usage_tag_crowded`: what is in no sum, for an account had too many values of a tag on a UTC day.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

_NUMERIC = ("amount", "estimated", "wasted")
_SUMS = (
    "calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "priced", "amount", "estimated", "wasted",
)  # fmt: skip
_FIGURES = ", ".join(f"{name} {'numeric' if name in _NUMERIC else 'bigint'} NOT NULL" for name in _SUMS)
_TAG = """
    tier smallint NOT NULL, tag_key text COLLATE "C" NOT NULL, tag_value text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL
"""
TABLES = [
    'CREATE TABLE usage_tag_key (tag_key text COLLATE "C" PRIMARY KEY, summed_from timestamptz, unlisted_at timestamptz)',
    f"""
    CREATE TABLE usage_tag_delta (
        bucket_at timestamptz NOT NULL, {_FIGURES}, account_id integer NOT NULL, {_TAG},
        latency_buckets smallint[] NOT NULL
    )
    """,
    *(
        f"""
        CREATE TABLE {table} (
            bucket_at timestamptz NOT NULL, {_FIGURES}, latency numeric NOT NULL, account_id integer NOT NULL, {_TAG},
            PRIMARY KEY (account_id, tier, tag_key, bucket_at, tag_value, currency)
        )
        """
        for table in ("usage_tag_half_hour", "usage_tag_day")
    ),
    *(
        f"CREATE INDEX {table}_bucket_at ON {table} USING brin (bucket_at) WITH (pages_per_range = 32)"
        for table in ("usage_tag_half_hour", "usage_tag_day")
    ),
    *(
        f"""
        CREATE TABLE {table} (
            bucket_at timestamptz NOT NULL, {_FIGURES}, latency numeric NOT NULL, {_TAG},
            PRIMARY KEY (tier, tag_key, bucket_at, tag_value, currency)
        )
        """
        for table in ("usage_tag_half_hour_all", "usage_tag_day_all")
    ),
    """
    CREATE TABLE usage_tag_crowded (
        day timestamptz NOT NULL, account_id integer NOT NULL, tier smallint NOT NULL,
        tag_key text COLLATE "C" NOT NULL, PRIMARY KEY (account_id, tier, tag_key, day)
    )
    """,
]
_NAMES = (
    "usage_tag_crowded", "usage_tag_day_all", "usage_tag_half_hour_all", "usage_tag_day", "usage_tag_half_hour",
    "usage_tag_delta", "usage_tag_key",
)  # fmt: skip


class Migration(migrations.Migration):
    """Create the tables. The service sums what the policy lists from today on, and `rebuild-sums` what was before."""

    dependencies = [("calledger", "0034_model_index")]

    operations = [
        ops.RunSQL(
            [*TABLES, *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in _NAMES[:-1])],
            reverse_sql=[f"DROP TABLE {', '.join(_NAMES)}"],
        )
    ]
