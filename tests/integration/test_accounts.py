"""What is cached of accounts never tells of an account without its tier."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ingesting import RECENT, Ingest, call, ingesting

from service.storage.accounts import Accounts


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


async def test_an_account_is_known_once_its_tier_is(ingest: Ingest) -> None:
    """While accounts are read anew, whoever knows an account's number can ask for its tier at every moment."""
    await ingest.accounts.ensure({"acme"})
    elsewhere = Accounts(ingest.accounts.default_tier)
    reading = asyncio.create_task(elsewhere.refresh())

    while not reading.done():
        number = elsewhere.known("acme")
        assert number is None or elsewhere.tier(number, RECENT) == elsewhere.default_tier
        await asyncio.sleep(0)

    await reading
    assert elsewhere.known("acme") == ingest.accounts.known("acme")


async def test_many_new_accounts_at_once(ingest: Ingest) -> None:
    """Reports that make accounts while others of the same accounts arrive are all stored."""
    rows = [[call(f"r{turn}-{n}", account=f"new-{n % 7}") for n in range(20)] for turn in range(6)]

    answers = await asyncio.gather(*(ingest.report(*part) for part in rows))

    assert {verdict.status for answer in answers for verdict in answer} == {"accepted"}
    assert await ingest.value("SELECT count(*) FROM call") == 120
