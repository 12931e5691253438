"""What a worker of a Citus cluster sends with the calls that it has stored: sums and feed are on the coordinator.

A trigger makes deltas and changes of it, in the transaction of the calls, and keeps no row. Nobody writes to the table
where there is no cluster.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table and its trigger."""

    dependencies = [("calledger", "0041_fsck_results")]

    operations = [
        ops.RunSQL(
            [
                "CREATE TABLE stored_on_worker (usage json, tags json, changes json)",
                """
                CREATE FUNCTION calledger_take_stored() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO usage_delta
                    SELECT * FROM json_populate_recordset(NULL::usage_delta, coalesce(NEW.usage, '[]'));
                    INSERT INTO usage_tag_delta
                    SELECT * FROM json_populate_recordset(NULL::usage_tag_delta, coalesce(NEW.tags, '[]'));
                    INSERT INTO call_change_new (account_id, tier, kind, ids)
                    SELECT account_id, tier, kind, ids
                    FROM json_populate_recordset(NULL::call_change_new, coalesce(NEW.changes, '[]'));
                    RETURN NULL;
                END
                $$
                """,
                """
                CREATE TRIGGER taken BEFORE INSERT ON stored_on_worker
                FOR EACH ROW EXECUTE FUNCTION calledger_take_stored()
                """,
            ],
            reverse_sql=["DROP TABLE stored_on_worker", "DROP FUNCTION calledger_take_stored()"],
        )
    ]
