"""Calls, errors, costs or charges as an export: what the key that asked would be answered."""

from typing import Any, Protocol

from policies import Role, view_table
from service.access.principal import Principal
from service.api.exports.requests import ExportRequest
from service.errors import RequestError
from service.export.requester import requester_of
from service.export.sources.source import Parts, encoder_for, file_parts, manifest_of, open_source
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord


class RequestedByKey(Protocol):
    """What a key asked for: an export, or a schedule of exports."""

    @property
    def requested_by(self) -> str:
        """The prefix of the key."""
        ...

    @property
    def role(self) -> str:
        """The role that it had then."""
        ...

    @property
    def accounts(self) -> tuple[int, ...] | None:
        """The ids of the accounts that it reached then; None: every account."""
        ...


class ExportEndedError(RequestError):
    """the key that asked for the export has ended, or sees other things than then: ask for it again"""


async def exported_rows(runtime: Runtime, record: ExportRecord) -> tuple[Parts, dict[str, Any], int | None]:
    """The file, its manifest, and about how many rows it will have."""
    request = ExportRequest.of(record.kind.value, record.request)
    scope = scope_of(runtime, record)
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    manifest = manifest_of(request, scope, record.policy, await reader.clock.now())
    await refuse_ended(runtime, record)
    source = await open_source(reader, scope, request, lambda: _refuse_changed(runtime, record), total=True)
    return file_parts(source, encoder_for(request, source.layout, manifest)), manifest, source.total


def scope_of(runtime: Runtime, record: ExportRecord) -> Scope:
    """The scope of the key that asked, under the policy of then. Raises ExportEndedError under another one."""
    _refuse_changed(runtime, record)
    role, policy = Role(record.role), runtime.applied.policy
    return Scope(record.requested_by, role, record.accounts, policy, view_table(policy, role))


def _refuse_changed(runtime: Runtime, record: ExportRecord) -> None:
    if runtime.applied.digest != record.policy:
        raise ExportEndedError("another policy was put in force meanwhile: ask for the export again")


async def refuse_ended(runtime: Runtime, asked: RequestedByKey) -> Principal:
    """The requester, with the rights of the time of the request. Raises ExportEndedError if the key has ended."""
    found = await requester_of(runtime, asked.requested_by, Role(asked.role), asked.accounts)
    if found is None:
        raise ExportEndedError
    return found
