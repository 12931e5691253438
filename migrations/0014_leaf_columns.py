"""Functions that read the kind and time of a ledger entry from its leaf.

The columns `kind`, `actor` and `recorded_at` repeat the leaf for people who look into the table, and can be edited
without changing a hash. So entries are selected by what their leaves say, and the index of kinds is on that. The tail
of a leaf is `"kind":"STARTED","recorded_at":"2026-11-22T10:14:00.123456Z"}`, with a note's hash between the two.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

KIND = """
CREATE FUNCTION calledger_leaf_kind(leaf bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT substring(right(encode(leaf, 'escape'), 220) FROM '^.*"kind":"([A-Z_]+)"') COLLATE "C"
$function$
"""
MOMENT = """
CREATE FUNCTION calledger_leaf_moment(leaf bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT left(right(encode(leaf, 'escape'), 29), 27) COLLATE "C"
$function$
"""


class Migration(migrations.Migration):
    """Create the functions and the index."""

    dependencies = [("calledger", "0013_row_security")]

    operations = [
        ops.RunSQL(
            [
                KIND,
                MOMENT,
                "DROP INDEX ledger_entry_kind",
                "CREATE INDEX ledger_entry_kind ON ledger_entry (calledger_leaf_kind(leaf), index)",
            ],
            reverse_sql=[
                "DROP INDEX ledger_entry_kind",
                "CREATE INDEX ledger_entry_kind ON ledger_entry (kind, index)",
                "DROP FUNCTION calledger_leaf_kind(bytea)",
                "DROP FUNCTION calledger_leaf_moment(bytea)",
            ],
        )
    ]
