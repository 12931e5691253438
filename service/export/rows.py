"""Calls, errors or costs as an export: what the key that asked would be answered, page by page."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from policies import Role, view_table
from policies.evidence import moment
from policies.policy.views import at_most
from policies.retention import cutoff
from service.api.exports.kinds import SHAPES, Fields, Shape
from service.errors import RequestError
from service.export.formats import Csv, ndjson
from service.export.pages import exported_pages, kind_of
from service.query.model.scope import Scope
from service.query.scan.ranges import DatabaseClock
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import get_key
from service.storage.control.exports import ExportRecord


class ExportEndedError(RequestError):
    """the key that asked for the export has ended, or sees other things than then: ask for it again"""


async def exported_rows(
    runtime: Runtime, record: ExportRecord
) -> tuple[AsyncIterator[tuple[bytes, int]], dict[str, Any]]:
    """The file, page by page, and its manifest. The request has `format`, `fields` and `filter`."""
    shape, request = SHAPES[record.kind.value], record.request
    fields: Fields = tuple((name, tuple(parts)) for name, parts in request["fields"])
    now = await DatabaseClock(runtime.database).now()
    manifest = {
        "kind": record.kind.value,
        "format": request["format"],
        "fields": [name for name, _ in fields],
        "filter": request["filter"],
        "as_of": moment(now),
        "policy": record.policy,
        "role": record.role,
        "horizon": _horizon(runtime, shape, now),
    }
    return _parts(runtime, record, shape, fields), manifest


def _horizon(runtime: Runtime, shape: Shape, now: datetime) -> Mapping[str, str]:
    """By tier, the moment before which there is nothing to export."""
    policy = runtime.applied.policy
    return {name: moment(cutoff(policy, tier.number, shape.store, now)) for name, tier in policy.tiers.items()}


async def _parts(
    runtime: Runtime, record: ExportRecord, shape: Shape, fields: Fields
) -> AsyncIterator[tuple[bytes, int]]:
    encode: Callable[[Mapping[str, Any]], bytes] = ndjson
    if record.request["format"] == "CSV":
        csv = Csv(fields)
        encode = csv.row
        yield csv.header(), 0
    await _refuse_ended(runtime, record)
    pages = exported_pages(runtime, kind_of(shape, fields), record.request["filter"], lambda _: _scope(runtime, record))
    async for page in pages:
        yield b"".join(map(encode, page.rows)), len(page.rows)
        await _refuse_ended(runtime, record)


def _scope(runtime: Runtime, record: ExportRecord) -> Scope:
    """Of the key that asked, under the policy under which it asked."""
    if runtime.applied.digest != record.policy:
        raise ExportEndedError("another policy was put in force meanwhile: ask for the export again")
    role, policy = Role(record.role), runtime.applied.policy
    return Scope(record.requested_by, role, record.accounts, policy, view_table(policy, role))


async def _refuse_ended(runtime: Runtime, record: ExportRecord) -> None:
    """Raises ExportEndedError when the key was revoked, or may no longer what it or a session token of it asked for, by
    the table or by the ledger.
    """
    key = await get_key(record.requested_by)
    principal = None if key is None else await runtime.authenticator.principal_of(key)
    if key is None or principal is None or principal.role != key.role:
        raise ExportEndedError
    if not at_most(runtime.applied.policy, Role(record.role), principal.role) or not record.is_within(
        principal.accounts
    ):
        raise ExportEndedError
