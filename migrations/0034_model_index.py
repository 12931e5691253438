"""Calls by their model: a bloom filter for each 32 pages, so that a rare one is not looked for in all of them."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the index."""

    dependencies = [("calledger", "0033_imports")]

    operations = [
        ops.RunSQL(
            [
                "CREATE INDEX call_model ON call USING brin (model text_bloom_ops (n_distinct_per_range = 64))"
                " WITH (pages_per_range = 32)"
            ],
            reverse_sql=["DROP INDEX call_model"],
        )
    ]
