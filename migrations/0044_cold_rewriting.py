"""Partitions whose file was taken back for an erasure: what is left of their calls moves to a new file."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0043_unsummed_days")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE cold_rewrite (
                    partition text COLLATE "C" PRIMARY KEY
                )
                """,
            ],
            reverse_sql=["DROP TABLE cold_rewrite"],
        )
    ]
