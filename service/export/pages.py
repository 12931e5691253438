"""What an export asks, one page after another.

The operations run through the same schema as every other reader's, inside the process: an export cannot show what
GraphQL would not.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies import Role, view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.exports.kinds import SHAPES, Fields, Shape, all_fields, operation_of
from service.api.schema import build_schema
from service.errors import RequestError
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.runtime.runtime import Runtime

PAGE: Final = 200
_MAX_COST: Final = 1_000_000


class ExportRefusedError(RequestError):
    """the export cannot be answered as it was asked"""


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A kind of export: its operation, where its rows are, and what its time filter is called."""

    operation: str
    root: str
    time_field: str
    paged: bool


def kind_of(shape: Shape, fields: Fields) -> ExportKind:
    """What an export of this shape and these fields asks of the schema."""
    return ExportKind(operation_of(shape, fields), shape.root, shape.time_field, shape.paged)


KINDS: Final[Mapping[str, ExportKind]] = {shape.root: kind_of(shape, all_fields(shape)) for shape in SHAPES.values()}
_COST_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """Rows, oldest first, and how many there were in all when the export began (None: not known)."""

    rows: list[dict[str, Any]]
    total: int | None


def admin_scope(runtime: Runtime) -> Scope:
    """The scope of an operator at the shell: every account, every field."""
    policy = runtime.applied.policy
    return Scope("cli", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))


async def exported_pages(
    runtime: Runtime,
    kind: ExportKind,
    filter_: Mapping[str, Any] | None,
    scope: Callable[[Runtime], Scope] = admin_scope,
) -> AsyncIterator[ExportedPage]:
    """The rows of `filter_`, a GraphQL filter, as `scope` sees them, asked anew for each page.

    Raises ExportRefusedError with GraphQL's words.
    """
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    variables: dict[str, Any] = {"filter": filter_, "first": PAGE if kind.paged else _COST_ROWS}
    if filter_ is None:
        del variables["filter"]
    if not kind.paged:
        answer = await _execute(scope(runtime), reader, kind, variables)
        if answer["pageInfo"]["hasNextPage"]:
            raise ExportRefusedError(f"there are more than {_COST_ROWS} rows: choose a shorter time")
        yield ExportedPage(answer["nodes"], len(answer["nodes"]))
        return
    variables |= {"after": None, "total": True}
    total = None
    while True:
        answer = await _execute(
            scope(runtime), reader, kind, {name: value for name, value in variables.items() if value is not None}
        )
        total = answer.get("totalCount", total)
        yield ExportedPage(answer["nodes"], total)
        if not answer["pageInfo"]["hasNextPage"]:
            return
        variables |= {"after": answer["pageInfo"]["endCursor"], "total": False}


async def _execute(scope: Scope, reader: Reader, kind: ExportKind, variables: dict[str, Any]) -> dict[str, Any]:
    context = Context(scope, reader, Bucket(0), _MAX_COST)
    result = await build_schema().execute(kind.operation, variable_values=variables, context_value=context)
    if result.errors or result.data is None:
        raise ExportRefusedError("; ".join(error.message for error in result.errors or []))
    return result.data[kind.root]
