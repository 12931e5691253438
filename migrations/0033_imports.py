"""How far imports from other gateways have come: a cursor for each source, by a digest that tells nothing of it."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0032_idempotency_keys")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE import_checkpoint (
                    source bytea NOT NULL PRIMARY KEY,
                    format text COLLATE "C" NOT NULL,
                    cursor text COLLATE "C" NOT NULL,
                    rows bigint NOT NULL,
                    saved_at timestamptz NOT NULL
                )
                """,
                "ALTER TABLE import_checkpoint ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE import_checkpoint"],
        )
    ]
