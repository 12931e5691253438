"""Which UTC days of a tier were looked at for whether their sums pay, and which tables of sums have no rows of them
(docs/decisions/0020-no-sums-of-sparse-days.md). `again`: some of these sums are to be made again.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table. Days are looked at by the service's maintenance, a few at a time."""

    dependencies = [("calledger", "0042_stored_on_worker")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE usage_unsummed (
                    of_day timestamptz NOT NULL,
                    of_tier smallint NOT NULL,
                    again boolean NOT NULL,
                    sums text[] COLLATE "C" NOT NULL,
                    PRIMARY KEY (of_tier, of_day)
                )
                """,
            ],
            reverse_sql=["DROP TABLE usage_unsummed"],
        )
    ]
