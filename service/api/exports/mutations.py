"""`createExport`: rows to a file, by what the key that asks may see; written after the answer, by `service.export`."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, Final
from uuid import uuid4

import strawberry
from graphql import GraphQLError

from service.api.calls.filters import written_filter
from service.api.execution.context import Info
from service.api.execution.limits import Bucket
from service.api.exports.kinds import SHAPES, Shape, chosen_fields, operation_of
from service.api.exports.types import Export, export_node, throttled_when_busy
from service.api.types.declarations import UNSET, argument, described, optional, value
from service.api.types.directives import Cost
from service.api.types.filter_inputs import CallFilter, ErrorFilter
from service.query.model.errors import BadInputError
from service.storage.control.exports import StoredExportKind, request_export
from service.storage.control.policies import applied_policy

EXPORT_COST: Final = 1_000
_MAX_COST: Final = 1_000_000


@strawberry.enum
class ExportFormat(Enum):
    """How rows are written."""

    CSV = value("CSV", "RFC 4180, UTF-8, with a header; texts that a spreadsheet would run begin with `'`.")
    NDJSON = value("NDJSON", "One JSON object per line, as GraphQL would answer it.")


@strawberry.enum
class ExportKind(Enum):
    """What is exported."""

    CALLS = value("CALLS", "One row per call.")
    ERRORS = value("ERRORS", "One row per failed call's error, inside its window, masked as for every reader.")
    COSTS = value("COSTS", "Sums by UTC day, account, model, provider, status and currency.")


@strawberry.input
class CreateExportInput:
    """Rows to write to a file, oldest first."""

    kind: ExportKind = described("What is exported.")
    format: ExportFormat = described("How it is written: CSV or NDJSON.")
    filter: CallFilter | None = optional("Which calls, for CALLS and COSTS.")
    error_filter: ErrorFilter | None = optional("Which errors, for ERRORS.")
    fields: list[str] | None = optional(
        "Names of fields of `Call`, `CallError` or `CostRow`, in the order in which they are written; "
        "all that the role sees when not given.",
    )


@strawberry.type
class CreateExportPayload:
    """The export that was asked for."""

    export: Export = described("Ask `export` for its state until it is ready.")


@strawberry.type
class ExportMutation:
    """Root fields of exports; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=EXPORT_COST)])
    async def create_export(
        self, info: Info, input: Annotated[CreateExportInput, argument("What is exported.")]
    ) -> CreateExportPayload | None:
        """Write the rows of a filter to a file. A key has one export under way at a time."""
        return CreateExportPayload(export=await _create_export(info, input))


async def _create_export(info: Info, input: CreateExportInput) -> Export:
    context, shape = info.context, SHAPES[input.kind.name]
    filter_ = await asyncio.to_thread(_filter, input, shape)  # it looks for credentials
    fields = chosen_fields(shape, None if input.fields in (None, UNSET) else input.fields, context.scope)
    await _try(info, shape, operation_of(shape, fields), filter_)
    applied = await applied_policy()
    assert applied is not None, "what serves requests has a policy"
    request = {"format": input.format.name, "fields": fields, "filter": filter_}
    database, kind = context.reader.database, StoredExportKind[input.kind.name]
    with throttled_when_busy(context):
        record = await request_export(database, uuid4(), kind, context.scope, applied.digest, request)
    context.export_asked()
    return export_node(record)


def _filter(input: CreateExportInput, shape: Shape) -> dict[str, Any] | None:
    """The filter of the kind, as it would be written. Raises BadInputError for that of another kind."""
    given = {"CallFilter": input.filter, "ErrorFilter": input.error_filter}
    if any(one for name, one in given.items() if name != shape.filter):
        raise BadInputError("calls and costs are chosen by `filter`, errors by `errorFilter`")
    one = given[shape.filter]
    return written_filter(one) if one else None


async def _try(info: Info, shape: Shape, operation: str, filter_: Mapping[str, Any] | None) -> None:
    """Ask for the first row: whatever would be refused later is refused now, in GraphQL's words and with its code."""
    variables: dict[str, Any] = {"first": 1} | ({"total": False} if shape.paged else {})
    if filter_ is not None:
        variables["filter"] = filter_
    context = replace(info.context, bucket=Bucket(0), max_cost=_MAX_COST, sizes={}, http_headers={})
    result = await info.schema.execute(operation, variable_values=variables, context_value=context)
    for error in result.errors or []:
        raise GraphQLError(error.message, extensions=error.extensions)
