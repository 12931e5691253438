"""The gateway's id of a call's team, beside its name. A column that is null costs nothing."""

from tortoise import migrations
from tortoise.migrations import operations as ops

TABLES = ("call", "call_held")


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("calledger", "0025_account_name_salts")]

    operations = [
        ops.RunSQL(
            [f'ALTER TABLE {table} ADD COLUMN team_id text COLLATE "C"' for table in TABLES],
            reverse_sql=[f"ALTER TABLE {table} DROP COLUMN team_id" for table in TABLES],
        )
    ]
