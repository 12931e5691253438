"""A bundle of evidence as an export: the lines that `calledger ledger export` writes."""

from collections.abc import AsyncIterator
from typing import Any, Final

from policies.evidence import read_checkpoint
from policies.evidence.verify import FORMAT
from service.errors import ServiceError
from service.ledger import Checkpoints, SignedCheckpoint, evidence_lines
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord

# Members stand in sorted order, so a line ends with its type.
_ENTRY: Final = b'"type":"entry"}\n'


async def evidence_rows(
    runtime: Runtime, record: ExportRecord
) -> tuple[AsyncIterator[tuple[bytes, int]], dict[str, Any], int | None]:
    """The bundle's lines, one per entry, its manifest, and how many entries it has.

    The request has `start` and the checkpoint's `size`.
    """
    start, size = int(record.request["start"]), int(record.request["size"])
    issued = await Checkpoints(runtime.ledger).at(size)
    if issued is None:
        raise ServiceError("the checkpoint of the bundle is not on record any more: ask for the bundle again")
    manifest = {"format": FORMAT, "origin": read_checkpoint(issued.note.encode()).origin, "from": start, "to": size}
    return _lines(runtime, start, issued), manifest, size - start


async def _lines(runtime: Runtime, start: int, issued: SignedCheckpoint) -> AsyncIterator[tuple[bytes, int]]:
    async for line in evidence_lines(runtime.ledger, start, issued):
        yield line, int(line.endswith(_ENTRY))
