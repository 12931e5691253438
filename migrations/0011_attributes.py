"""Columns for what a call belongs to, how it was routed, and what it used besides tokens. A null column takes
no space.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

COLUMNS = (
    "cache_hit boolean",
    "attempt smallint",
    'trace_id text COLLATE "C"',
    'session_id text COLLATE "C"',
    'deployment text COLLATE "C"',
    'team text COLLATE "C"',
    'organization text COLLATE "C"',
    'normalized_error text COLLATE "C"',
    'provider_request_id text COLLATE "C"',
    "units jsonb",
)
TABLES = ("call", "call_held")


class Migration(migrations.Migration):
    """Add the columns."""

    dependencies = [("calledger", "0010_half_hours")]

    operations = [
        ops.RunSQL(
            [f"ALTER TABLE {table} {', '.join(f'ADD COLUMN {column}' for column in COLUMNS)}" for table in TABLES],
            reverse_sql=[
                f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {column.split()[0]}' for column in COLUMNS)}"
                for table in TABLES
            ],
        )
    ]
