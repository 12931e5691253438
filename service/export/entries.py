"""The ledger's entries about exported rows: ids, counts and digests; of the filter only the digest, too."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from policies import Role
from service.api.exports.types import encode_export_id
from service.ledger import LedgerKind
from service.query.model.scope import Scope
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord, WrittenExport


def export_facts(record: ExportRecord, written: WrittenExport) -> dict[str, Any]:
    """The facts of EXPORTED for a file that a key asked for."""
    return {
        "export": encode_export_id(record.id),
        "kind": record.kind.value,
        "format": record.request["format"],
        "rows": written.rows,
        "sha256": written.sha256,
        "filter": filter_digest(record.request["filter"]),
        "role": record.role,
        "accounts": None if record.accounts is None else list(record.accounts),
    }


async def ledger_taken(
    runtime: Runtime,
    kind: str,
    form: str,
    filter_: Mapping[str, Any] | None,
    rows: int,
    *,
    instead_of: int | None = None,
    scope: Scope | None = None,
) -> int:
    """Append EXPORTED for rows that the operator's shell takes; the entry's index, committed.

    It is written before the first row leaves, with how many there are then. `instead_of`: the index of that entry,
    where in the end it were more or fewer. `scope`: as whom; by default as an admin of every account.
    """
    facts: dict[str, Any] = {
        "kind": kind.upper(),
        "format": form.upper(),
        "rows": rows,
        "filter": filter_digest(filter_),
        "role": Role.ADMIN.value if scope is None else scope.role.value,
        "accounts": None if scope is None or scope.accounts is None else list(scope.accounts),
    }
    if instead_of is not None:
        facts["instead_of"] = instead_of
    return await runtime.ledger.append(LedgerKind.EXPORTED, facts, actor="cli")


def filter_digest(filter_: Mapping[str, Any] | None) -> str:
    """SHA-256 over a filter as GraphQL would have it, in canonical JSON."""
    return "sha256:" + sha256(orjson.dumps(filter_, option=orjson.OPT_SORT_KEYS)).hexdigest()
