"""What happens when a file is ready: the one place to tell somebody outside."""

from uuid import UUID

from service.api.exports.types import encode_export_id
from service.logs import get_logger
from service.runtime.runtime import Runtime

log = get_logger()


async def export_ready(runtime: Runtime, id_: UUID) -> None:  # noqa: ARG001 - who is sent it is found through it
    """Called once a file can be fetched, after its entry of the ledger is committed."""
    log.info("an export is ready", export=encode_export_id(id_))
