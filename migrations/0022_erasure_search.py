"""The sealed id of the person whom an erasure looks for, and the progress of its search."""

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Add the columns."""

    dependencies = [("calledger", "0021_refusals")]

    operations = [
        ops.AddField("Erasure", "sealed_user", fields.BinaryField(null=True)),
        ops.AddField("Erasure", "search", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
    ]
