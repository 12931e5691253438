"""Mutations that were asked with an `Idempotency-Key`: kept for a day, so that a repeated one is not done again.

The key and the request are stored as digests under the keyring, the answer sealed, and none that holds a secret.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0031_webhooks")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE idempotency_key (
                    asked_by text COLLATE "C" NOT NULL,
                    key bytea NOT NULL,
                    request bytea NOT NULL,
                    asked_at timestamptz NOT NULL,
                    done boolean NOT NULL,
                    answer text COLLATE "C",
                    PRIMARY KEY (asked_by, key)
                )
                """,
                "CREATE INDEX idempotency_key_asked_at ON idempotency_key USING brin (asked_at)",
                "ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE idempotency_key"],
        )
    ]
