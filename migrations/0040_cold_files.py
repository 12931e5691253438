"""Calls of past partitions in files: which files there are, and how rows of them come into a statement."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Rows that are given count where their file is frozen in this snapshot, where row-level security lets the reader see
# their account, and where no row of the same key has come back.
GIVEN = """
CREATE FUNCTION calledger_cold(files bigint[], given json) RETURNS SETOF call LANGUAGE sql STABLE AS $$
    SELECT cold.* FROM json_populate_recordset(NULL::call, given) AS cold
    WHERE EXISTS (
        SELECT FROM cold_file AS file
        WHERE file.id = ANY (files) AND file.frozen_at IS NOT NULL AND file.tier = cold.tier
            AND cold.started_at >= file.start_at AND cold.started_at < file.end_at
    )
    AND (
        current_user <> 'calledger_app'
        OR cold.account_id = ANY (nullif(current_setting('calledger.accounts', true), '')::integer[])
    )
    AND NOT EXISTS (
        SELECT FROM call AS stored
        WHERE stored.account_id = cold.account_id AND stored.tier = cold.tier
            AND stored.started_at = cold.started_at AND stored.id = cold.id
    )
$$
"""


class Migration(migrations.Migration):
    """Make the table and the function."""

    dependencies = [("calledger", "0039_key_spending")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE cold_file (
                    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                    tier smallint NOT NULL,
                    start_at timestamptz NOT NULL,
                    end_at timestamptz NOT NULL,
                    partition text COLLATE "C" NOT NULL,
                    name text COLLATE "C" NOT NULL UNIQUE,
                    rows bigint NOT NULL,
                    bytes bigint NOT NULL,
                    sha256 bytea NOT NULL,
                    fingerprint text COLLATE "C" NOT NULL,
                    copied_at timestamptz NOT NULL,
                    frozen_at timestamptz,
                    UNIQUE (tier, start_at)
                )
                """,
                GIVEN,
            ],
            reverse_sql=["DROP FUNCTION calledger_cold(bigint[], json)", "DROP TABLE cold_file"],
        )
    ]
