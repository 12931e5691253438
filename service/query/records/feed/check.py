"""Proof that the change feed is right: each call has one position, each position its call. Part of `calledger fsck`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import asyncpg

from policies.policy.model import Policy, Role, Store
from policies.policy.views import view_table
from policies.retention import Partition, cutoff
from service.query.model.errors import BadInputError
from service.query.model.scope import Scope
from service.query.records.change_sums import HourlySum, checksum_of, sum_changes
from service.query.records.feed.checked_blocks import FeedMemory
from service.query.records.feed.days import FeedDays
from service.query.records.feed.positions import FeedPositions, Wrong, calls_of, changes_of
from service.storage.cold.catalogue import FrozenTimes
from service.storage.connection import one_row
from service.storage.ids import encode_raw_ids
from service.storage.statements.changes import ChangeKind

_SAMPLE: Final = 8
_HOUR: Final = timedelta(hours=1)
_MARGIN: Final = timedelta(hours=1)
"""What passes its window this soon may go while it is looked at."""
_MODULUS: Final = 2**64

_AT_LAST: Final[LiteralString] = """
SELECT
    (SELECT coalesce(max(position), 0) FROM change_floor) AS floor,
    ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT') AS erased
"""
"""How far the feed was purged, and the accounts whose positions an erasure took."""
_SOME_HOURS: Final[LiteralString] = """
SELECT DISTINCT change.account_id, change.tier, head.recorded_at + interval '1 microsecond' AS newest,
    date_trunc('hour', change.recorded_at, 'UTC') AS hour
FROM change_head AS head
CROSS JOIN LATERAL (
    SELECT 1 + floor(random() * head.position)::bigint AS position FROM generate_series(1, $1)
) AS wanted
CROSS JOIN LATERAL (
    SELECT account_id, tier, recorded_at FROM call_change
    WHERE position >= wanted.position AND position < wanted.position + 5000 ORDER BY position LIMIT 1
) AS change
"""
"""Some hours of accounts that the feed has changes of, by chance."""
_OF_HOUR: Final[LiteralString] = """
SELECT position, recorded_at, account_id, tier, kind, ids FROM call_change
WHERE account_id = $1 AND recorded_at >= $2 AND recorded_at < $3 AND position > $4
ORDER BY position LIMIT 50
"""
"""An account's rows of the feed in an hour, some at a time."""


async def check_feed(
    owner: asyncpg.Pool,
    policy: Policy,
    partitions: Sequence[Partition],
    frozen: FrozenTimes | None = None,
    memory: FeedMemory | None = None,
) -> tuple[list[str], str]:
    """What is wrong with the feed, in words, and what was looked at. `partitions`: those of calls; `frozen`: the times
    of which calls are in files, which are not looked at; `memory`: what is left out because it is as it was.

    Nothing is changed, and the service may write, purge and erase meanwhile.
    """
    now: datetime = await owner.fetchval("SELECT clock_timestamp()") + _MARGIN
    frozen = frozen or FrozenTimes(())
    positions = FeedPositions(owner, policy, now, frozen, memory)
    await positions.walk()
    days = FeedDays(owner, policy, now, memory, positions.digests)
    partitions = [part for part in partitions if not frozen.touch(part.tier, part.start, part.end)]
    await days.compare(partitions, positions.checked_until)
    wrong = [*positions.wrong, *days.wrong]
    hours = 0
    if not wrong:  # sums over what is damaged say nothing
        hours = await _compare_sums(owner, policy, now, wrong)
    last = await one_row(owner, _AT_LAST)
    if not last["erased"]:  # an erased account's positions are anywhere
        wrong += [
            Wrong(None, f"positions {after + 1} to {until} of the feed are gone, and no purge took them")
            for after, until in positions.gaps
            if until > last["floor"]
        ]
    gone = f"; {positions.gone} positions went with their calls" if positions.gone else ""
    gone += f"; of {positions.in_files} the calls are in files, and were not looked at" if positions.in_files else ""
    within = positions.changes - positions.past - positions.in_files
    looked_at = (
        f"{positions.changes} changes up to position {positions.checked_until} in order, "
        f"{within} of them within the window, each with its call; "
        f"{days.calls} calls, each with its position, {days.compared} days of them compared id by id; "
        f"`changeSums` of {hours} hours made again from the calls{gone}"
    )
    return [one.text for one in wrong if one.account_id not in last["erased"]], looked_at


async def _compare_sums(owner: asyncpg.Pool, policy: Policy, now: datetime, wrong: list[Wrong]) -> int:
    """Compare some answers of `changeSums` with sums over the calls; how many hours of an account it were."""
    compared = 0
    for row in await owner.fetch(_SOME_HOURS, _SAMPLE):
        account, since, until = row["account_id"], row["hour"], min(row["hour"] + _HOUR, row["newest"])
        if since < cutoff(policy, row["tier"], Store.CALL, now):
            continue
        from_calls = await _sum_calls(owner, account, since, until)
        scope = Scope("fsck", Role.ADMIN, (account,), policy, view_table(policy, Role.ADMIN))
        try:
            async with owner.acquire() as connection:
                answered, _ = await sum_changes(connection, scope, since, until)
        except BadInputError:  # an hour of too many changes
            continue
        if from_calls is None:
            continue
        compared += 1
        if answered != [HourlySum(since, account, *from_calls)]:
            text = f"`changeSums` of account {account} at {since:%Y-%m-%d %H}:00Z are not the sums over the calls"
            wrong.append(Wrong(account, text))
    return compared


async def _sum_calls(owner: asyncpg.Pool, account: int, since: datetime, until: datetime) -> tuple[int, int] | None:
    """Number and checksum of an hour's changes, by the ids in the calls; None where some calls have gone."""
    count, checksum, position = 0, 0, 0
    while rows := await owner.fetch(_OF_HOUR, account, since, until, position):
        position = rows[-1]["position"]
        for row in rows:
            changes = changes_of(row)
            found = await calls_of(owner, row["tier"], changes)
            if len(found) < len(changes):
                return None
            ids = encode_raw_ids(account, [call["id"].bytes for call in found.values()])
            count += len(ids)
            checksum = (checksum + checksum_of(ChangeKind(row["kind"]).name, ids)) % _MODULUS
    return count, checksum
