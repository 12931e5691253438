"""Sums by tag get a partition for each of the rollup whose window they have, as other derived sums have them
(docs/decisions/0021-derived-sums-in-partitions.md): the same way, and back.
"""

from importlib import import_module

from tortoise import migrations
from tortoise.migrations import operations as ops

_partitioning = import_module("migrations.0045_sum_partitions")

_OF_ALL = "tier, tag_key, bucket_at, tag_value, currency"
DERIVED = {
    "usage_tag_half_hour": ("usage_quarter", f"account_id, {_OF_ALL}"),
    "usage_tag_half_hour_all": ("usage_quarter", _OF_ALL),
    "usage_tag_day": ("usage_day", f"account_id, {_OF_ALL}"),
    "usage_tag_day_all": ("usage_day", _OF_ALL),
}


class Migration(migrations.Migration):
    """Copy the sums, a partition a transaction."""

    atomic = False

    dependencies = [("calledger", "0046_attestations")]

    operations = [ops.RunSQL(_partitioning.forward(DERIVED), reverse_sql=_partitioning.back(DERIVED), atomic=False)]
