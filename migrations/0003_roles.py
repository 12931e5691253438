"""Two roles for the service, and row-level security on every table of an account.

`calledger_app` sees the accounts of the setting `calledger.accounts`, and nothing when it is not set.
`calledger_app_all` sees every account: it serves keys that are bound to none, and the writer. It is a second role
because a CASE in one policy makes a scan much slower (docs/decisions/0003-two-reading-roles.md). Privileges are granted
on the parent tables only, because a partition that is granted directly is not protected by its parent's policy.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

SCOPED = "account_id = ANY (nullif(current_setting('calledger.accounts', true), '')::integer[])"
STORES = ("call", "call_error", "usage_quarter", "usage_day", "usage_delta", "call_held", "call_error_held")
CONTROL = ("installation", "account", "account_tier", "api_key", "policy_version", "purge_run")

# Roles belong to the cluster: another database may have made them, or may be doing so now. An owner that may not make
# roles continues without them, and `calledger status` names the missing protections.
CREATE_ROLES = """
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['calledger_app', 'calledger_app_all'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', wanted);
            END IF;
            -- From PostgreSQL 16 on, whoever makes a role administers it but may not yet become it.
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
END
$$
"""


def _when_roles_exist(*statements: str) -> str:
    body = "\n".join(f"EXECUTE $sql${statement}$sql$;" for statement in statements)
    condition = "(SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2"
    return f"DO $$ BEGIN IF {condition} THEN {body} END IF; END $$"


ROW_SECURITY = [
    *(f"ALTER TABLE {store} ENABLE ROW LEVEL SECURITY" for store in STORES),
    _when_roles_exist(
        *(f"CREATE POLICY scoped ON {store} FOR SELECT TO calledger_app USING ({SCOPED})" for store in STORES),
        *(
            f"CREATE POLICY everything ON {store} TO calledger_app_all USING (true) WITH CHECK (true)"
            for store in STORES
        ),
        f"GRANT SELECT ON {', '.join(STORES)} TO calledger_app, calledger_app_all",
        "GRANT INSERT ON call, call_error, usage_delta TO calledger_app_all",
        f"GRANT SELECT ON {', '.join(CONTROL)} TO calledger_app_all",
        "GRANT INSERT ON installation, account, account_tier, api_key, policy_version, purge_run TO calledger_app_all",
        "GRANT UPDATE ON installation, api_key, purge_run TO calledger_app_all",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO calledger_app_all",
    ),
]


class Migration(migrations.Migration):
    """Create the roles and the policies."""

    dependencies = [("calledger", "0002_stores")]

    operations = [
        ops.RunSQL(
            [CREATE_ROLES, *ROW_SECURITY],
            reverse_sql=[
                *(f"DROP POLICY IF EXISTS scoped ON {store}" for store in STORES),
                *(f"DROP POLICY IF EXISTS everything ON {store}" for store in STORES),
                *(f"ALTER TABLE {store} DISABLE ROW LEVEL SECURITY" for store in STORES),
            ],
        )
    ]
