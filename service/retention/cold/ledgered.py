"""What the ledger says of files of calls: which file each partition has, and which files are done with."""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from policies.evidence import LedgerKind
from service.ledger import Entry, Selection
from service.retention.context import RetentionContext
from service.retention.errors import PurgeFailedError
from service.retention.purge_runs import PurgeState, Runs

_KINDS: Final = (
    *(LedgerKind.PARTITION_FROZEN, LedgerKind.PARTITION_THAWED),
    *(LedgerKind.PURGE_INTENT, LedgerKind.PURGE_RESULT),
)
_EXISTING: Final = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NOT NULL"
"""Which of these partitions exist."""


@dataclass(slots=True)
class LedgeredFiles:
    """`frozen`: by partition, the facts of the entry about its file; none of one that came back or was purged.
    `done`: the partitions of files whose rows came back or were purged, by the file's name. Older entries do not name
    the file.
    """

    frozen: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    done: dict[str, str] = field(default_factory=dict[str, str])

    def end(self, partition: str) -> None:
        """The partition has no file from now on."""
        known = self.frozen.pop(partition, {})
        if "file" in known:
            self.done[known["file"]] = partition


async def ledgered_files(context: RetentionContext) -> LedgeredFiles:
    """As the ledger has them."""
    files, begun = LedgeredFiles(), dict[str, list[str]]()
    async for entry in context.ledger.every(Selection(kinds=_KINDS)):
        facts = entry.facts
        match entry.kind:
            case LedgerKind.PARTITION_FROZEN:
                files.frozen[facts["partition"]] = dict(facts)
            case LedgerKind.PARTITION_THAWED:
                files.end(facts["partition"])
            case LedgerKind.PURGE_INTENT:
                begun[facts["run"]] = [one for one in await _purged(context, entry) if one in files.frozen]
            case _ if facts["state"] == PurgeState.DONE.value:
                for partition in begun.pop(facts["run"], ()):
                    files.end(partition)
            case _:
                pass
    # A purge that has not ended, or has failed, has dropped what is gone.
    named = sorted({partition for partitions in begun.values() for partition in partitions})
    existing = {row["name"] for row in await context.owner.fetch(_EXISTING, named)} if named else set[str]()
    for partition in named:
        if partition not in existing:
            files.end(partition)
    return files


async def _purged(context: RetentionContext, intent: Entry) -> list[str]:
    """The partitions of a purge, by its entry; of very many the entry has the number and a digest only."""
    partitions = intent.facts["partitions"]
    if isinstance(partitions, list):
        return partitions
    try:
        run = await Runs(context.owner).get(UUID(intent.facts["run"]))
    except PurgeFailedError:
        return []
    return [] if run is None else [part.name for part in run.plan.partitions]
