"""What a query asks for, as a tree of field names, and what of it the role gets: the enforcement point on values.

Masked values never leave the database: a masked text is replaced there, a masked or denied anything else is null.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from policies.policy import fields as policy_fields
from policies.policy import views
from policies.policy.model import Action, View
from service.query.model.catalog import Table
from service.query.model.field import Field
from service.query.model.fields import EXPRESSIONS
from service.query.model.parameters import Params
from service.query.model.scope import Scope
from service.query.scan.ranges import ScanRange

Selection = Mapping[str, Any]
"""Field name -> Selection of what is asked below it."""

# Nearly every row has listed tags alone. A key of the policy is of letters, digits and `_ . : -`.
_LISTED_TAGS: Final = (
    "CASE WHEN tags - {keys} = '{{}}' THEN tags ELSE nullif("
    "tags - ARRAY(SELECT key FROM jsonb_object_keys(tags) AS key WHERE key <> ALL ({keys})), '{{}}') END"
)
_TAG_VALUES_MASKED: Final = (
    "(SELECT jsonb_object_agg(key, {mask}) FROM jsonb_object_keys(tags) AS key WHERE key = ANY ({keys}))"
)


@dataclass(frozen=True, slots=True)
class Projection:
    """Columns by alias, and the fields whose values they hold; every other field is null for this role."""

    columns: Mapping[str, str]
    shown: frozenset[str]


def project(
    table: Table, fields: Iterable[str], selection: Selection, scope: Scope, params: Params, scan_range: ScanRange
) -> Projection:
    """The columns for `fields` in one scan range."""
    columns: dict[str, str] = {}
    shown: set[str] = set()
    for name in fields:
        field, full = table.fields.get(name), f"{table.type}.{name}"
        seen = scope.views.get(full, View.DENIED)
        if field is None or seen is View.DENIED:
            continue
        if seen is View.MASKED and not field.masked_as_text and full not in policy_fields.SEALED:
            continue
        asked: Selection = selection.get(name, {})
        if not _parts_shown(field, asked, scope):
            continue
        shown.add(name)
        columns |= _columns(full, field, asked, seen, scope, params, scan_range)
    return Projection(columns, frozenset(shown))


def fixed_projection(table: Table, selection: Selection, scope: Scope) -> Projection | None:
    """The projection of `selection` for this policy and role, when it is the same in every scan range and binds no
    value.
    """
    params = Params()
    moment = datetime.max.replace(tzinfo=UTC)
    projection = project(table, selection, selection, scope, params, ScanRange(0, None, moment, moment, scope.policy))
    return None if params.values else projection


def _parts_shown(field: Field, asked: Selection, scope: Scope) -> bool:
    """Whether every part that is asked for can be shown; if not, the whole is null: its parts may not be."""
    names = [f"{field.bare_type}.{part}" for part in asked if field.parts and part != "__typename"]
    return all(scope.views.get(name, View.DENIED) is View.SEE or name in _MASKABLE_PARTS for name in names)


_MASKABLE_PARTS: Final = frozenset({"Amount.currency", "Tag.value", "ErrorParameter.value"})


def _columns(
    name: str, field: Field, asked: Selection, seen: View, scope: Scope, params: Params, scan_range: ScanRange
) -> dict[str, str]:
    parts = [field.parts[part] for part in asked if part in field.parts] if field.parts else []
    aliases = [*field.columns, *(alias for part in parts for alias in part.columns)]
    columns = {alias: EXPRESSIONS.get(alias, alias) for alias in aliases}
    if name == "Call.user" and scope.policy.action(name) is not Action.HASH:
        return columns | {"user_token": "NULL::bigint"}
    columns = {alias: _readable(sql, params, scan_range) for alias, sql in columns.items()}
    if seen is View.MASKED and field.masked_as_text:
        return {alias: _masked(sql, name, scope, params) for alias, sql in columns.items()}
    if "currency" in columns and scope.views.get("Amount.currency") is not View.SEE:
        columns["currency"] = _masked("currency", "Amount.currency", scope, params)
    if "tags" in columns:
        columns["tags"] = _tags(scope, params)
    return columns


def _tags(scope: Scope, params: Params) -> str:
    """The tags that the policy lists: what older rows have of others is shown to nobody."""
    listed = ",".join(f'"{key}"' for key in sorted(scope.policy.tag_keys))
    keys = f"'{{{listed}}}'::text[]"
    if scope.views.get("Tag.value") is View.SEE:
        return _LISTED_TAGS.format(keys=keys)
    mask = params.bind(views.masked_text(scope.policy, "Tag.value"), "text")
    return _TAG_VALUES_MASKED.format(mask=mask, keys=keys)


def _readable(sql: str, params: Params, scan_range: ScanRange) -> str:
    return sql.format(readable=params.bind(scan_range.readable, "timestamptz")) if "{readable}" in sql else sql


def _masked(sql: str, field: str, scope: Scope, params: Params) -> str:
    if scope.views.get(field, View.DENIED) is View.DENIED or scope.policy.action(field) is Action.DROP:
        return "NULL::text"
    return f"CASE WHEN {sql} IS NOT NULL THEN {params.bind(views.masked_text(scope.policy, field), 'text')} END"
