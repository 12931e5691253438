"""Removes the older values of a field or a tag that the policy no longer keeps, once the purge delay is over.

Reads stop showing them at once (`policies.policy.views`). The removal waits as every destruction does that follows from
a change of the policy, because a change can be a mistake: a policy that is restored within the delay has lost nothing.
It works by partition, in batches, can continue after a crash, and is done when it is recorded. Copies that a hold keeps
are not changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import asyncpg

from policies import parse_applied
from policies.errors import PolicyError
from policies.evidence import LedgerKind
from policies.policy.fields import REMOVED, Removal
from policies.policy.model import Action, Policy, Store
from policies.policy.views import masked_text
from policies.retention import Partition
from service.ledger import read_record
from service.retention.cold.thaw import thaw_between
from service.retention.context import RetentionContext
from service.retention.locks import WITHDRAWAL
from service.retention.purge.planning import all_partitions
from service.retention.purge_runs import SYSTEM, Runs
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.compaction import regrouped
from service.retention.rollups.tag_keys import forget_tags
from service.retention.rollups.tag_sums import TABLES as TAG_TABLES
from service.retention.rollups.totals import DERIVED_SUMS, derived_regrouped
from service.storage.cold.errors import ColdFileError
from service.storage.connection import advisory_lock_if_free, affected
from service.storage.errors import PartitionsBusyError
from service.storage.notifications import notify

_BATCH_ROWS: Final = 5_000
_VERSIONS: Final = "SELECT version, document, applied_at FROM policy_version ORDER BY version DESC"
_DONE: Final = "SELECT field, version FROM field_removal"
_RECORD: Final = """
    WITH gone AS (DELETE FROM field_removal WHERE field = $1 AND version = $2)
    INSERT INTO field_removal (id, field, version, finished_at, rows)
    VALUES (gen_random_uuid(), $1, $2, clock_timestamp(), $3)
"""
"""Note that a field that the policy withdrew is removed from all rows."""
_TAGS: Final = "Call.tags"
_TIMES: Final = {Store.CALL: "started_at", Store.CALL_ERROR: "occurred_at"}
_READABLE_ACTIONS: Final = (Action.KEEP, Action.HASH, Action.SEAL)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A field or a tag that is no longer kept since a version of the policy.

    `mask` replaces its values. `tag`: the key of the tag that was taken off the list; `field` names it too.
    """

    field: str
    version: int
    mask: str | None
    tag: str | None = None


async def remove_withdrawn(context: RetentionContext) -> int:
    """Remove what is due; how many rows were changed. 0 while the clock is not trusted.

    Raises ColdFileError or PartitionsBusyError where calls are in a file that does not come back: what is due of calls
    is removed from all others then, and is not done.
    """
    now = await context.now()
    if await Runs(context.owner).clock_is_untrusted(now):
        return 0
    async with advisory_lock_if_free(context.owner, WITHDRAWAL) as lock:
        if lock is None:
            return 0
        due, unreached = await withdrawn(context, now), None
        if any(map(_of_calls, due)):
            try:
                await thaw_between(context, actor=SYSTEM)
            except (ColdFileError, PartitionsBusyError) as error:
                unreached = error
        rows = sum([await _remove(context, one, ends=unreached is None or not _of_calls(one)) for one in due])
        if unreached is not None:
            raise unreached
        return rows


def _of_calls(one: Withdrawal) -> bool:
    """Whether calls have it, which may be in files."""
    return one.tag is not None or one.field == _TAGS or bool(REMOVED[one.field].call)


async def withdrawn(context: RetentionContext, now: datetime) -> list[Withdrawal]:
    """The fields and tags whose older values are to be removed by now, and are not yet."""
    done = {(row["field"], row["version"]) for row in await context.owner.fetch(_DONE)}
    # A row that somebody added would let values stay that are said to be gone.
    done &= (await read_record(context.ledger, kinds=(LedgerKind.FIELD_REMOVED,))).removals.keys()
    versions, policy = await context.owner.fetch(_VERSIONS), context.policy()
    found = []
    for field in REMOVED:
        since, action = _since(policy, versions, lambda one, name=field: one.action(name)), policy.action(field)
        if since is None or action in _READABLE_ACTIONS:
            continue
        mask = masked_text(policy, field) if action is Action.MASK else None
        found.append((Withdrawal(field, since[0], mask), since[1]))
    for tag in _unlisted(policy, versions):
        since = _since(policy, versions, lambda one, key=tag: key in one.tag_keys)
        if since is not None:
            found.append((Withdrawal(f"{_TAGS}:{tag}", since[0], None, tag), since[1]))
    return [one for one, at in found if (one.field, one.version) not in done and at + context.purge_delay <= now]


def _since(
    policy: Policy, versions: Sequence[asyncpg.Record], asked: Callable[[Policy], object]
) -> tuple[int, datetime] | None:
    """Since which version, and when, policies answer as this one does; None when they always did."""
    answer = asked(policy)
    since: tuple[int, datetime] | None = None
    for row in versions:
        earlier = _parsed(row["document"])
        if earlier is None or asked(earlier) != answer:
            return since
        since = row["version"], row["applied_at"]
    return None  # the field was never kept, so there are no older values


def _unlisted(policy: Policy, versions: Sequence[asyncpg.Record]) -> list[str]:
    """Tags that an earlier policy listed and this one does not, where it keeps tags at all."""
    if policy.action(_TAGS) is not Action.KEEP:
        return []
    listed = {key for row in versions if (earlier := _parsed(row["document"])) for key in earlier.tag_keys}
    return sorted(listed - policy.tag_keys)


@lru_cache(maxsize=256)
def _parsed(document: str) -> Policy | None:
    try:
        return parse_applied(document)
    except PolicyError:
        return None


async def _remove(context: RetentionContext, one: Withdrawal, *, ends: bool) -> int:
    """Remove one field or tag; how many rows were changed. `ends`: it is done then."""
    if one.tag is not None or one.field == _TAGS:
        await forget_tags(context.owner, None if one.tag is None else [one.tag])
    removal, rows = Removal() if one.tag is not None else REMOVED[one.field], 0
    for part in await all_partitions(context.partitions):
        columns = {Store.CALL: removal.call, Store.CALL_ERROR: removal.error}.get(part.store, ())
        if one.tag is not None:
            rows += await _clear_tag(context, part, one.tag) if part.store is Store.CALL else 0
        elif columns:
            rows += await _clear_columns(context, part, columns, one.mask)
        elif part.store in DERIVED_SUMS and (removal.key or removal.figures):
            await _regroup(context.owner, part, removal.key, removal.figures, one.mask or "")
    await _change_deltas(context.owner, removal.key, removal.figures, one.mask or "")
    if not ends:
        return rows
    async with context.owner.acquire() as connection, connection.transaction():
        facts = {"field": one.field, "version": one.version, "rows": rows}
        await context.ledger.append(LedgerKind.FIELD_REMOVED, facts, actor=SYSTEM, connection=connection)
        await connection.execute(_RECORD, one.field, one.version, rows)
    await notify(context.owner, "purge")
    return rows


async def _clear_columns(context: RetentionContext, part: Partition, columns: Sequence[str], mask: str | None) -> int:
    if mask is None:
        left = " OR ".join(f"{column} IS NOT NULL" for column in columns)
        return await _clear(context, part, ", ".join(f"{column} = NULL" for column in columns), left)
    left = " OR ".join(f"{column} IS DISTINCT FROM $4 AND {column} IS NOT NULL" for column in columns)
    return await _clear(context, part, ", ".join(f"{column} = $4" for column in columns), left, mask)


async def _clear_tag(context: RetentionContext, part: Partition, tag: str) -> int:
    return await _clear(context, part, "tags = nullif(tags - $4::text, '{}')", "jsonb_exists(tags, $4)", tag)


async def _clear(context: RetentionContext, part: Partition, new: str, left: str, *value: str) -> int:
    """Set `new` in the rows of a partition where `left` holds, in both of which $4 is `value`; how many they were."""
    table, time = part.store.value, _TIMES[part.store]
    where = f"tier = $1 AND {time} >= $2 AND {time} < $3"
    values = (part.tier, part.start, part.end, *value)
    if context.database.engine.picks_from_many_accounts:
        return await _clear_batches(context.owner, table, where, new, left, values)
    accounts = f"SELECT DISTINCT account_id FROM {table} WHERE {where} AND ({left})"  # noqa: S608 - names of our own
    of_one, rows = f"{where} AND account_id = ${len(values) + 1}", 0
    for (account,) in await context.owner.fetch(accounts, *values):
        rows += await _clear_batches(context.owner, table, of_one, new, left, (*values, account))
    return rows


async def _clear_batches(
    owner: asyncpg.Pool, table: str, where: str, new: str, left: str, values: tuple[object, ...]
) -> int:
    """Set `new` in all rows that `where` and `left` find, a batch at a time; how many they were."""
    # The bounds are one partition's, so a ctid names one row.
    statement = f"""
        UPDATE {table} SET {new}
        WHERE {where} AND ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {where} AND ({left}) LIMIT {_BATCH_ROWS}))
    """  # noqa: S608 - names of our own
    rows = 0
    while count := affected(await owner.execute(statement, *values)):
        rows += count
    return rows


async def _regroup(owner: asyncpg.Pool, part: Partition, key: str | None, figures: Sequence[str], value: str) -> None:
    """Remove a column from the sums of one partition's time, and from those derived from them, in one transaction."""
    bounds = (part.tier, part.start, part.end)
    where = "tier = $1 AND bucket_at >= $2 AND bucket_at < $3"
    async with owner.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", COMPACTION_LOCK)
        if key is not None:
            await connection.execute(regrouped(part.store, key), *bounds, value)
            for statement in derived_regrouped(part.store, key):
                await connection.execute(statement, *bounds, value)
        for figure in figures:
            histogram = "latency_buckets = '{}', latency_counts = '{}'"
            new = histogram if figure == "latency" else f"{figure} = 0"
            await connection.execute(f"UPDATE {part.store.value} SET {new} WHERE {where}", *bounds)  # noqa: S608
            resting = [sums.table for sums in DERIVED_SUMS[part.store] if figure in sums.names]
            for table in (*resting, *TAG_TABLES[part.store]):
                await connection.execute(f"UPDATE {table} SET {figure} = 0 WHERE {where}", *bounds)  # noqa: S608


async def _change_deltas(owner: asyncpg.Pool, key: str | None, figures: Sequence[str], value: str) -> None:
    """Take a withdrawn field from deltas and corrections."""
    if key is not None:
        for table in ("usage_delta", "correction"):
            await owner.execute(f"UPDATE {table} SET {key} = $1 WHERE {key} NOT IN ('', $1)", value)  # noqa: S608
    for figure in figures:
        new = "latency_buckets = '{}'" if figure == "latency" else f"{figure} = 0"
        for table in ("usage_delta", "usage_tag_delta"):
            await owner.execute(f"UPDATE {table} SET {new}")  # noqa: S608
        if figure == "amount":
            await owner.execute("UPDATE correction SET amount = 0")
