"""Policies that wait for a second admin, who approved what, and the privileges on the policy in force.

Only the owner puts a policy in force: a statement that somebody smuggles in as one of the service's roles must not be
able to write the policy that the service then obeys. Those roles cannot read waiting policies either.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

COLLATE = [
    'ALTER TABLE policy_version ALTER COLUMN approved_by TYPE text COLLATE "C"',
    'ALTER TABLE policy_proposal ALTER COLUMN digest TYPE varchar(71) COLLATE "C", '
    'ALTER COLUMN document TYPE text COLLATE "C", ALTER COLUMN proposed_by TYPE text COLLATE "C"',
]


def _when_roles_exist(*statements: str) -> str:
    body = "\n".join(f"EXECUTE $sql${statement}$sql$;" for statement in statements)
    condition = "(SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2"
    return f"DO $$ BEGIN IF {condition} THEN {body} END IF; END $$"


PRIVILEGES = _when_roles_exist("REVOKE INSERT, UPDATE, DELETE ON policy_version FROM calledger_app_all")
OLD_PRIVILEGES = _when_roles_exist("GRANT INSERT ON policy_version TO calledger_app_all")


class Migration(migrations.Migration):
    """Create proposals of policies."""

    dependencies = [("calledger", "0005_retention")]

    operations = [
        ops.AddField("PolicyVersion", "approved_by", fields.TextField(null=True)),
        ops.AddField("PolicyVersion", "ledger_index", fields.BigIntField(null=True)),
        ops.CreateModel(
            name="PolicyProposal",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("replaces", fields.IntField()),
                ("digest", fields.CharField(max_length=71)),
                ("document", fields.TextField(unique=False)),
                ("proposed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("proposed_by", fields.TextField(unique=False)),
            ],
            options={
                "table": "policy_proposal",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "A policy that waits for a second admin, in place of version `replaces`.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([*COLLATE, PRIVILEGES], reverse_sql=[OLD_PRIVILEGES]),
    ]
