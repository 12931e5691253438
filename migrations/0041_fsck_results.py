"""What `calledger fsck` found nothing wrong with, and in what state that was: it need not be checked again until that
changes, or time has passed (service/retention/audit/incremental/results.py).
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0040_cold_files")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE fsck_result (
                    checked_at timestamptz NOT NULL,
                    check_name text COLLATE "C" NOT NULL,
                    part text COLLATE "C" NOT NULL,
                    state text COLLATE "C" NOT NULL,
                    result text COLLATE "C" NOT NULL,
                    mac bytea NOT NULL,
                    PRIMARY KEY (check_name, part)
                )
                """,
                "ALTER TABLE fsck_result ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE fsck_result"],
        )
    ]
