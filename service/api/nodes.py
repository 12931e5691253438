"""`node` and `nodes`: objects by their ids. The prefix of an id names the type."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from service.api.calls.objects import objects_of
from service.api.execution.context import Context, Info
from service.api.execution.selection import tree_of
from service.api.exports.attestations import resolve_attestation
from service.api.exports.queries import resolve_export
from service.api.gateways.reconciliations import PREFIX as RECONCILIATION
from service.api.gateways.reconciliations import resolve_reconciliation
from service.api.gateways.sources import PREFIX as SOURCE
from service.api.gateways.sources import resolve_source
from service.api.keys.queries import resolve_key
from service.api.keys.types import PREFIX as API_KEY
from service.api.retention.queries import retention_node
from service.api.types.calls import Call, CallError, Node
from service.api.webhooks.queries import resolve_webhook
from service.api.webhooks.types import PREFIX as WEBHOOK
from service.query.authorization.selection_set import Tree
from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.errors import BadInputError
from service.query.records.page import Row
from service.storage.control.attestations import PREFIX as ATTESTATION
from service.storage.control.exports import PREFIX as EXPORT

NODES_MAX: Final = 100
_ERROR: Final = "err_"
_RESOLVERS: Final[Mapping[str, Callable[[Context, str], Awaitable[Node | None]]]] = {
    EXPORT: resolve_export,
    ATTESTATION: resolve_attestation,
    API_KEY: resolve_key,
    WEBHOOK: resolve_webhook,
    SOURCE: resolve_source,
    RECONCILIATION: resolve_reconciliation,
    **dict.fromkeys(("hold", "purge", "erasure", "acct"), retention_node),
}


async def nodes_of(info: Info, ids: Sequence[str]) -> list[Node | None]:
    """The nodes of these ids, in step; None for what is unknown, out of scope, past its window, or not for the role.

    Calls are read together, and so are errors. Raises BadInputError for more than NODES_MAX.
    """
    if len(ids) > NODES_MAX:
        raise BadInputError(f"`ids` holds at most {NODES_MAX}: ask in parts")
    found: dict[str, Node | None] = {}
    calls: list[str] = []
    errors: list[str] = []
    for id_ in dict.fromkeys(ids):
        if (resolve := _RESOLVERS.get(id_.partition("_")[0])) is not None:
            found[id_] = await resolve(info.context, id_)
        else:
            (errors if id_.startswith(_ERROR) else calls).append(id_)
    tree = tree_of(info, frozenset({"Node", "Call"}))
    found |= dict(zip(calls, await call_nodes(info, calls, tree), strict=True))
    found |= dict(zip(errors, await _error_nodes(info, errors), strict=True))
    return [found[id_] for id_ in ids]


async def call_nodes(info: Info, ids: Sequence[str], tree: Tree) -> list[Call | None]:
    """Calls by their ids, in step, with what `tree` selects of them."""
    rows = await info.context.reader.calls(info.context.scope, ids, tree)
    return await _objects(info, CALLS, rows, tree)


async def _error_nodes(info: Info, ids: Sequence[str]) -> list[CallError | None]:
    tree = tree_of(info, frozenset({"Node", "CallError"}))
    rows = await info.context.reader.errors(info.context.scope, ids, tree)
    return await _objects(info, ERRORS, rows, tree)


async def _objects(info: Info, table: Table, rows: Sequence[Row | None], tree: Tree) -> list[Any]:
    there = [row for row in rows if row is not None]
    made = iter(await objects_of(table, there, tree, info.context.reader, info.context.scope) if there else ())
    return [None if row is None else next(made) for row in rows]
