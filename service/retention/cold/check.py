"""Whether the files of calls are those that were written, and all of them: part of `calledger fsck`."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from policies.policy.model import Store
from policies.retention import Partition
from service.retention.cold.ledgered import ledgered_files
from service.retention.cold.thaw import unlisted
from service.retention.context import RetentionContext
from service.storage.cold.catalogue import ColdFile, cold_files
from service.storage.cold.errors import reason_of


async def check_cold(context: RetentionContext, _: datetime) -> tuple[list[str], str]:
    """Each file is there, byte for byte as it was written and as the ledger has it, and nothing is in two places."""
    listed = await cold_files(context.owner)
    files = [file for file in listed if file.frozen]
    wrong = [text for file in listed if (text := await _wrong_with(context, file)) is not None]
    wrong += await _misplaced(context, listed)
    ledgered = await ledgered_files(context)
    # Read again: a partition can have moved or come back since.
    again = [file for file in await cold_files(context.owner) if file.frozen]
    wrong += _unlike(ledgered.frozen, [file for file in files if file in again])
    wrong += _unlisted(ledgered.frozen, {file.partition for file in (*files, *again)})
    try:
        wrong += [f"`{name}` is among the files, and not listed" for name in await unlisted(context)]
    except OSError as error:
        wrong.append(f"what files there are cannot be told: {reason_of(error)}")
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
        return f"`{file.name}` is not among the files of this process"
    whose = f"{file.rows} calls of `{file.partition}`" if file.frozen else f"a copy of `{file.partition}`"
    try:
        digest = await asyncio.to_thread(cold.files.digest, file.name)
    except OSError as error:
        return f"`{file.name}`, {whose}, cannot be read: {reason_of(error)}"
    return None if digest == file.sha256 else f"`{file.name}` is not as it was written"


async def _misplaced(context: RetentionContext, files: Sequence[ColdFile]) -> list[str]:
    """The files that are not listed with the tier and the times of their partition."""
    if not files:
        return []
    catalogue = await context.partitions.catalogue([Store.CALL], sized=False)
    bounds = {part.name: (part.tier, part.start, part.end) for part in catalogue.partitions}
    parts = [Partition(Store.CALL, file.partition, file.tier, file.start, file.end) for file in files]
    detached = {*await context.partitions.existing(parts)} - bounds.keys()
    return [
        f"`{file.name}` is not listed with the tier and times of `{file.partition}`"
        for file in files
        if file.partition not in detached and bounds.get(file.partition) != (file.tier, file.start, file.end)
    ]


def _unlike(entered: Mapping[str, Mapping[str, Any]], files: Sequence[ColdFile]) -> Iterator[str]:
    """Files that are not listed as the ledger has them."""
    for file in files:
        facts = entered.get(file.partition, {})
        named = facts.get("file", file.name)  # older entries do not name it
        if (facts.get("sha256"), facts.get("rows"), named) != (f"sha256:{file.sha256}", file.rows, file.name):
            yield f"`{file.name}` is not the file that the ledger has of `{file.partition}`"


def _unlisted(entered: Mapping[str, Mapping[str, Any]], listed: Set[str]) -> Iterator[str]:
    """Partitions whose rows are in a file by the ledger, which is not listed."""
    for partition in sorted(entered.keys() - listed):
        yield f"{entered[partition]['rows']} calls of `{partition}` are in a file by the ledger, and none is listed"
