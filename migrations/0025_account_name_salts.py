"""The salt of the digest by which the ledger knows an account's name; gone with the name."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the column."""

    dependencies = [("calledger", "0024_trace_index")]

    operations = [ops.AddField("Account", "name_salt", fields.BinaryField(null=True))]
