"""A window that became longer does not reach behind what was purged: nothing is billed twice or summed too small."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from ingesting import call, ingesting

from policies import Store, load_preset
from policies.retention import after_purges, cutoff
from service.ingest.results import Status
from service.storage.control.policies import applied_policy, store_policy

NOW = datetime.now(UTC).replace(microsecond=0)
PURGED = NOW - timedelta(days=50)
RUN = """
INSERT INTO purge_run (id, state, plan_digest, plan, planned_at, requested_by, keys_destroyed, rows_dropped)
VALUES (gen_random_uuid(), $1, '', jsonb_build_object('partitions', jsonb_build_array(jsonb_build_object(
    'store', 'call', 'tier', 1, 'name', 'call_t1', 'from', $2::timestamptz, 'to', $3::timestamptz
))), now(), 'test', 0, 0)
"""


def test_the_cutoff_stays_where_the_purge_came_to() -> None:
    """Of the window's start and the purge's end the later one counts; other stores and tiers are not touched."""
    policy = after_purges(load_preset("default"), {(1, Store.CALL): PURGED, (2, Store.USAGE_DAY): NOW})

    assert cutoff(policy, 1, Store.CALL, NOW) == PURGED
    assert cutoff(policy, 1, Store.CALL, NOW + timedelta(days=400)) == NOW
    assert cutoff(policy, 1, Store.USAGE_DAY, NOW) == cutoff(load_preset("default"), 1, Store.USAGE_DAY, NOW)
    assert policy == load_preset("default"), "it is the same document"


@pytest.mark.parametrize(
    ("state", "counts"), [("DONE", True), ("KEYS_DESTROYED", True), ("PLANNED", False), ("FAILED", False)]
)
async def test_a_report_of_a_purged_time_is_not_stored_again(
    any_database_url: str, tmp_path: Path, state: str, counts: bool
) -> None:
    """A retry of a call that was purged before the window became longer is too old, and not new."""
    async with ingesting(any_database_url, tmp_path) as ingest:
        owner = ingest.database.owner
        await owner.execute(RUN, state, PURGED - timedelta(days=7), PURGED)
        await store_policy(owner, load_preset("default"), applied_by="test")
        ingest.applied = await applied_policy()
        old = (PURGED - timedelta(hours=1)).isoformat()
        young = (PURGED + timedelta(hours=1)).isoformat()
        verdicts = await ingest.report(call("old", started_at=old), call("young", started_at=young))

    assert verdicts[1].status is Status.ACCEPTED
    assert verdicts[0].status is (Status.REJECTED if counts else Status.ACCEPTED)


async def test_knowing_what_was_purged_changes_no_digest(database_url: str, tmp_path: Path) -> None:
    """The policy that is read back is the one that was applied, purges or not."""
    async with ingesting(database_url, tmp_path) as ingest:
        owner = ingest.database.owner
        stored = await store_policy(owner, load_preset("default"), applied_by="test")
        await owner.execute(RUN, "DONE", PURGED - timedelta(days=7), PURGED)
        read = await applied_policy()

    assert read == stored
    assert read.policy.tiers["standard"].purged_until == {Store.CALL: PURGED}
    assert replace(read.policy, tiers=MappingProxyType(dict(read.policy.tiers))) == stored.policy
