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
from service.query.model.catalog import Selectable, Table
from service.query.model.parameters import Params
from service.query.model.scope import Scope
from service.query.scan.ranges import ScanRange

Selection = Mapping[str, Any]
"""Field name -> Selection of what is asked below it."""

TYPES: Final = {"calls": "Call", "errors": "CallError"}
_PARTS: Final = {
    "Call.amount": "Amount",
    "Call.netAmount": "Amount",
    "Call.amountParts": "AmountPart",
    "Call.tags": "Tag",
    "Call.units": "Unit",
    "CallError.redactions": "Redaction",
    "CallError.parameters": "ErrorParameter",
}
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
    type_ = TYPES[table.kind]
    columns: dict[str, str] = {}
    shown: set[str] = set()
    for field in fields:
        seen = scope.views.get(f"{type_}.{field}", View.DENIED)
        selectable = table.fields.get(field)
        if selectable is None or seen is View.DENIED:
            continue
        if seen is View.MASKED and not selectable.text and f"{type_}.{field}" not in policy_fields.SEALED:
            continue
        if not _parts_shown(f"{type_}.{field}", selection.get(field) or {}, scope):
            continue
        shown.add(field)
        found = _columns(f"{type_}.{field}", selectable, seen, scope, params, scan_range)
        if field == "amount" and "source" not in (selection.get(field) or {}):
            del found["amount_source"]
        columns |= found
    return Projection(columns, frozenset(shown))


def fixed_projection(table: Table, selection: Selection, scope: Scope) -> Projection | None:
    """The projection of `selection` for this policy and role, when it is the same in every scan range and binds no
    value.
    """
    params = Params()
    moment = datetime.max.replace(tzinfo=UTC)
    projection = project(table, selection, selection, scope, params, ScanRange(0, None, moment, moment, scope.policy))
    return None if params.values else projection


def _parts_shown(field: str, selection: Selection, scope: Scope) -> bool:
    """Whether every part that is asked for can be shown; if not, the whole is null: its parts may not be."""
    type_ = _PARTS.get(field)
    return type_ is None or all(
        scope.views.get(f"{type_}.{part}", View.DENIED) is View.SEE or f"{type_}.{part}" in _MASKABLE_PARTS
        for part in selection
        if part != "__typename"
    )


_MASKABLE_PARTS: Final = frozenset({"Amount.currency", "Tag.value", "ErrorParameter.value"})


def _columns(
    field: str, selectable: Selectable, seen: View, scope: Scope, params: Params, scan_range: ScanRange
) -> dict[str, str]:
    if field == "Call.user" and scope.policy.action(field) is not Action.HASH:
        return {alias: "NULL::bigint" if alias == "user_token" else sql for alias, sql in selectable.columns.items()}
    columns = {alias: _readable(sql, params, scan_range) for alias, sql in selectable.columns.items()}
    if seen is View.MASKED and selectable.text:
        return {alias: _masked(sql, field, scope, params) for alias, sql in columns.items()}
    if field in ("Call.amount", "Call.netAmount") and scope.views.get("Amount.currency") is not View.SEE:
        columns["currency"] = _masked("currency", "Amount.currency", scope, params)
    if field == "Call.tags":
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
