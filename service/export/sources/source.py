"""The rows of one request, and the parts of the file that they become."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from policies.evidence import moment
from policies.retention import cutoff
from service.api.exports.kinds import SHAPES, shape_of
from service.api.exports.requests import ExportRequest
from service.api.schema import build_schema
from service.export.files.columns import Layout, layout_of
from service.export.files.encoders import Encoder, ExportFormat, encoder_of
from service.export.sources.focus import LAYOUT, charges
from service.export.sources.operation import Batch, admitted
from service.query.model.scope import Scope
from service.query.reader import Reader

MANIFEST: str = "calledger-export/1"
Parts = AsyncIterator[tuple[bytes, int]]
"""Parts of a file, each with how many rows end in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows, as they can be read by now. `total`: about how many there are, where that is known."""

    layout: Layout
    batches: AsyncIterator[Batch]
    total: int | None


async def open_source(
    reader: Reader,
    scope: Scope,
    request: ExportRequest,
    check: Callable[[], None] = lambda: None,
    *,
    total: bool = False,
    after: str | None = None,
) -> Source:
    """The rows of a request that the gate lets pass for `scope`; `check` is called now and then, and may raise.

    Raises ExportRefusedError in GraphQL's words.
    """
    columns = request.format != ExportFormat.NDJSON.name
    if request.kind == "FOCUS":
        return Source(LAYOUT, await charges(reader, scope, request, check, columns=columns), None)
    assert request.grouping is not None or SHAPES[request.kind].paged
    shape = SHAPES[request.kind] if request.grouping is None else shape_of(request.kind, request.grouping)
    found = await admitted(reader, shape, request.fields, request.variables, scope, total=total and shape.paged)
    layout = layout_of(build_schema()._schema, shape.type, request.fields)
    return Source(layout, found.batches(check, columns=columns, after=after), found.total)


def encoder_for(request: ExportRequest, layout: Layout, said: Mapping[str, Any]) -> Encoder:
    """What writes the file of a request. `said`: of its manifest what is known beforehand; a Parquet file keeps it."""
    metadata = {"calledger": orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()}
    return encoder_of(ExportFormat[request.format], layout, metadata, gzip=request.gzip)


async def file_parts(source: Source, encoder: Encoder) -> Parts:
    """The file, part by part."""
    try:
        yield await encoder.begin(), 0
        async with aclosing(source.batches) as batches:  # pyright: ignore[reportArgumentType] - generators, all of them
            async for batch in batches:
                yield await encoder.rows(batch.rows), batch.count
        yield await encoder.end(), 0
    finally:
        await encoder.close()


def manifest_of(request: ExportRequest, scope: Scope, policy: str, now: datetime) -> dict[str, Any]:
    """What a file is, but for its size and digest. `policy`: the digest of that in force."""
    store = SHAPES[request.kind].store
    said: dict[str, Any] = {
        "manifest": MANIFEST,
        "kind": request.kind,
        "format": request.format,
        "fields": [name for name, _ in request.fields],
        "filter": request.filter,
        "as_of": moment(now),
        "policy": policy,
        "role": scope.role.value,
        "horizon": {
            name: moment(cutoff(scope.policy, tier.number, store, now)) for name, tier in scope.policy.tiers.items()
        },
    }
    if request.gzip:
        said["gzip"] = True
    if request.grouping is not None:
        said["grouping"] = request.grouping.arguments
    return said
