"""The last hour in which a key gave out session tokens: the ledger has one entry per key and hour."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("calledger", "0026_team_id")]

    operations = [
        ops.RunSQL(
            "ALTER TABLE api_key ADD COLUMN sessions_hour timestamptz",
            reverse_sql="ALTER TABLE api_key DROP COLUMN sessions_hour",
        )
    ]
