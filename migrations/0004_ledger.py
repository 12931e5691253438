"""The ledger: entries that are only ever added, their notes, and signed checkpoints.

Besides its leaf, an entry has the hashes of the subtrees that it completes (32 bytes each, two on average): a proof is
some look-ups by primary key, and appending writes one row. The tree is what proves the history; that the database
refuses changes only prevents mistakes, and the owner of the tables can switch it off.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

TABLES = ("ledger_entry", "ledger_note", "ledger_checkpoint")

COLLATE = [
    'ALTER TABLE ledger_entry ALTER COLUMN kind TYPE varchar(32) COLLATE "C", ALTER COLUMN actor TYPE text COLLATE "C"',
    'ALTER TABLE ledger_note ALTER COLUMN text TYPE text COLLATE "C"',
    'ALTER TABLE ledger_checkpoint ALTER COLUMN note TYPE text COLLATE "C"',
    'ALTER TABLE ledger_checkpoint ALTER COLUMN public_key TYPE text COLLATE "C"',
    "CREATE INDEX ledger_entry_kind ON ledger_entry (kind, index)",
    "ALTER TABLE ledger_entry ALTER COLUMN hashes SET STORAGE PLAIN",
]

APPEND_ONLY = [
    """
    CREATE FUNCTION calledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    *(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "EXECUTE FUNCTION calledger_refuse_change()"
        for table in ("ledger_entry", "ledger_checkpoint")
    ),
    # Only the owner may erase notes.
    f"""
    DO $$ BEGIN
        IF (SELECT count(*) FROM pg_roles WHERE rolname = 'calledger_app_all') = 1 THEN
            EXECUTE 'GRANT SELECT, INSERT ON {", ".join(TABLES)} TO calledger_app_all';
        END IF;
    END $$
    """,
]


class Migration(migrations.Migration):
    """Create the ledger."""

    dependencies = [("calledger", "0003_roles")]

    operations = [
        ops.CreateModel(
            name="LedgerEntry",
            fields=[
                ("index", fields.BigIntField(primary_key=True, unique=True, db_index=True)),
                ("recorded_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("kind", fields.CharField(max_length=32)),
                ("actor", fields.TextField(unique=False)),
                ("leaf", fields.BinaryField()),
                ("hashes", fields.BinaryField()),
            ],
            options={
                "table": "ledger_entry",
                "app": "calledger",
                "pk_attr": "index",
                "table_description": "One entry of the ledger: its exact leaf, and the hashes of the subtrees that it completes.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerNote",
            fields=[
                ("index", fields.BigIntField(primary_key=True, unique=True, db_index=True)),
                ("salt", fields.BinaryField()),
                ("text", fields.TextField(unique=False)),
            ],
            options={
                "table": "ledger_note",
                "app": "calledger",
                "pk_attr": "index",
                "table_description": "Free text of an entry, erasable: the leaf holds its hash under `salt`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerCheckpoint",
            fields=[
                ("size", fields.BigIntField(primary_key=True, unique=True, db_index=True)),
                ("issued_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("note", fields.TextField(unique=False)),
                ("public_key", fields.TextField(unique=False)),
            ],
            options={
                "table": "ledger_checkpoint",
                "app": "calledger",
                "pk_attr": "size",
                "table_description": "A signed checkpoint (C2SP tlog-checkpoint) of the first `size` entries.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([*COLLATE, *APPEND_ONLY], reverse_sql=["DROP FUNCTION calledger_refuse_change() CASCADE"]),
    ]
