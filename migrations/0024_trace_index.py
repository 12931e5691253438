"""Calls by their trace: an index of hashes, which holds nothing of calls without one."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the index."""

    dependencies = [("calledger", "0023_bill_claims")]

    operations = [
        ops.RunSQL(
            ["CREATE INDEX call_trace_id ON call USING hash (trace_id)"], reverse_sql=["DROP INDEX call_trace_id"]
        )
    ]
