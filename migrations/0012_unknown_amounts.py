"""A column for the reason why a call has no amount. Calls that were stored before have no reason."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("calledger", "0011_attributes")]

    operations = [
        ops.RunSQL(
            [
                "ALTER TABLE call ADD COLUMN amount_unknown smallint",
                "ALTER TABLE call_held ADD COLUMN amount_unknown smallint",
            ],
            reverse_sql=[
                "ALTER TABLE call_held DROP COLUMN amount_unknown",
                "ALTER TABLE call DROP COLUMN amount_unknown",
            ],
        )
    ]
