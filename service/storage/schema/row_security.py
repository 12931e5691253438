"""Row-level security: which of the service's two roles may do what with which table, and which rows it sees.

This list is the truth. It is put into force when migrations have run, when one of the roles has just been made, and by
`calledger migrate`. At other times a difference is named and left alone: somebody made it, and an operator wants to
know. Privileges stand on the parents only, for a partition that is granted directly is not protected by its parent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import asyncpg

from service.storage.connection import Connection

SCOPED_ROLE: Final = "calledger_app"
UNSCOPED_ROLE: Final = "calledger_app_all"
ROLES: Final = (SCOPED_ROLE, UNSCOPED_ROLE)

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
    may read; None when it may read none. `secured` False: the table says nothing of accounts, and has no policies.
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
        """What `role` may do with the table."""
        if role == UNSCOPED_ROLE:
            return self.unscoped
        return _READ if self.readable else ()


GUARDS: Final = (
    # A trigger lets it fill in what was unknown, and change nothing that is known.
    Guard("call", _WRITE, _BY_ACCOUNT),
    Guard("call_error", _ADD, _BY_ACCOUNT),
    Guard("call_held", _READ, _BY_ACCOUNT),
    Guard("call_error_held", _READ, _BY_ACCOUNT),
    Guard("correction", _ADD, _BY_ACCOUNT),
    Guard("bill_claim", _ADD),
    Guard("usage_delta", _ADD, _BY_ACCOUNT),
    Guard("usage_quarter", _READ, _BY_ACCOUNT),
    Guard("usage_half_hour", _READ, _BY_ACCOUNT),
    Guard("usage_day", _READ, _BY_ACCOUNT),
    Guard("usage_quarter_all", _READ),
    Guard("usage_hour_all", _READ),
    Guard("usage_day_all", _READ),
    Guard("ingest_refusal", _WRITE, _BY_ACCOUNT),
    Guard("account", _ADD, f"id = ANY ({_ACCOUNTS})"),
    Guard("account_tier", _ADD, _BY_ACCOUNT),
    Guard("hold", _READ, _BY_ACCOUNT),
    Guard("erasure", _READ, _BY_ACCOUNT),
    # An export is of several accounts: it is for whoever sees each of them.
    Guard("export", _READ, f"accounts <@ to_jsonb({_ACCOUNTS})"),
    Guard("api_key", _WRITE),
    Guard("purge_run", _READ),
    Guard("installation", _WRITE, secured=False),
    # Whether an export is over depends on the policy in force.
    Guard("policy_version", _READ, "", secured=False),
    Guard("ledger_entry", _ADD, secured=False),
    Guard("ledger_note", _ADD, secured=False),
    Guard("ledger_checkpoint", _ADD, secured=False),
)

_ROLES_THERE: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)"
# A partition without privileges of its own is not looked at: there are thousands.
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
    )
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
# For which migrations the list was last put in force: a comment on the table that counts them.
_MARK: Final = "SELECT obj_description('tortoise_migrations'::regclass, 'pg_class')"
_SCHEMA: Final = "SELECT has_schema_privilege($1, current_schema(), 'USAGE')"


@dataclass(frozen=True, slots=True)
class Gap:
    """One difference from the list: what it is, in words, and the statements that end it."""

    said: str
    repair: tuple[str, ...]


async def gaps(connection: Connection) -> list[Gap]:
    """Every difference between the catalogue and the list, for those of the two roles that exist."""
    roles = await _roles(connection)
    found = [gap for role in roles for gap in await _surroundings(connection, role)]
    relations = {row["name"]: row for row in await connection.fetch(_RELATIONS, roles, list(_PRIVILEGES))}
    policies: dict[str, list[asyncpg.Record]] = {}
    for row in await connection.fetch(_POLICIES):
        policies.setdefault(row["tablename"], []).append(row)
    guards = {guard.table: guard for guard in GUARDS}
    for name, relation in relations.items():
        guard = guards.get(name, Guard(name, (), secured=False))
        found += _privileges(guard, roles, set(relation["granted"]))
        if guard.secured:
            found += _security(guard, roles, relation["secured"], policies.get(name, []))
    return found


async def put_in_force(connection: Connection, migrations: int) -> list[str]:
    """End every difference, and note for how many migrations. What was ended, in words; nothing when there was none."""
    ended = []
    for gap in await gaps(connection):
        async with connection.transaction():
            for statement in gap.repair:
                await connection.execute(statement)
        ended.append(gap.said)
    await connection.execute(f"COMMENT ON TABLE tortoise_migrations IS '{int(migrations)}'")
    return ended


async def is_due(connection: Connection, migrations: int) -> bool:
    """Whether the list was not put in force since the last of so many migrations, or one of the roles exists and has
    nothing at all yet: somebody made it after the tables.
    """
    if await connection.fetchval(_MARK) != str(migrations):
        return True
    roles = await _roles(connection)
    rows = await connection.fetch(_RELATIONS, roles, list(_PRIVILEGES))
    granted = {entry.partition(" ")[0] for row in rows for entry in row["granted"]}
    return not granted >= set(roles)


async def _roles(connection: Connection) -> list[str]:
    return sorted(row["rolname"] for row in await connection.fetch(_ROLES_THERE, list(ROLES)))


async def _surroundings(connection: Connection, role: str) -> Iterable[Gap]:
    """What the role needs besides tables."""
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
        wanted = set(guard.privileges(role))
        has = {entry.partition(" ")[2] for entry in granted if entry.startswith(f"{role} ")}
        table = quoted(guard.table)
        for privilege in sorted(wanted - has):
            said = f"`{role}` lacks the privilege {privilege} on `{guard.table}`"
            yield Gap(said, (f"GRANT {privilege} ON {table} TO {role}",))
        for privilege in sorted(has - wanted):
            said = f"`{role}` has the privilege {privilege} on `{guard.table}`, which it must not have"
            yield Gap(said, (f"REVOKE {privilege} ON {table} FROM {role}",))


def _security(guard: Guard, roles: list[str], secured: bool, policies: list[asyncpg.Record]) -> Iterator[Gap]:
    table = quoted(guard.table)
    if not secured:
        said = f"row-level security of `{guard.table}` is switched off"
        yield Gap(said, (f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",))
    there = {row["policyname"]: row for row in policies}
    for name, role, condition, commands, definition in _wanted(guard, roles):
        row = there.pop(name, None)
        drop = f"DROP POLICY IF EXISTS {name} ON {table}"
        create = f"CREATE POLICY {name} ON {table} {definition}"
        if row is None:
            yield Gap(f"the policy `{name}` of `{guard.table}` is missing", (create,))
        elif (row["roles"], row["permissive"]) != ([role], "PERMISSIVE") or row["cmd"] not in commands:
            yield Gap(f"the policy `{name}` of `{guard.table}` is for others than `{role}`", (drop, create))
        elif _plain(row["qual"]) != _plain(condition):
            yield Gap(f"the policy `{name}` of `{guard.table}` shows other rows", (drop, create))
    for name, row in sorted(there.items()):
        if {*ROLES, "public"} & set(row["roles"]):
            said = f"the policy `{name}` of `{guard.table}` is none of ours"
            yield Gap(said, (f"DROP POLICY {quoted(name)} ON {table}",))


def _wanted(guard: Guard, roles: list[str]) -> Iterator[tuple[str, str, str, tuple[str, ...], str]]:
    """The policies of a table: name, role, condition, commands that it may be for, definition."""
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


def _plain(condition: str) -> str:
    """A condition without what PostgreSQL adds when it shows one: brackets, casts of literals, blanks, case."""
    text = condition.lower().replace("::text", "")
    return "".join(char for char in text if char not in "() \n")


def quoted(name: str) -> str:
    """A name of the catalogue as an identifier."""
    return '"' + name.replace('"', '""') + '"'
