"""The change feed: when each call was recorded, and its place in the order of commits.

The writer's transaction adds to `call_change_new` what it has stored: one row per account, tier and kind, with the ids
of its calls packed into one value. After the commit one process at a time moves these rows to `call_change` and gives
each change its position, without a gap (docs/decisions/0011-the-change-feed.md). `position` is that of the row's last
change. `ids` are random, so nothing tries to compress them.

`change_head` is the newest position. `change_epoch` tells a position from the same number in another history of this
database, such as before it was restored. `change_floor` is how far the feed was purged, by tier.

Calls that are there already get their places in the order of their days.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

CREATE = [
    """
    CREATE TABLE call_change_new (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        committed_at timestamptz NOT NULL DEFAULT now(),
        account_id integer NOT NULL,
        tier smallint NOT NULL,
        kind smallint NOT NULL,
        ids bytea NOT NULL
    )
    """,
    """
    CREATE TABLE call_change (
        position bigint NOT NULL,
        recorded_at timestamptz NOT NULL,
        account_id integer NOT NULL,
        tier smallint NOT NULL,
        kind smallint NOT NULL,
        ids bytea NOT NULL,
        PRIMARY KEY (account_id, position)
    )
    """,
    "ALTER TABLE call_change_new ALTER COLUMN ids SET STORAGE EXTERNAL",
    "ALTER TABLE call_change ALTER COLUMN ids SET STORAGE EXTERNAL",
    """
    CREATE INDEX call_change_position ON call_change USING brin (position, recorded_at)
    WITH (pages_per_range = 8, autosummarize = on)
    """,
    'CREATE TABLE change_head (position bigint NOT NULL, recorded_at timestamptz NOT NULL, history text COLLATE "C" NOT NULL)',
    "INSERT INTO change_head VALUES (0, '-infinity', '')",
    "CREATE TABLE change_epoch (first bigint PRIMARY KEY, token uuid NOT NULL, began_at timestamptz NOT NULL)",
    "CREATE TABLE change_floor (tier smallint PRIMARY KEY, position bigint NOT NULL)",
    "ALTER TABLE call_change_new ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE call_change ENABLE ROW LEVEL SECURITY",
]

EARLIER_CALLS = """
    INSERT INTO call_change_new (account_id, tier, kind, ids)
    SELECT account_id, tier, kind, string_agg(uuid_send(id), ''::bytea ORDER BY started_at, id)
    FROM (
        SELECT
            account_id, tier, started_at, id, (correction_of IS NOT NULL)::integer AS kind,
            date_trunc('day', started_at, 'UTC') AS day,
            row_number() OVER (
                PARTITION BY account_id, tier, correction_of IS NOT NULL, date_trunc('day', started_at, 'UTC')
                ORDER BY started_at, id
            ) / 1000 AS part
        FROM call
    ) AS stored
    GROUP BY account_id, tier, kind, day, part
    ORDER BY day, kind, account_id, tier, part
"""


class Migration(migrations.Migration):
    """Add the column and the tables."""

    dependencies = [("calledger", "0028_later_facts")]

    operations = [
        ops.RunSQL(
            [
                "ALTER TABLE call ADD COLUMN recorded_at timestamptz",
                "ALTER TABLE call ALTER COLUMN recorded_at SET DEFAULT now()",
                "ALTER TABLE call_held ADD COLUMN recorded_at timestamptz",
                *CREATE,
                EARLIER_CALLS,
            ],
            reverse_sql=[
                "DROP TABLE call_change_new, call_change, change_head, change_epoch, change_floor",
                *(f"ALTER TABLE {table} DROP COLUMN recorded_at" for table in ("call", "call_held")),
            ],
        )
    ]
