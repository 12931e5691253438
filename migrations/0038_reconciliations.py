"""What comparisons with other gateways and with bills found: one row each, and one for each difference."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the tables."""

    dependencies = [("calledger", "0037_parent_span")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE reconciliation (
                    id uuid NOT NULL PRIMARY KEY,
                    source_id uuid,
                    name text COLLATE "C" NOT NULL,
                    requested_by text COLLATE "C" NOT NULL,
                    accounts jsonb,
                    layout text COLLATE "C",
                    first_day date NOT NULL,
                    last_day date NOT NULL,
                    time_zone text COLLATE "C" NOT NULL,
                    tolerance numeric NOT NULL,
                    made_at timestamptz NOT NULL,
                    by_ids boolean NOT NULL,
                    rows bigint NOT NULL,
                    calls bigint NOT NULL,
                    unread jsonb NOT NULL,
                    totals jsonb NOT NULL,
                    kinds jsonb NOT NULL,
                    differing bigint NOT NULL,
                    failure text COLLATE "C"
                )
                """,
                "CREATE INDEX reconciliation_made_at ON reconciliation (made_at)",
                """
                CREATE TABLE reconciliation_difference (
                    reconciliation_id uuid NOT NULL REFERENCES reconciliation (id) ON DELETE CASCADE,
                    number integer NOT NULL,
                    accounts jsonb,
                    kind text COLLATE "C" NOT NULL,
                    day date NOT NULL,
                    model text COLLATE "C" NOT NULL,
                    currency text COLLATE "C" NOT NULL,
                    calls bigint NOT NULL,
                    theirs numeric NOT NULL,
                    ours numeric NOT NULL,
                    examples jsonb NOT NULL,
                    PRIMARY KEY (reconciliation_id, number)
                )
                """,
                "ALTER TABLE reconciliation ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE reconciliation_difference ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE reconciliation_difference", "DROP TABLE reconciliation"],
        )
    ]
