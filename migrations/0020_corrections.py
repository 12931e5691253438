"""Corrections of calls, each stored as a row of `call` in the tier and at the time of the call that it corrects.

So a correction is kept as long as its call, and is summed with it. The table `correction` has one row per correction,
which keeps the same one from being stored twice, and says in which period it was made when sums ask for that; it
outlives the call as sums do. `bucket_at` and `tier` are the call's, `own_bucket_at` and `own_tier` the correction's;
`key` is a hash of account, source and the correction's own id.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

COLUMNS = ("correction_of uuid", "corrected_at timestamptz")
TABLES = ("call", "call_held")
CREATE = """
    CREATE TABLE correction (
        key uuid NOT NULL,
        bucket_at timestamptz NOT NULL,
        own_bucket_at timestamptz NOT NULL,
        digest bigint NOT NULL,
        call_id uuid NOT NULL,
        account_id integer NOT NULL,
        tier smallint NOT NULL,
        own_tier smallint NOT NULL,
        failed boolean NOT NULL,
        amount numeric NOT NULL,
        model text COLLATE "C" NOT NULL,
        provider text COLLATE "C" NOT NULL,
        api_key text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        PRIMARY KEY (account_id, key)
    )
"""


class Migration(migrations.Migration):
    """Add the columns and the table."""

    dependencies = [("calledger", "0019_field_removals")]

    operations = [
        ops.RunSQL(
            [
                *(f"ALTER TABLE {table} {', '.join(f'ADD COLUMN {column}' for column in COLUMNS)}" for table in TABLES),
                CREATE,
                "ALTER TABLE correction ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=[
                "DROP TABLE correction",
                *(
                    f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {column.split()[0]}' for column in COLUMNS)}"
                    for table in TABLES
                ),
            ],
        )
    ]
