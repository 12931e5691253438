"""The time at which an erasure that a hold blocks hid the person from everybody but the hold."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("calledger", "0015_account_names")]

    operations = [
        ops.AddField("Erasure", "restricted_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False))
    ]
