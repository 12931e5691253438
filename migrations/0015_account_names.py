"""The index for pages of `accounts`: names in the order of their code points, whatever the locale."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the index."""

    dependencies = [("calledger", "0014_leaf_columns")]

    operations = [
        ops.RunSQL(
            ['CREATE INDEX account_by_code_point ON account (name COLLATE "C")'],
            reverse_sql=["DROP INDEX account_by_code_point"],
        )
    ]
