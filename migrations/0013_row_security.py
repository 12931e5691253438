"""Row-level security on every table that has data of accounts, not on calls and sums alone.

Privileges and policies are in `service.storage.schema.row_security`, which is put in force after every migration, and
again when an operator makes the roles later. This migration does what needs no role.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

TABLES = ("account", "account_tier", "api_key", "hold", "erasure", "export", "purge_run")


class Migration(migrations.Migration):
    """Switch row-level security on."""

    dependencies = [("calledger", "0012_unknown_amounts")]

    operations = [
        ops.RunSQL(
            [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in TABLES],
            reverse_sql=[f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in TABLES],
        )
    ]
