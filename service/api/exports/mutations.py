"""`createExport` and `cancelExport`: rows to a file, by what the key that asks may see; written after the answer, by
`service.export`.
"""

import asyncio
from dataclasses import replace
from importlib.util import find_spec
from typing import Annotated, Any, Final
from uuid import uuid4

import strawberry
from graphql import GraphQLError

from service.api.execution.buckets import Bucket
from service.api.execution.context import Context, Info
from service.api.exports.inputs import CreateExportInput, request_of
from service.api.exports.kinds import SHAPES, operation_of, shape_of
from service.api.exports.queries import ExportId, reached_export
from service.api.exports.requests import ExportRequest
from service.api.exports.types import Export, export_node, throttled_when_busy
from service.api.types.declarations import argument, described
from service.api.types.directives import Cost
from service.query.charges import charged_days, refuse_charges
from service.query.model.errors import BadInputError
from service.storage.control.exports import StoredExportKind, cancel_export, request_export
from service.storage.control.policies import applied_policy

EXPORT_COST: Final = 1_000
_MAX_COST: Final = 1_000_000


@strawberry.type
class CreateExportPayload:
    """The export that was asked for."""

    export: Export = described("Ask `export` for its state until it is ready.")


@strawberry.type
class CancelExportPayload:
    """The export as it is now."""

    export: Export = strawberry.field(
        description="CANCELLED, or EXPIRED where it was ready; as it was where it had ended."
    )


@strawberry.type
class ExportMutation:
    """Root fields of exports; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=EXPORT_COST)])
    async def create_export(
        self, info: Info, input: Annotated[CreateExportInput, argument("What is exported.")]
    ) -> CreateExportPayload | None:
        """Write the rows of a filter to a file. A key has four exports under way at a time."""
        return CreateExportPayload(export=await _create_export(info, input))

    @strawberry.mutation(directives=[Cost(weight=10)])
    async def cancel_export(self, info: Info, id: ExportId) -> CancelExportPayload | None:
        """End an export before its time; the file of one that is ready is removed."""
        return CancelExportPayload(export=await _cancel_export(info.context, id))


async def _create_export(info: Info, input: CreateExportInput) -> Export:
    context = info.context
    asked = await checked_request(info, input)
    applied = await applied_policy()
    assert applied is not None, "what serves requests has a policy"
    database, kind = context.reader.database, StoredExportKind[asked.kind]
    with throttled_when_busy(context):
        record = await request_export(database, uuid4(), kind, context.scope, applied.digest, asked.stored)
    context.export_asked()
    return export_node(record)


async def _cancel_export(context: Context, id_: str) -> Export:
    record = await reached_export(context, id_)
    if record is None:
        raise BadInputError(f"there is no export `{id_[:60]}`")
    await cancel_export(context.reader.database, record.id)
    context.export_asked()  # whoever writes files removes this one
    ended = await reached_export(context, id_)
    return export_node(record if ended is None else ended)


async def checked_request(info: Info, input: CreateExportInput) -> ExportRequest:
    """What is asked for. Whatever would be refused later is refused now: BadInputError, or GraphQL's words and code."""
    asked = await asyncio.to_thread(request_of, input, info.context.scope)  # it looks for credentials
    if asked.format == "PARQUET" and find_spec("pyarrow") is None:
        raise BadInputError("this service is installed without Parquet (`calledger[parquet]`): choose CSV or NDJSON")
    await _try(info, asked)
    return asked


async def _try(info: Info, asked: ExportRequest) -> None:
    """Ask for the first row."""
    focus = asked.kind == "FOCUS"
    shape = SHAPES[asked.kind] if asked.grouping is None else shape_of(asked.kind, asked.grouping)
    variables = {**asked.variables, "first": 1} | ({"total": False} if shape.paged else {})
    context = replace(info.context, bucket=Bucket(0), max_cost=_MAX_COST, sizes={}, http_headers={})
    operation = operation_of(shape, (("id", ()),) if focus else asked.fields)
    result = await info.schema.execute(operation, variable_values=variables, context_value=context)
    for error in result.errors or []:
        raise GraphQLError(error.message, extensions=error.extensions)
    if focus:
        usage = await context.reader.usage(context.scope)
        refuse_charges(usage)
        schema: Any = info.schema
        _, request = schema.compiled.asked(operation, variables, context)
        await charged_days(usage, request.predicate)
