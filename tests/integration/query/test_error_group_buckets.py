"""Groups of errors counted by time: by any zone's hours and days, exact, bounded, and for who may see the times."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.policy.model import Role
from service.query.filters.to_sql import fingerprint_text

QUERY = """query ($bucket: TimeBucket, $zone: TimeZone, $from: DateTime, $first: Int, $account: String) {
    errorGroups(bucket: $bucket, timeZone: $zone, first: $first,
                filter: {occurredAt: {gte: $from}, account: {eq: $account}}) {
        nodes { fingerprint count buckets { start end count } } } }"""
QUERY = QUERY.replace(", account: {eq: $account}", "").replace(", $account: String", "")


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


async def _filled(seeded: SeededLedger) -> list[tuple[int, datetime]]:
    """Errors of three fingerprints over 29 days, some at the same time, with fingerprint and moment of each."""
    now = await seeded.now()
    stored = [(index % 3, now - timedelta(hours=7 * index, minutes=13 * (index % 5))) for index in range(95)]
    await seeded.put(
        StoredCall(
            moment,
            source_id=str(index),
            account=("acme", "globex")[index % 2],
            failed=True,
            error=StoredError(fingerprint=fingerprint),
        )
        for index, (fingerprint, moment) in enumerate(stored)
    )
    return stored


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize("bucket", ["HOUR", "DAY", "WEEK", "MONTH"])
async def test_buckets_add_up_to_the_group(seeded: SeededLedger, bucket: str, zone: str) -> None:
    """Each error is in the bucket of its local time and in no other; buckets ascend, and none is empty."""
    stored = await _filled(seeded)

    found = await seeded.data(QUERY, variables={"bucket": bucket, "zone": zone, "first": 5})

    groups = {group["fingerprint"]: group for group in found["errorGroups"]["nodes"]}
    assert len(groups) == 3
    for fingerprint in range(3):
        group = groups[fingerprint_text(fingerprint)]
        moments = [moment for one, moment in stored if one == fingerprint]
        spans = [(datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"])) for one in group["buckets"]]
        assert spans == sorted(spans) and len(set(spans)) == len(spans)
        counted = Counter(next(span for span in spans if span[0] <= moment < span[1]) for moment in moments)
        assert {span: int(one["count"]) for span, one in zip(spans, group["buckets"], strict=True)} == counted
        assert sum(int(one["count"]) for one in group["buckets"]) == int(group["count"]) == len(moments)
        if bucket == "DAY":
            assert all(start.astimezone(ZoneInfo(zone)).strftime("%H:%M") == "00:00" for start, _ in spans)


async def test_without_a_bucket_there_are_no_counts_by_time(seeded: SeededLedger) -> None:
    """Null, and not an empty list, which would say that there are none."""
    await _filled(seeded)
    found = await seeded.data(QUERY, variables={"first": 1})
    assert found["errorGroups"]["nodes"][0]["buckets"] is None


async def test_counts_by_time_are_kept_to_the_scope_and_bounded(seeded: SeededLedger) -> None:
    """A partner's are of its own errors; what would be more than 20,000 counts is refused before it is read."""
    stored = await _filled(seeded)
    number = await seeded.accounts.find("globex")
    assert number is not None

    found = await seeded.data(QUERY, seeded.scope(Role.PARTNER, number), {"bucket": "DAY"})

    counted = sum(int(one["count"]) for group in found["errorGroups"]["nodes"] for one in group["buckets"])
    assert counted == len(stored) // 2
    assert await seeded.code(QUERY, variables={"bucket": "HOUR", "first": 200}) == "BAD_USER_INPUT"
    since = (await seeded.now() - timedelta(days=1)).isoformat()
    recent = await seeded.data(QUERY, variables={"bucket": "HOUR", "first": 200, "from": since})
    assert sum(int(group["count"]) for group in recent["errorGroups"]["nodes"]) == 4
