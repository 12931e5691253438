#!/usr/bin/env python3
"""How the console's heap grows on live tail: a page stays open while calls come in, and is read after each collection.

    make soak-console SOAK_S=300

Calls come by ones and twos each second and are shown on top as they come, as for somebody who watches. The growth
is the slope of a line through the readings behind the first minute, in which code and caches settle; an hour is that
slope, so a short run says it roughly, with its error beside it. Ends with 1 when an hour would take 20 MB or more.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from chromium import browsing
from playwright.async_api import CDPSession, Page
from running import RunningService

SOAK_S = float(os.environ.get("CALLEDGER_TEST_SOAK_S", "300"))
MOST_MB = 20.0
_SETTLED_S = 60.0
_READ_EVERY = 10
_MB = 2**20


async def heap_mb(session: CDPSession) -> float:
    """What is left of the JavaScript heap after garbage was collected, in MB."""
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
    return (await session.send("Runtime.getHeapUsage"))["usedSize"] / _MB


def report(service: RunningService, second: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    failed = {"status": "failed", "error": {"type": "Timeout", "message": "too slow"}} if second % 7 == 0 else {}
    facts = {"started_at": now, "account": "acme", "model": f"m{second % 5}", "status": "succeeded", **failed}
    service.report(service.admin_key, *({"id": f"s{second}-{number}", **facts} for number in range(1 + second % 2)))


async def watched(page: Page, service: RunningService) -> list[tuple[float, float]]:
    """Seconds and MB of each reading, while calls come in."""
    session = await page.context.new_cdp_session(page)
    begun, second = time.monotonic(), 0
    found: list[tuple[float, float]] = []
    while (at := time.monotonic() - begun) < SOAK_S:
        await asyncio.to_thread(report, service, second)
        second += 1
        if second % _READ_EVERY == 0:
            found.append((at, await heap_mb(session)))
        await asyncio.sleep(max(0.0, begun + second - time.monotonic()))
    return found


def an_hour(found: list[tuple[float, float]]) -> tuple[float, float]:
    """MB an hour by the readings, and the standard error of that."""
    times, sizes = [at for at, _ in found], [size for _, size in found]
    slope, intercept = statistics.linear_regression(times, sizes)
    rest = sum((size - intercept - slope * at) ** 2 for at, size in found)
    spread = sum((at - statistics.mean(times)) ** 2 for at in times)
    error = (rest / max(1, len(found) - 2) / spread) ** 0.5
    return slope * 3600, error * 3600


async def soak(folder: Path) -> int:
    service = await asyncio.to_thread(RunningService, folder / "data")
    try:
        await asyncio.to_thread(report, service, 0)
        viewer = await asyncio.to_thread(service.new_key, "viewer")
        async with browsing() as browser:
            page = await browser.new_page(viewport={"width": 1440, "height": 900}, locale="en")
            await page.add_init_script(f"sessionStorage.setItem('calledger.credential', {viewer!r})")
            await page.goto(f"{service.url}/console/logs?range=1h&live=1")
            await page.locator(".live-mark.live-live").wait_for(state="attached")
            found = await watched(page, service)
            assert await page.locator(".live-mark.live-live").count() == 1, "it has to listen to the end"
    finally:
        await asyncio.to_thread(service.stop)
    settled = [one for one in found if one[0] >= min(_SETTLED_S, SOAK_S / 3)]
    growth, error = an_hour(settled)
    print(f"{found[0][1]:.2f} MB after {found[0][0]:.0f} s, {found[-1][1]:.2f} MB after {found[-1][0]:.0f} s")
    print(f"{growth:.1f} MB an hour (standard error {error:.1f}), by {len(settled)} readings; at most {MOST_MB:.0f}")
    return int(growth >= MOST_MB)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.exit(asyncio.run(soak(Path(made))))
