"""A ledger of eight calls that differ in little, for tests of what is asked and not of what is answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from rows import Shelf, StoredCall, open_shelf


@asynccontextmanager
async def shelf_of_eight_calls(url: str, folder: Path) -> AsyncIterator[Shelf]:
    async with open_shelf(url, folder) as shelf:
        now = await shelf.now()
        await shelf.put(
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
        yield shelf
