"""The console's Logs page in Chromium: a first load, how soon a filter is painted, how it scrolls, how it listens.

Sizes are of the files that a first load asks for, each with gzip, as the service sends them. A filter's time is from
the press to the second frame in which every row that is shown matches; beside it stand how long the service took for
those rows, and the CPU time of the page's main thread, which others on the machine change little. Scrolling goes on
without a pause while older calls are loaded; a frame is long when a task of the page's main thread took more than 50 ms
of CPU time by the browser's trace, and beside it stands how many did by the clock, waiting included. For the heap as
many calls are reported as an hour of one call a second has, and garbage is collected before each reading. The window is
painted by the processor: there is no graphics card in a server.
"""

import json
import math
import os
import shutil
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import machine

_WAIT_MS: Final = 60_000
_AN_HOUR: Final = 3_600
_BATCH: Final = 20
_TRACED_ROWS: Final = 10_000
_TASK: Final = "ThreadControllerImpl::RunTask"
_LONG_US: Final = 50_000
_COUNTED: Final = frozenset({"frames", "slow", "long", "long_cpu"})
# To the second frame that has rows, all of them with this value in a button that filters by it.
_FILTER: Final = """async (round) => {
  const frame = () => new Promise(requestAnimationFrame);
  const grid = () => document.querySelector('[role=grid]');
  const settled = () => grid() && grid().getAttribute('aria-busy') !== 'true'
      && grid().querySelector('.calls-row') && !document.querySelector('.waiting-line, .waiting');
  const buttons = [...document.querySelectorAll('.calls-row [title*=" Model = "]')];
  const button = buttons[(round * 7) % buttons.length];
  const title = button.title;
  performance.clearResourceTimings();
  const begun = performance.now();
  button.click();
  const matches = (row) => [...row.querySelectorAll('[title]')].some((one) => one.title === title);
  const done = () => settled() && document.querySelector('.chips .chip')
      && [...grid().querySelectorAll('.calls-row')].every(matches);
  await frame();
  while (!done()) await frame();
  await frame();
  const painted = performance.now() - begun;
  const first = performance.getEntriesByType('resource').find((one) => one.name.endsWith('/graphql'));
  return { painted, asked: first.requestStart - begun, service: first.responseEnd - first.requestStart };
}"""
_CLEAR: Final = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const busy = () => document.querySelector('.chips .chip, [aria-busy=true], [data-waiting=true], .waiting-line');
  document.querySelector('.chips .chip')?.click();
  await frame();
  while (busy()) await frame();
  for (let n = 0; n < 10; n++) await frame();
}"""
_SCROLL: Final = """async (wanted) => {
  const grid = document.querySelector('[role=grid]');
  const frame = () => new Promise(requestAnimationFrame);
  let most = 0, furthest = 0, last = performance.now(), slow = 0, frames = 0, still = 0;
  while (furthest < wanted && still < 3000) {
    grid.scrollTop += 800;
    const now = await frame();
    if (now - last > 50) slow++;
    last = now;
    frames++;
    const rows = [...grid.querySelectorAll('.calls-row')];
    most = Math.max(most, rows.length);
    const at = Math.max(0, ...rows.map((row) => Number(row.getAttribute('aria-rowindex'))));
    still = at > furthest ? 0 : still + 1;
    furthest = Math.max(furthest, at);
  }
  return { rows: furthest, most, frames, slow };
}"""


def _program() -> str:
    """The browser of this machine, the shell without windows first: it is what the tests have installed."""
    for name in ("chromium-headless-shell", "chromium", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise SystemExit("there is no Chromium here: `sh .ci/chromium` installs it")


@contextmanager
def logs(calledger: Calledger, key: str, address: str) -> Iterator[tuple[Page, list[str]]]:
    """The Logs page, signed in, and the addresses that it has asked for so far."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--enable-precise-memory-info"]
        browser = playwright.chromium.launch(executable_path=_program(), args=options)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en")
        page.set_default_timeout(_WAIT_MS)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{calledger.url}/console/{address}")
        page.locator("input[type=password]").fill(key)
        page.locator("input[type=checkbox]").first.uncheck()
        page.locator("input[type=password]").press("Enter")
        page.locator(".calls-row").first.wait_for()
        yield page, asked
        browser.close()


def first_load(urls: Sequence[str]) -> dict[str, int]:
    """Bytes of each file of the page with gzip."""
    found = {}
    for url in dict.fromkeys(url for url in urls if "/console/" in url):
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
            found[url.split("/console/")[1].partition("?")[0] or "index.html"] = len(answer.read())
    return found


class MainThread:
    """The CPU time that a page's main thread has used: comparable where others use the processors too."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used_s(self) -> float:
        metrics = {one["name"]: one["value"] for one in self._session.send("Performance.getMetrics")["metrics"]}
        return metrics["TaskDuration"]


def filtered(page: Page, filters: int) -> list[dict[str, float]]:
    """Press on so many models, one after the other. In ms: until the rows were `painted`, until the first question was
    `asked`, how long the `service` took for it, and the page's own `cpu`.
    """
    found: list[dict[str, float]] = []
    thread = MainThread(page)
    for number in range(filters):
        page.evaluate(_CLEAR)
        before = thread.used_s()
        times = page.evaluate(_FILTER, number)
        found.append(times | {"cpu": 1000 * (thread.used_s() - before)})
    page.evaluate(_CLEAR)
    return found


def scrolled(page: Page, rows: int) -> dict[str, float]:
    """Scroll through so many rows, some thousands at a time, since the browser's trace of each part is read."""
    browser, thread = page.context.browser, MainThread(page)
    assert browser is not None
    begun, before = time.monotonic(), thread.used_s()
    found: dict[str, float] = {"most": 0, "frames": 0, "slow": 0, "long": 0, "long_cpu": 0, "ms": 0, "cpu_ms": 0}
    for target in (*range(_TRACED_ROWS, rows, _TRACED_ROWS), rows):
        browser.start_tracing(page=page, categories=["toplevel", "-*"])
        part = page.evaluate(_SCROLL, target) | long_tasks(browser.stop_tracing())
        for name, value in part.items():
            found[name] = found.get(name, 0) + value if name in _COUNTED else max(found.get(name, 0), value)
    return found | {"seconds": time.monotonic() - begun, "cpu_s": thread.used_s() - before}


def long_tasks(trace: bytes) -> dict[str, float]:
    """Tasks of the page's main thread that took more than 50 ms by the clock (`long`), and of CPU time (`long_cpu`),
    and the longest by each (`ms`, `cpu_ms`).
    """
    events = json.loads(trace)["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks = [one for one in events if (one["pid"], one["tid"]) in mains and one["name"] == _TASK and "tdur" in one]
    return {
        "long": sum(one["dur"] > _LONG_US for one in tasks),
        "long_cpu": sum(one["tdur"] > _LONG_US for one in tasks),
        "ms": max((one["dur"] for one in tasks), default=0) / 1000,
        "cpu_ms": max((one["tdur"] for one in tasks), default=0) / 1000,
    }


def spread(times: Sequence[float]) -> str:
    """The median, and what 95 of 100 stay under."""
    ordered = sorted(times)
    return f"{statistics.median(ordered):.0f} ms, p95 {ordered[math.ceil(0.95 * len(ordered)) - 1]:.0f}"


def heap_mb(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used / 2**20


def report(calledger: Calledger, first: int, calls: int) -> None:
    """Report so many calls of now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    facts = {"started_at": now, "model": "gpt-4o", "status": "succeeded"}
    lines = [{"id": f"tail-{number}-{now}", **facts} for number in range(first, first + calls)]
    headers = {"Authorization": f"Bearer {calledger.admin_key}"}
    request = urllib.request.Request(f"{calledger.url}/v1/calls", json.dumps(lines).encode(), headers)
    urllib.request.urlopen(request).close()


def listened(calledger: Calledger, key: str, calls: int) -> dict[str, float]:
    """How the heap grows while so many calls are reported, and shown every hundred."""
    report(calledger, 0, 1)
    with logs(calledger, key, "logs?range=1h&live=1") as (page, _):
        page.locator(".live-mark.live-live").wait_for(state="attached")
        page.mouse.move(0, 0)
        before = heap_mb(page)
        for first in range(1, calls + 1, _BATCH):
            report(calledger, first, _BATCH)
            if first // _BATCH % 5 == 4:
                page.get_by_role("button", name="new calls").wait_for(state="detached")
        return {"before_mb": before, "growth_mb": heap_mb(page) - before, "calls": calls}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=1_000_000)
    options.add_argument("--rows", type=int, help="rows to scroll through (default 200,000; quick 20,000)")
    chosen = options.parse_args(arguments)
    calls = calls_of(chosen)
    say(machine())
    with Calledger(fill.folder(calls)) as calledger:
        fill.filled(calledger, calls)
    result: dict[str, Any] = {}
    with Calledger(fill.folder(calls)) as calledger:
        key = calledger.new_key("viewer")
        with logs(calledger, key, "logs?range=90d") as (page, asked):
            result["files"] = first_load(asked)
            result["filter_ms"] = filtered(page, 5 if chosen.quick else 30)
            result["scroll"] = scrolled(page, chosen.rows or (20_000 if chosen.quick else 200_000))
        result["tail"] = listened(calledger, key, 300 if chosen.quick else _AN_HOUR)
    scroll, times = result["scroll"], [one["painted"] for one in result["filter_ms"]]
    for name, size in result["files"].items():
        print(f"{name}: {size / 1000:.1f} kB")
    for name in ("painted", "asked", "service", "cpu"):
        print(f"filter, {name}: {spread([one[name] for one in result['filter_ms']])}")
    print(f"load: {' '.join(f'{one:.1f}' for one in os.getloadavg())}")
    print(f"scroll: {scroll}")
    print(f"tail: {result['tail']}")
    found = [
        Figure("console/first load", sum(result["files"].values()) / 1000, f"{len(result['files'])} files"),
        Figure("console/filter", statistics.median(times), f"{calls:,} calls; slowest {max(times):.0f} ms"),
        Figure("console/rows", scroll["most"], f"{scroll['rows']:,} rows scrolled in {scroll['seconds']:.0f} s"),
        Figure(
            "console/long frames",
            scroll["long_cpu"],
            f"of {scroll['frames']:,} by CPU time, the longest {scroll['cpu_ms']:.0f} ms; {scroll['long']:.0f} by the "
            f"clock; {1000 * scroll['cpu_s'] / scroll['frames']:.0f} ms of CPU each",
        ),
        Figure("console/heap", result["tail"]["growth_mb"], f"{result['tail']['calls']:,} calls listened to"),
    ]
    return conclude(found, result, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
