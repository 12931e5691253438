"""Row-level security: which of the service's two roles may do what with which table, and which rows it sees.

The list `GUARDS` is authoritative. It is put in force when migrations have run, when one of the roles has just been
made, and by `calledger migrate`. At other times a difference is reported and left alone: somebody made it, and an
operator wants to know. Privileges are granted on the parent tables only, because row-level security of a parent does
not protect a partition that is granted directly.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from service.storage.connection import Connection

SCOPED_ROLE: Final = "calledger_app"
UNSCOPED_ROLE: Final = "calledger_app_all"
ROLES: Final = (SCOPED_ROLE, UNSCOPED_ROLE)

WHOLE_ON_EACH_NODE: Final = ("hold",)
"""Tables that on Citus every node has whole, because statements join what is distributed with them."""
WRITTEN_ON_EACH_NODE: Final = ("stored_on_worker",)
"""Tables of the coordinator that on Citus every node can write to."""

_ACCOUNTS: Final = "nullif(current_setting('calledger.accounts', true), '')::integer[]"
_BY_ACCOUNT: Final = f"account_id = ANY ({_ACCOUNTS})"
_READ: Final = ("SELECT",)
_ADD: Final = ("SELECT", "INSERT")
_WRITE: Final = ("SELECT", "INSERT", "UPDATE")
_PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


@dataclass(frozen=True, slots=True)
class Guard:
    """What the roles may do with one table.

    `unscoped`: privileges of the role that sees every account. `scoped`: the condition on the rows that the other role
    may read; None when it may read none. `secured` False: the table has no data of accounts, and no policies.
    """

    table: str
    unscoped: tuple[str, ...]
    scoped: str | None = None
    secured: bool = True

    @property
    def readable(self) -> bool:
        """Whether the scoped role may read the table at all."""
        return self.scoped is not None

    def privileges(self, role: str) -> tuple[str, ...]:
        """The privileges that `role` must have on the table."""
        if role == UNSCOPED_ROLE:
            return self.unscoped
        return _READ if self.readable else ()


GUARDS: Final = (
    # A trigger allows updates that fill in unknown values, and none that change known ones.
    Guard("call", _WRITE, _BY_ACCOUNT),
    Guard("call_error", _ADD, _BY_ACCOUNT),
    Guard("call_held", _READ, _BY_ACCOUNT),
    Guard("call_error_held", _READ, _BY_ACCOUNT),
    Guard("correction", _ADD, _BY_ACCOUNT),
    Guard("bill_claim", _ADD),
    Guard("call_change", _READ, _BY_ACCOUNT),
    Guard("call_change_new", ("INSERT",)),
    # Positions alone, of no account.
    Guard("change_head", _READ, "", secured=False),
    Guard("change_epoch", _READ, "", secured=False),
    Guard("change_floor", _READ, "", secured=False),
    Guard("usage_delta", _ADD, _BY_ACCOUNT),
    # A trigger keeps no row.
    Guard("stored_on_worker", ("INSERT",), secured=False),
    Guard("usage_quarter", _READ, _BY_ACCOUNT),
    Guard("usage_half_hour", _READ, _BY_ACCOUNT),
    Guard("usage_day", _READ, _BY_ACCOUNT),
    Guard("usage_quarter_all", _READ),
    Guard("usage_hour_all", _READ),
    Guard("usage_day_all", _READ),
    Guard("usage_tag_delta", _ADD, _BY_ACCOUNT),
    Guard("usage_tag_half_hour", _READ, _BY_ACCOUNT),
    Guard("usage_tag_day", _READ, _BY_ACCOUNT),
    Guard("usage_tag_crowded", _READ, _BY_ACCOUNT),
    Guard("usage_tag_half_hour_all", _READ),
    Guard("usage_tag_day_all", _READ),
    # Times and sizes of files, of no account.
    Guard("cold_file", _READ, "", secured=False),
    Guard("cold_rewrite", ()),
    # Days of tiers, of no account.
    Guard("usage_unsummed", _READ, "", secured=False),
    # The policy's tags, of no account.
    Guard("usage_tag_key", _READ, "", secured=False),
    Guard("ingest_refusal", _WRITE, _BY_ACCOUNT),
    Guard("account", _ADD, f"id = ANY ({_ACCOUNTS})"),
    Guard("account_tier", _ADD, _BY_ACCOUNT),
    Guard("hold", _READ, _BY_ACCOUNT),
    Guard("erasure", _READ, _BY_ACCOUNT),
    # An export is of several accounts: a key must see all of them.
    Guard("export", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("export_schedule", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("webhook", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("webhook_delivery", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("budget", _READ, _BY_ACCOUNT),
    Guard("source", _READ, _BY_ACCOUNT),
    Guard("reconciliation", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("reconciliation_difference", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    # Keys that may do more than the one who asks are not for it.
    Guard("api_key", _WRITE, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("purge_run", _READ),
    # About every account: who is bound to some reads none. Written by the owner alone.
    Guard("attestation", _READ),
    # Levels by API key, of no account.
    Guard("key_spending", _WRITE, secured=False),
    # Written and read by the owner alone.
    Guard("idempotency_key", ()),
    Guard("import_checkpoint", ()),
    Guard("fsck_result", ()),
    Guard("installation", _WRITE, secured=False),
    # Readable because an export expires when another policy is in force.
    Guard("policy_version", _READ, "", secured=False),
    Guard("ledger_entry", _ADD, secured=False),
    Guard("ledger_note", _ADD, secured=False),
    Guard("ledger_checkpoint", _ADD, secured=False),
)

_ROLES_THERE: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[])"
"""Which of the two reading roles exist."""
# Partitions without privileges of their own are left out, because there are thousands, and so are extensions' views.
_RELATIONS: Final = """
    SELECT c.relname AS name, c.relrowsecurity AS secured, ARRAY(
        SELECT role || ' ' || privilege FROM unnest($1::text[]) AS role, unnest($2::text[]) AS privilege
        WHERE CASE WHEN privilege IN ('SELECT', 'INSERT', 'UPDATE')
            THEN has_any_column_privilege(role, c.oid, privilege) ELSE has_table_privilege(role, c.oid, privilege) END
    ) AS granted
    FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (
        NOT c.relispartition OR c.relacl IS NOT NULL
        OR c.oid IN (SELECT attrelid FROM pg_attribute WHERE attacl IS NOT NULL)
    ) AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
_POLICIES: Final = """
    SELECT tablename, policyname, permissive, roles::text[] AS roles, cmd, qual FROM pg_policies
    WHERE schemaname = current_schema()
"""
_SEQUENCES: Final = """
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace
        AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege($1, c.oid, 'USAGE') END
"""
# The number of migrations for which the list was last put in force is a comment on the table that counts them.
_MARK: Final = "SELECT obj_description('tortoise_migrations'::regclass, 'pg_class')"
_SCHEMA: Final = "SELECT has_schema_privilege($1, current_schema(), 'USAGE')"


@dataclass(frozen=True, slots=True)
class Gap:
    """One difference from the list: a description in words, and the statements that repair it."""

    description: str
    repair: tuple[str, ...]


async def gaps(connection: Connection) -> list[Gap]:
    """Every difference between the catalogue and the list, for those of the two roles that exist."""
    roles = await _roles(connection)
    found = [gap for role in roles for gap in await _gaps_besides_tables(connection, role)]
    relations = {row["name"]: row for row in await connection.fetch(_RELATIONS, roles, list(_PRIVILEGES))}
    policies: dict[str, list[asyncpg.Record]] = {}
    for row in await connection.fetch(_POLICIES):
        policies.setdefault(row["tablename"], []).append(row)
    guards = {guard.table: guard for guard in GUARDS}
    for name, relation in relations.items():
        guard = guards.get(name) or _guard_of_copy(name, guards)
        found += _privileges(guard, roles, set(relation["granted"]))
        if guard.secured:
            found += _security(guard, roles, relation["secured"], policies.get(name, []))
    return found


def _guard_of_copy(name: str, guards: Mapping[str, Guard]) -> Guard:
    """On Citus a table that every node has or can write to lies in a second one of its name and a number, with its
    policies.
    """
    table, _, number = name.rpartition("_")
    if table in (*WHOLE_ON_EACH_NODE, *WRITTEN_ON_EACH_NODE) and number.isdecimal():
        return replace(guards[table], table=name)
    return Guard(name, (), secured=False)


async def put_in_force(connection: Connection, migrations: int) -> list[str]:
    """Repair every difference, and record for how many migrations. Returns descriptions of what was repaired."""
    ended = []
    for gap in await gaps(connection):
        async with connection.transaction():
            for statement in gap.repair:
                await connection.execute(statement)
        ended.append(gap.description)
    await connection.execute(f"COMMENT ON TABLE tortoise_migrations IS '{int(migrations)}'")
    return ended


async def is_due(connection: Connection, migrations: int) -> bool:
    """Whether `put_in_force` has to run: since the last of so many migrations it did not, or a role has no privilege
    yet.

    A role without any privilege was made after the tables.
    """
    if await connection.fetchval(_MARK) != str(migrations):
        return True
    roles = await _roles(connection)
    rows = await connection.fetch(_RELATIONS, roles, list(_PRIVILEGES))
    granted = {entry.partition(" ")[0] for row in rows for entry in row["granted"]}
    return not granted >= set(roles)


async def _roles(connection: Connection) -> list[str]:
    return sorted(row["rolname"] for row in await connection.fetch(_ROLES_THERE, list(ROLES)))


async def _gaps_besides_tables(connection: Connection, role: str) -> Iterable[Gap]:
    """What the role lacks of the schema and the sequences."""
    found = []
    if not await connection.fetchval(_SCHEMA, role):
        schema = await connection.fetchval("SELECT quote_ident(current_schema())")
        found.append(Gap(f"`{role}` may not use the schema", (f"GRANT USAGE ON SCHEMA {schema} TO {role}",)))
    if role == UNSCOPED_ROLE:
        for (name,) in await connection.fetch(_SEQUENCES, role):
            found.append(
                Gap(
                    f"`{role}` may not use the sequence `{name}`",
                    (f"GRANT USAGE ON SEQUENCE {quoted(name)} TO {role}",),
                )
            )
    return found


def _privileges(guard: Guard, roles: Iterable[str], granted: set[str]) -> Iterator[Gap]:
    for role in roles:
        expected = set(guard.privileges(role))
        has = {entry.partition(" ")[2] for entry in granted if entry.startswith(f"{role} ")}
        table = quoted(guard.table)
        for privilege in sorted(expected - has):
            description = f"`{role}` lacks the privilege {privilege} on `{guard.table}`"
            yield Gap(description, (f"GRANT {privilege} ON {table} TO {role}",))
        for privilege in sorted(has - expected):
            description = f"`{role}` has the privilege {privilege} on `{guard.table}`, which it must not have"
            yield Gap(description, (f"REVOKE {privilege} ON {table} FROM {role}",))


def _security(guard: Guard, roles: list[str], secured: bool, policies: list[asyncpg.Record]) -> Iterator[Gap]:
    """The statements that give one table its row-level security."""
    table = quoted(guard.table)
    if not secured:
        description = f"row-level security of `{guard.table}` is switched off"
        yield Gap(description, (f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",))
    existing = {row["policyname"]: row for row in policies}
    for name, role, condition, commands, definition in _expected_policies(guard, roles):
        row = existing.pop(name, None)
        drop = f"DROP POLICY IF EXISTS {name} ON {table}"
        create = f"CREATE POLICY {name} ON {table} {definition}"
        if row is None:
            yield Gap(f"the policy `{name}` of `{guard.table}` is missing", (create,))
        elif (row["roles"], row["permissive"]) != ([role], "PERMISSIVE") or row["cmd"] not in commands:
            yield Gap(f"the policy `{name}` of `{guard.table}` is for others than `{role}`", (drop, create))
        elif _normalized(row["qual"]) != _normalized(condition):
            yield Gap(f"the policy `{name}` of `{guard.table}` shows other rows", (drop, create))
    for name, row in sorted(existing.items()):
        if {*ROLES, "public"} & set(row["roles"]):
            description = f"the policy `{name}` of `{guard.table}` is none of ours"
            yield Gap(description, (f"DROP POLICY {quoted(name)} ON {table}",))


def _expected_policies(guard: Guard, roles: list[str]) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """The policies of a table: name, role, condition, commands that each may be for, definition."""
    if SCOPED_ROLE in roles and guard.scoped is not None:
        definition = f"FOR SELECT TO {SCOPED_ROLE} USING ({guard.scoped})"
        yield "scoped", SCOPED_ROLE, guard.scoped, ("SELECT",), definition
    if UNSCOPED_ROLE in roles:
        yield (
            "everything",
            UNSCOPED_ROLE,
            "true",
            ("ALL", "SELECT"),
            f"TO {UNSCOPED_ROLE} USING (true) WITH CHECK (true)",
        )


def _normalized(condition: str) -> str:
    """A condition without what PostgreSQL adds when it shows one: brackets, casts of literals, blanks, case."""
    text = condition.lower().replace("::text", "")
    return "".join(char for char in text if char not in "() \n")


def quoted(name: str) -> str:
    """A name of the catalogue as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
