"""Which account and moment the first report of a bill gave it: whoever reports the same bill later follows that.

`key` is a hash of who reports, the gateway's family and the provider's id of the work; nothing of them is here.
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
