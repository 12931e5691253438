"""The program that ran each migration, so that an older one that finds a later migration can say what to install."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

COLLATE = [
    'ALTER TABLE schema_program ALTER COLUMN migration TYPE varchar(100) COLLATE "C"',
    'ALTER TABLE schema_program ALTER COLUMN program TYPE text COLLATE "C"',
]


class Migration(migrations.Migration):
    """Create the record."""

    dependencies = [("calledger", "0017_completions")]

    operations = [
        ops.CreateModel(
            name="SchemaProgram",
            fields=[
                ("migration", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=100)),
                ("program", fields.TextField(unique=False)),
                ("applied_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "schema_program",
                "app": "calledger",
                "pk_attr": "migration",
                "table_description": "Which version of calledger ran a migration here.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(COLLATE, reverse_sql=["SELECT 1"]),
    ]
