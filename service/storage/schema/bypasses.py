"""What surrounds our tables in the catalogue, and can undo what they promise: roles, grants, settings, copies.

Nothing here is made by a migration, and so nothing of it may be there: other roles may read, and no more.
"""

from typing import Final

from service.storage.connection import Connection
from service.storage.schema.row_security import ROLES

_ROLES: Final = """
    SELECT format('the role `%s` passes by row-level security', rolname) AS description
    FROM pg_roles WHERE rolname = ANY ($1::text[]) AND (rolsuper OR rolbypassrls)
    UNION ALL
    SELECT format('the role `%s` may make roles or copy the server', rolname)
    FROM pg_roles WHERE rolname = ANY ($1::text[]) AND (rolcreaterole OR rolreplication)
    UNION ALL
    SELECT format('the role `%s` is a member of `%s`, and may do what that one may', member.rolname, granted.rolname)
    FROM pg_auth_members AS m JOIN pg_roles AS member ON member.oid = m.member
    JOIN pg_roles AS granted ON granted.oid = m.roleid
    WHERE member.rolname = ANY ($1::text[])
    ORDER BY 1
"""
_OWNERS: Final = """
    SELECT format('the table `%s` belongs to `%s`, and not to the owner of the others', relname,
        pg_get_userbyid(relowner)) AS description
    FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1::text[])
        AND relowner <> (SELECT relowner FROM pg_class WHERE oid = to_regclass('tortoise_migrations'))
    ORDER BY 1
"""
_GRANTS: Final = """
    SELECT DISTINCT format('%s has the privilege %s on `%s`, which only the service has',
        CASE granted.grantee WHEN 0 THEN 'everybody' ELSE format('`%s`', pg_get_userbyid(granted.grantee)) END,
        granted.privilege_type, c.relname) AS description
    FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL,
    LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL SELECT * FROM aclexplode(a.attacl)) AS granted
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
        AND granted.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
        AND granted.grantee <> c.relowner
        AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = granted.grantee AND rolname = ANY ($2::text[]))
    ORDER BY 1
"""
_EVENT_TRIGGERS: Final = """
    SELECT format('the event trigger `%s` runs at every change of a table', evtname) AS description
    FROM pg_event_trigger AS e
    WHERE evtenabled <> 'D' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_event_trigger'::regclass AND objid = e.oid AND deptype = 'e'
    )
    ORDER BY 1
"""
_PUBLICATIONS: Final = """
    SELECT DISTINCT format('the publication `%s` sends rows of `%s` away', pubname, tablename) AS description
    FROM pg_publication_tables
    WHERE schemaname = current_schema() AND (tablename = ANY ($1::text[]) OR tablename IN (
        SELECT part.relname FROM pg_inherits AS i JOIN pg_class AS part ON part.oid = i.inhrelid
        JOIN pg_class AS parent ON parent.oid = i.inhparent WHERE parent.relname = ANY ($1::text[])
    ))
    ORDER BY 1
"""
# A table that inherits from a plain one of ours shows its rows among ours.
_INHERITING: Final = """
    SELECT format('the table `%s` inherits from `%s`, and its rows are shown among those', child.relname,
        parent.relname) AS description
    FROM pg_inherits AS i JOIN pg_class AS child ON child.oid = i.inhrelid
    JOIN pg_class AS parent ON parent.oid = i.inhparent
    WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname = ANY ($1::text[])
        AND parent.relkind = 'r'
    ORDER BY 1
"""
_SETTINGS: Final = """
    SELECT format('the setting `%s` is given to every connection', setting) AS description
    FROM pg_db_role_setting AS s, unnest(s.setconfig) AS setting
    WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND (s.setrole = 0 OR pg_get_userbyid(s.setrole) = current_user)
        AND (starts_with(setting, 'session_replication_role=') OR starts_with(setting, 'row_security=')
            OR starts_with(setting, 'calledger.'))
    ORDER BY 1
"""
# Detached partitions have names of ours, and a check of their own.
_UNKNOWN_TABLES: Final = r"""
    SELECT format('%s `%s` is none of ours: what it holds is neither purged nor erased',
        CASE c.relkind WHEN 'm' THEN 'the materialized view' ELSE 'the table' END, c.oid::regclass) AS description
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT (c.relnamespace = current_schema()::regnamespace
            AND (c.relname = ANY ($1::text[]) OR c.relname = 'tortoise_migrations'
                OR c.relname ~ '^[a-z_]+_t[0-9]+_[0-9]+'))
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
    ORDER BY 1
"""
_AS_THEIR_OWNER: Final = """
    SELECT format('the function `%s` runs as its owner, `%s`, whoever calls it, and is none of ours',
        p.oid::regprocedure, pg_get_userbyid(p.proowner)) AS description
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT (p.pronamespace = current_schema()::regnamespace AND starts_with(p.proname, 'calledger_'))
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    ORDER BY 1
"""
_COLUMN_GRANTS: Final = """
    SELECT DISTINCT format('`%s` has the privilege %s on the column `%s.%s` alone, which it must not have',
        pg_get_userbyid(granted.grantee), granted.privilege_type, c.relname, a.attname) AS description
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL,
    LATERAL aclexplode(a.attacl) AS granted
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
        AND pg_get_userbyid(granted.grantee) = ANY ($2)
    ORDER BY 1
"""


async def bypass_differences(connection: Connection, tables: list[str]) -> list[str]:
    """Everything around `tables` that undoes what they promise, in words."""
    found = []
    for statement, values in (
        (_ROLES, (list(ROLES),)),
        (_OWNERS, (tables,)),
        (_GRANTS, (tables, list(ROLES))),
        (_EVENT_TRIGGERS, ()),
        (_PUBLICATIONS, (tables,)),
        (_INHERITING, (tables,)),
        (_SETTINGS, ()),
        (_UNKNOWN_TABLES, (tables,)),
        (_AS_THEIR_OWNER, ()),
        (_COLUMN_GRANTS, (tables, list(ROLES))),
    ):
        found += [row["description"] for row in await connection.fetch(statement, *values)]
    return found
