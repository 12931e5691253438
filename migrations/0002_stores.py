"""The stores: calls, errors and usage, partitioned by tier and time, and the deltas that become usage.

The service makes the partitions. The widest columns come first, so that alignment wastes no space. The only index on
time is BRIN: with a btree on (started_at, id) the planner would use that for an account's page.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

CALL_COLUMNS = """
    started_at timestamptz NOT NULL,
    error_at timestamptz,
    id uuid NOT NULL,
    digest bigint NOT NULL,
    user_token bigint,
    account_id integer NOT NULL,
    input_tokens integer,
    output_tokens integer,
    cache_read_tokens integer,
    cache_write_tokens integer,
    reasoning_tokens integer,
    latency_ms integer,
    time_to_first_token_ms integer,
    tier smallint NOT NULL,
    source smallint NOT NULL,
    amount_source smallint,
    failed boolean NOT NULL,
    streamed boolean,
    amount numeric,
    source_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    served_model text COLLATE "C",
    provider text COLLATE "C",
    operation text COLLATE "C",
    api_key text COLLATE "C",
    currency text COLLATE "C",
    error_type text COLLATE "C",
    error_code text COLLATE "C",
    corrects text COLLATE "C",
    tags jsonb,
    amount_parts jsonb
"""

CALL_KEY = "PRIMARY KEY (account_id, tier, started_at, id)"

CALL = [
    f"CREATE TABLE call ({CALL_COLUMNS}, {CALL_KEY}) PARTITION BY RANGE (tier, started_at)",
    "CREATE INDEX call_started_at ON call USING brin (started_at)",
    "CREATE INDEX call_source_id ON call USING hash (source_id)",
    f"CREATE TABLE call_held ({CALL_COLUMNS}, {CALL_KEY})",
]

ERROR_COLUMNS = """
    occurred_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    id uuid NOT NULL,
    fingerprint bigint NOT NULL,
    user_token bigint,
    account_id integer NOT NULL,
    tier smallint NOT NULL,
    api_key text COLLATE "C",
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C",
    error_type text COLLATE "C" NOT NULL,
    error_code text COLLATE "C",
    rules text[] COLLATE "C" NOT NULL,
    rule_counts integer[] NOT NULL,
    sealed bytea
"""

ERROR_KEY = "PRIMARY KEY (account_id, tier, occurred_at, id)"

ERROR = [
    f"CREATE TABLE call_error ({ERROR_COLUMNS}, {ERROR_KEY}) PARTITION BY RANGE (tier, occurred_at)",
    f"CREATE TABLE call_error_held ({ERROR_COLUMNS}, {ERROR_KEY})",
]

# A name that was not reported is the empty string here, since a key cannot contain null; reports never have ''.
USAGE_KEY = """
    bucket_at timestamptz NOT NULL,
    account_id integer NOT NULL,
    tier smallint NOT NULL,
    failed boolean NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    api_key text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL
"""

USAGE_SUMS = """
    calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    priced bigint NOT NULL,
    amount numeric NOT NULL,
    estimated numeric NOT NULL
"""

USAGE_PRIMARY_KEY = "PRIMARY KEY (account_id, tier, bucket_at, model, provider, api_key, failed, currency)"

USAGE = [
    f"CREATE TABLE {table} ({USAGE_KEY}, {USAGE_SUMS}, latency_buckets smallint[] NOT NULL, "
    f"latency_counts bigint[] NOT NULL, {USAGE_PRIMARY_KEY}) PARTITION BY RANGE (tier, bucket_at)"
    for table in ("usage_quarter", "usage_day")
] + [
    f"CREATE TABLE usage_delta ({USAGE_KEY}, {USAGE_SUMS}, latency_buckets smallint[] NOT NULL)",
    # Growth of 1.1 a bucket: its middle is within 5 % of every latency in it; 160 buckets reach past an hour.
    """
    CREATE FUNCTION calledger_latency_bucket(latency_ms integer) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN least(ceil(ln(greatest(latency_ms, 1)::double precision) / ln(1.1::double precision)), 159)::smallint
    """,
]


class Migration(migrations.Migration):
    """Create the stores."""

    dependencies = [("calledger", "0001_control")]

    operations = [
        ops.RunSQL(
            [*CALL, *ERROR, *USAGE],
            reverse_sql=[
                "DROP FUNCTION calledger_latency_bucket(integer)",
                "DROP TABLE usage_delta, usage_day, usage_quarter, call_error_held, call_error, call_held, call",
            ],
        )
    ]
