"""How late others' ingest and `/healthz` are while one client posts the worst that it can think of; and their pages.

Each scenario is one entry of `SCENARIOS`: where its bodies go, with a key of which role, and how they are made. They
are posted by a process of its own, two at a time and without a pause, while this one times the others: small batches,
a page by GraphQL and `/healthz`, in turn, each after a pause. Right before each scenario the same is timed with nobody
else: the ratio of the two is what a busy machine bends least. The bar is for the later one of ingest and `/healthz`;
pages are shown beside it.
"""

import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp

from benchmarks.bars import Figure, conclude
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.options import parser
from benchmarks.harness.places import FOLDER, ROOT, say
from benchmarks.harness.processes import machine

ATTACKERS: Final = 2
PAUSE_S: Final = 0.01
WARM_UP_S: Final = 1.5
CHARS: Final = 64 * 1024
SMALL: Final = 10
PAGE_ROWS: Final = 50
REPORTED_AFTER: Final = timedelta(seconds=5)
"""How old calls are when a gateway reports them."""
PAGE: Final = "{ calls(first: 50) { nodes { id startedAt model provider status inputTokens outputTokens latencyMs } } }"

Bodies = Iterator[bytes]
Taken = dict[str, list[float]]
"""Milliseconds by what was asked."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`bodies(seed)` makes bodies for `path` without end; the poster's key has `role`, for `accounts` alone if any."""

    path: str
    role: str
    bodies: Callable[[int], Bodies]
    accounts: tuple[str, ...] = ()


def _failed(seed: int, number: int, text: str, **facts: Any) -> dict[str, Any]:
    started = datetime.now(UTC) - REPORTED_AFTER
    return {
        "id": f"freeze-{seed}-{number}", "started_at": started.isoformat(), "model": "gpt-4o", "status": "failed",
        "error": {"type": "APIError", "message": text}, **facts,
    }  # fmt: skip


def _errors(texts: Callable[[int], Sequence[str]], **facts: Any) -> Callable[[int], Bodies]:
    """Batches of failed calls with these texts, each time with other ids."""

    def bodies(seed: int) -> Bodies:
        numbers = itertools.count()
        for turn in itertools.count():
            rows = [_failed(seed, next(numbers), text, **facts) for text in texts(turn)]
            yield json.dumps(rows).encode()

    return bodies


def _repeated(text: str, times: int = 4) -> Callable[[int], list[str]]:
    # Another beginning each time: nothing is answered from memory.
    return lambda turn: [f"{turn}-{n} {text}"[:CHARS] for n in range(times)]


def _random_texts(turn: int) -> list[str]:
    chance = random.Random(turn)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-/+=."
    return ["".join(chance.choices(letters, k=CHARS)) for _ in range(2)]


def _many_texts(turn: int) -> list[str]:
    secret = "sk-proj-" + "aB3dE6gH9jK2" * 2
    text = f"rate limit for org-abc123 with key {secret} at https://user:hunter2@host/path, bob@example.com; "
    return [(f"{turn}-{n} " + text * 200)[: 16 * 1024] for n in range(200)]


def _rows(row: bytes, count: int) -> Callable[[int], Bodies]:
    return lambda _: itertools.repeat(b"[" + b",".join([row] * count) + b"]")


def _asked(query: str, **variables: Any) -> Scenario:
    """One GraphQL request over and over. Without variables each has a text that was not met before."""

    def bodies(seed: int) -> Bodies:
        for number in itertools.count():
            text = query if variables else f"{query} # {seed}-{number}"
            yield json.dumps({"query": text, "variables": variables}).encode()

    return Scenario("/graphql", "partner", bodies, ("acme",))


def _reported(bodies: Callable[[int], Bodies]) -> Scenario:
    return Scenario("/v1/calls", "ingest", bodies)


def _han(turn: int) -> str:
    return "".join(map(chr, random.Random(turn).choices(range(0x4E00, 0x9FA5), k=CHARS)))


def _echoed_han(seed: int) -> Bodies:
    """A megabyte of content, and an error text that is a part of it."""
    for number in itertools.count():
        text = _han(number % 8)
        content = [{"content": text + _han(100 + n)} for n in range(3)]
        yield json.dumps([_failed(seed, number, text, messages=content)], ensure_ascii=False).encode()


_ECHO: Final = "the quick brown fox jumps over the lazy dog " * 400
_CALLS: Final = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
_THIRTY: Final = (
    "query($f: CallFilter) {" + " ".join(f"a{n}: calls(filter: $f) {{ totalCount }}" for n in range(30)) + "}"
)
_MISTAKES: Final = "".join(f"x{n} " for n in range(1_900))
_ALIASES: Final = 28
_IN: Final = '"a" ' * 950

_ZONES: Final = ("Asia/Kathmandu", "Australia/Lord_Howe", "America/Nuuk", "Africa/Casablanca", "Asia/Gaza")


def _aliased(field: str, zones: Sequence[str] = ()) -> str:
    """One root field under as many aliases as one operation may have."""
    texts = [field.format(zone=zones[n % len(zones)]) if zones else field for n in range(_ALIASES)]
    return "{" + " ".join(f"a{n}: {text}" for n, text in enumerate(texts)) + "}"


SCENARIOS: Final = {
    "backslashes": _reported(_errors(_repeated("\\" * 65_000))),
    "headers": _reported(_errors(_repeated("Authorization: " * 5000))),
    "userinfo": _reported(_errors(_repeated("https://" + "u" * 64_000 + ":p@host/"))),
    "full-width keys": _reported(_errors(_repeated("ｐａｓｓｗｏｒｄ＝ａ " * 5000))),  # noqa: RUF001
    "addresses": _reported(_errors(_repeated("a@b.co " * 9000))),
    "chance": _reported(_errors(_random_texts)),
    "many texts": _reported(_errors(_many_texts)),
    "echoes": _reported(_errors(_repeated(_ECHO), messages=[{"content": _ECHO * 20}])),
    "echoes of Han": _reported(_echoed_han),
    "broken array": _reported(_rows(b'{"a":[1}', 200_000)),
    "empty rows": _reported(_rows(b"{}", 400_000)),
    "deep row": _reported(lambda _: itertools.repeat(b"[" + b"[" * 2_000_000)),
    "objects of JSON": _asked(_CALLS, f={"or": [{}] * 250_000}),
    "objects": _asked(_CALLS, f={"or": [{}] * 180}),
    "objects too many": _asked(_CALLS, f={"or": [{}] * 240}),
    "values": _asked(_CALLS, f={"or": [{"model": {"in": [f"m{n}" for n in range(1_000)]}}] * 3}),
    "values too many": _asked(_CALLS, f={"or": [{"model": {"in": [f"m{n}" for n in range(1_000)]}}] * 11}),
    "one filter thirty times": _asked(_THIRTY, f={"or": [{"model": {"eq": "x"}}] * 2}),
    "one filter too often": _asked(_THIRTY, f={"or": [{"model": {"eq": "x"}}] * 15}),
    "one text": _asked(_CALLS, f={"model": {"eq": "x" * 1_000_000}}),
    "no such account": _asked(_CALLS, f={"account": {"eq": "nope"}}),
    "hours of a window": _asked(_aliased("costs(bucket: HOUR) { nodes { calls } }")),
    "hours of zones": _asked(_aliased('costs(bucket: HOUR, timeZone: "{zone}") {{ nodes {{ calls }} }}', _ZONES)),
    "days of zones": _asked(_aliased('costs(bucket: DAY, timeZone: "{zone}") {{ nodes {{ calls }} }}', _ZONES)),
    "facets": _asked(_aliased("facets { models { value } errorTypes { value } }")),
    "groups of errors": _asked(_aliased("errorGroups { totalCount nodes { count } }")),
    "new: repetitions": _asked("{" + "viewer{role}" * 490 + "}"),
    "new: allowed repetitions": _asked("{" + "viewer{role}" * 75 + "}"),
    "new: unknown inputs": _asked("{calls(filter: {" + "a: 1 " * 600 + "}) {totalCount}}"),
    "new: unknown fields": _asked("{calls{nodes{" + _MISTAKES + "}}}"),
    "new: listed values": _asked(
        f"{{calls(filter: {{or: [{{model: {{in: [{_IN}]}}}} {{model: {{in: [{_IN}]}}}}]}}) {{totalCount}}}}"
    ),
    "new: short ones": _asked("{calls{nodes{" + "".join(f"x{n} " for n in range(100)) + "}}}"),
}


async def _post_for_ever(url: str, key: str, scenario: Scenario) -> None:
    """What the poster's process does."""
    async with aiohttp.ClientSession(headers=_headers(key)) as session:

        async def one(seed: int) -> None:
            for body in scenario.bodies(seed):
                async with session.post(url + scenario.path, data=body) as answer:
                    await answer.read()

        await asyncio.gather(*(one(seed) for seed in range(ATTACKERS)))


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


async def _timed(url: str, ingest: str, viewer: str, seconds: float) -> Taken:
    """Milliseconds that each of the others' requests took."""
    taken: Taken = {"ingest": [], "page": [], "healthz": []}
    end = time.perf_counter() + seconds
    async with aiohttp.ClientSession() as session:

        async def ask(kind: str, path: str, key: str = "", body: bytes | None = None) -> Any:
            await asyncio.sleep(PAUSE_S)
            begun = time.perf_counter()
            method, headers = ("POST", _headers(key)) if body else ("GET", {})
            async with session.request(method, url + path, data=body, headers=headers) as answer:
                found = await answer.read()
                assert answer.status == 200, found
            taken[kind].append((time.perf_counter() - begun) * 1000)
            return found

        while time.perf_counter() < end:
            stored = json.loads(await ask("ingest", "/v1/calls", ingest, _small_batch()))
            assert stored["accepted"] == SMALL, stored
            page = json.loads(await ask("page", "/graphql", viewer, json.dumps({"query": PAGE}).encode()))
            assert len(page["data"]["calls"]["nodes"]) == PAGE_ROWS, page
            await ask("healthz", "/healthz")
    return taken


def _small_batch() -> bytes:
    moment, number = (datetime.now(UTC) - REPORTED_AFTER).isoformat(), time.time_ns()
    row = {"started_at": moment, "model": "gpt-4o", "status": "succeeded", "input_tokens": 100, "account": "acme"}
    return json.dumps([{"id": f"other-{number}-{n}", **row} for n in range(SMALL)]).encode()


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _latest(taken: Taken) -> float:
    """The 99th percentile of ingest or of `/healthz`, whichever is later: what the bar is for."""
    return max(_p99(taken["ingest"]), _p99(taken["healthz"]))


def _line(name: str, alone: Taken, beside: Taken) -> str:
    cells = [f"{kind} {statistics.median(values):5.1f} {_p99(values):6.1f}" for kind, values in beside.items()]
    before, now = _latest(alone), _latest(beside)
    rounds = len(beside["healthz"])
    return f"{name:<24} {'  '.join(cells)}  bar {now:6.1f}  alone {before:6.1f}  x {now / before:4.1f}  ({rounds})"


def _measured(calledger: Calledger, name: str, keys: tuple[str, str], seconds: float) -> tuple[Taken, Taken]:
    """What the others' requests took with nobody else, and beside one scenario."""
    scenario = SCENARIOS[name]
    time.sleep(WARM_UP_S)  # what the scenario before has left is answered meanwhile
    alone = asyncio.run(_timed(calledger.url, *keys, seconds / 2))
    key = calledger.new_key(scenario.role, *scenario.accounts)
    command = [sys.executable, "-m", "benchmarks.query.freeze", "--post", calledger.url, key, name]
    poster = subprocess.Popen(command, cwd=ROOT)
    try:
        time.sleep(WARM_UP_S)
        beside = asyncio.run(_timed(calledger.url, *keys, seconds))
        if poster.poll() is not None:
            raise SystemExit(f"the poster of `{name}` has ended; its message is above")
    finally:
        poster.kill()
        poster.wait()
    return alone, beside


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--only", choices=SCENARIOS, action="append", help="this scenario alone; may be repeated")
    options.add_argument("--seconds", type=float, default=10.0, help="how long each scenario lasts")
    options.add_argument("--post", nargs=3, metavar=("URL", "KEY", "NAME"), help="be the poster of a scenario")
    chosen = options.parse_args(arguments)
    if chosen.post:
        url, key, name = chosen.post
        asyncio.run(_post_for_ever(url, key, SCENARIOS[name]))
    seconds = min(chosen.seconds, 3.0) if chosen.quick else chosen.seconds
    say(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    print("milliseconds: median and 99th percentile of each, then what the bar is for, beside the scenario and alone")
    results: dict[str, dict[str, Taken]] = {}
    with Calledger(FOLDER / "freeze") as calledger:
        keys = calledger.new_key("ingest"), calledger.new_key("viewer")
        asyncio.run(_filled(calledger.url, keys[0]))
        asyncio.run(_timed(calledger.url, *keys, 2.0))
        for name in chosen.only or SCENARIOS:
            alone, beside = _measured(calledger, name, keys, seconds)
            results[name] = {"alone": alone, "beside": beside}
            print(_line(name, alone, beside), flush=True)
    late = {name: _latest(found["beside"]) for name, found in results.items()}
    worst = max(late, key=lambda name: late[name])
    note = f"{worst}; alone {_latest(results[worst]['alone']):.1f} ms; load {os.getloadavg()[0]:.1f}"
    return conclude([Figure("freeze/others", late[worst], note)], results, chosen.json)


async def _filled(url: str, key: str) -> None:
    """A page's worth of calls."""
    async with aiohttp.ClientSession(headers=_headers(key)) as session:
        for _ in range(PAGE_ROWS // SMALL):
            async with session.post(f"{url}/v1/calls", data=_small_batch()) as answer:
                assert answer.status == 200


if __name__ == "__main__":
    raise SystemExit(main())
