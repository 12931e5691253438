"""Statements of retention, and how far those are that are asked for. The ledger has the digest of each."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0045_sum_partitions")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE attestation (
                    requested_at timestamptz NOT NULL,
                    ended_at timestamptz,
                    ledger_index bigint,
                    days integer NOT NULL,
                    checks integer NOT NULL,
                    checks_done integer NOT NULL,
                    id uuid NOT NULL PRIMARY KEY,
                    is_full boolean NOT NULL,
                    state text COLLATE "C" NOT NULL,
                    requested_by text COLLATE "C" NOT NULL,
                    failure text COLLATE "C",
                    statement bytea
                )
                """,
                "CREATE INDEX attestation_requested_at ON attestation (requested_at)",
                "ALTER TABLE attestation ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE attestation"],
        )
    ]
