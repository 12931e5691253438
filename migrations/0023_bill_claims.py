"""The account and time that the first report of a bill gave it; later reports of the same bill get these.

`key` is a hash of who reports, the gateway's family and the provider's id of the work; none of these is stored.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0022_erasure_search")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE bill_claim (
                    key uuid PRIMARY KEY,
                    started_at timestamptz NOT NULL,
                    account_id integer NOT NULL,
                    tier smallint NOT NULL
                )
                """,
                "ALTER TABLE bill_claim ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE bill_claim"],
        )
    ]
