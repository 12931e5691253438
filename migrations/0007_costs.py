"""Sums over all accounts, by quarter hour, hour and UTC day, for the most frequent questions.

There is a row for each tier, bucket, model, provider and currency; accounts, API keys and statuses are summed. A key
that is bound to accounts may not read these tables: the scoped role has no privilege on them.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

_SUMS = (
    "calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "priced", "amount", "estimated", "wasted",
)  # fmt: skip
_WORKED_OUT = {"errors": "sum(calls) FILTER (WHERE failed)", "wasted": "sum(amount) FILTER (WHERE failed)"}
_NUMERIC = ("amount", "estimated", "wasted")
_FROM = {
    "usage_quarter_all": ("usage_quarter", "bucket_at"),
    "usage_hour_all": ("usage_quarter", "date_trunc('hour', bucket_at, 'UTC')"),
    "usage_day_all": ("usage_day", "bucket_at"),
}


def _create(table: str) -> str:
    sums = ", ".join(f"{name} {'numeric' if name in _NUMERIC else 'bigint'} NOT NULL" for name in _SUMS)
    return f"""
        CREATE TABLE {table} (
            bucket_at timestamptz NOT NULL, {sums}, tier smallint NOT NULL, model text COLLATE "C" NOT NULL,
            provider text COLLATE "C" NOT NULL, currency text COLLATE "C" NOT NULL,
            PRIMARY KEY (tier, bucket_at, model, provider, currency)
        )
    """


def _fill(table: str) -> str:
    store, bucket = _FROM[table]
    sums = ", ".join(f"coalesce({_WORKED_OUT.get(name, f'sum({name})')}, 0)" for name in _SUMS)
    return f"""
        INSERT INTO {table} (bucket_at, tier, model, provider, currency, {", ".join(_SUMS)})
        SELECT {bucket}, tier, model, provider, currency, {sums} FROM {store} GROUP BY 1, 2, 3, 4, 5
    """


# A compaction between two of the statements would be in one table and not in another.
FILL = f"""
DO $$ BEGIN
    LOCK TABLE usage_quarter, usage_day IN SHARE MODE;
    {";".join(_fill(table) for table in _FROM)};
END $$
"""


def _when_roles_exist(*statements: str) -> str:
    body = "\n".join(f"EXECUTE $sql${statement}$sql$;" for statement in statements)
    condition = "(SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2"
    return f"DO $$ BEGIN IF {condition} THEN {body} END IF; END $$"


ROW_SECURITY = [
    *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in _FROM),
    _when_roles_exist(
        *(f"CREATE POLICY everything ON {table} FOR SELECT TO calledger_app_all USING (true)" for table in _FROM),
        f"GRANT SELECT ON {', '.join(_FROM)} TO calledger_app_all",
    ),
]


class Migration(migrations.Migration):
    """Create the sums over all accounts, and fill them from the rollups."""

    dependencies = [("calledger", "0006_policy")]

    operations = [
        ops.RunSQL(
            [*(_create(table) for table in _FROM), FILL, *ROW_SECURITY], reverse_sql=[f"DROP TABLE {', '.join(_FROM)}"]
        )
    ]
