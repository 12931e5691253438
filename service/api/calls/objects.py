"""Rows as objects of the schema, for graphql-core to walk over: the same table of fields as the compiled path has."""

from collections.abc import Sequence
from typing import Any, Final

import strawberry

from policies.policy.model import View
from policies.policy.views import masked_text
from service.api.types.calls import CLASSES, ErrorGroup, ErrorGroupBucket
from service.api.types.scalars import BigInt
from service.query.filters.to_sql import fingerprint_text
from service.query.model.catalog import Table
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.decryption import Details
from service.query.records.error_groups import GroupsPage
from service.query.records.page import Row
from service.query.records.projection import Selection
from service.query.rendering.row_renderer import Form, Rows, object_shape

_FORM: Final = Form.of(CLASSES)


async def objects_of(
    table: Table,
    rows: Sequence[Row],
    selection: Selection,
    reader: Reader,
    scope: Scope,
    details: Sequence[Details] | None = None,
) -> list[Any]:
    """One `Call` or `CallError` a row, with what is asked for of it. `details`: what is shown of the rows' sealed part,
    where that is not what the scope sees of it.
    """
    made = Rows(table, selection, [object_shape(table.type, selection)], scope, _FORM)
    (objects,) = await made.answer(reader, scope, rows, details=details)
    return objects


async def groups_of(page: GroupsPage, reader: Reader, scope: Scope) -> list[ErrorGroup]:
    """One `ErrorGroup` a row of the page."""
    rows = [page.samples[row["fingerprint"]] for row in page.rows if row["fingerprint"] in page.samples]
    details = await reader.details(scope, rows)
    messages = {row["fingerprint"]: detail.message for row, detail in zip(rows, details, strict=True)}
    groups = [_group(row, messages.get(row["fingerprint"])) for row in page.rows]
    if page.buckets is not None:
        for row, group in zip(page.rows, groups, strict=True):
            counts = page.buckets.get(row["fingerprint"], ())
            group.buckets = [ErrorGroupBucket(start=one.start, end=one.end, count=BigInt(one.count)) for one in counts]
    if scope.views.get("ErrorGroup.type") is View.MASKED:
        for group in groups:
            group.type = masked_text(scope.policy, "ErrorGroup.type")
    return groups


def _group(row: Row, message: str | None) -> ErrorGroup:
    group = ErrorGroup(fingerprint=strawberry.ID(fingerprint_text(row["fingerprint"])), sample_message=message)
    for name in ("type", "count", "first_seen", "last_seen", "models"):
        setattr(group, name, row.get(name))
    return group
