"""Whether the files of calls are those that were written: part of `calledger fsck`."""

import asyncio
from datetime import datetime
from hashlib import file_digest
from typing import Final

from policies.evidence import LedgerKind
from service.ledger import Ledger, Selection
from service.retention.context import RetentionContext
from service.storage.cold.catalogue import ColdFile, cold_files

_MOVES: Final = (LedgerKind.PARTITION_FROZEN, LedgerKind.PARTITION_THAWED)


async def check_cold(context: RetentionContext, _: datetime) -> tuple[list[str], str]:
    """Each file is there, byte for byte as it was written and as the ledger has it, and nothing is in two places."""
    files = [file for file in await cold_files(context.owner) if file.frozen]
    wrong = [text for file in files if (text := await _wrong_with(context, file)) is not None]
    if isinstance(context.ledger, Ledger):
        entered = await _entered(context.ledger)
        wrong += [
            f"`{file.name}` is not the file that the ledger has of `{file.partition}`"
            for file in files
            if entered.get(file.partition) != f"sha256:{file.sha256}"
        ]
    rows = sum(file.rows for file in files)
    return wrong, (
        f"{len(files)} files of {rows} calls, as they were written; what is in them was not looked at: sums, ids, "
        "places in the feed and pseudonyms of these calls were compared before they moved, and are again when they "
        "come back (`calledger cold thaw`)"
        if files
        else "no calls are in files"
    )


async def _wrong_with(context: RetentionContext, file: ColdFile) -> str | None:
    cold = context.database.cold
    if cold is None:
        return f"`{file.name}` is not in a folder of this process"
    path = cold.folder / file.name

    def digest() -> str:
        """The SHA-256 of the file."""
        with path.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()

    try:
        return None if await asyncio.to_thread(digest) == file.sha256 else f"`{file.name}` is not as it was written"
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        return f"`{file.name}`, {file.rows} calls of `{file.partition}`, cannot be read: {reason}"


async def _entered(ledger: Ledger) -> dict[str, str]:
    """The digest of each partition's file by the newest entry about it; none of one that came back."""
    digests: dict[str, str] = {}
    async for entry in ledger.every(Selection(kinds=_MOVES)):
        if entry.kind is LedgerKind.PARTITION_FROZEN:
            digests[entry.facts["partition"]] = entry.facts["sha256"]
        else:
            digests.pop(entry.facts["partition"], None)
    return digests
