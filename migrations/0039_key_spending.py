"""What each API key may still spend, for all processes on the database; a crash fills every level."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0038_reconciliations")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE UNLOGGED TABLE key_spending (
                    key_id text COLLATE "C" NOT NULL PRIMARY KEY,
                    level double precision NOT NULL,
                    granted boolean NOT NULL,
                    settled_at timestamptz NOT NULL
                ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
                """,
            ],
            reverse_sql=["DROP TABLE key_spending"],
        )
    ]
