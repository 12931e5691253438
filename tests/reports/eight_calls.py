"""A ledger of eight calls that differ in little, for tests of what is asked and not of what is answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from rows import SeededLedger, StoredCall, open_seeded


@asynccontextmanager
async def open_eight_calls(url: str, folder: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(url, folder) as seeded:
        now = await seeded.now()
        await seeded.put(
            [
                StoredCall(
                    now - timedelta(minutes=index),
                    source_id=str(index),
                    amount=Decimal(index),
                    amount_source=2,
                    currency="USD",
                    latency_ms=index,
                    tags={"team": "a"},
                )
                for index in range(8)
            ]
        )
        yield seeded
