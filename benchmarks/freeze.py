"""How late another client's ingest and `/healthz` are while one client posts the worst that it can think of.

Each scenario is one entry of `SCENARIOS`: where its bodies go, with a key of which role, and how they are made. They
are posted by a process of its own, two at a time and without a pause, while this one times the other client: small
batches and `/healthz`, in turn, each after a pause. Beside each figure stands the same without anybody else.
"""

import asyncio
import itertools
import json
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
from benchmarks.calledger import Calledger
from benchmarks.options import parser
from benchmarks.places import FOLDER, ROOT, say
from benchmarks.processes import machine

ATTACKERS: Final = 2
PAUSE_S: Final = 0.01
CHARS: Final = 64 * 1024

Bodies = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`bodies(seed)` makes bodies for `path` without end; the poster's key has `role`."""

    path: str
    role: str
    bodies: Callable[[int], Bodies]


def _failed(seed: int, number: int, text: str, **facts: Any) -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(minutes=5)
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


_ECHO: Final = "the quick brown fox jumps over the lazy dog " * 400

SCENARIOS: Final = {
    "backslashes": Scenario("/v1/calls", "ingest", _errors(_repeated("\\" * 65_000))),
    "headers": Scenario("/v1/calls", "ingest", _errors(_repeated("Authorization: " * 5000))),
    "userinfo": Scenario("/v1/calls", "ingest", _errors(_repeated("https://" + "u" * 64_000 + ":p@host/"))),
    "full-width keys": Scenario("/v1/calls", "ingest", _errors(_repeated("ｐａｓｓｗｏｒｄ＝ａ " * 5000))),  # noqa: RUF001
    "addresses": Scenario("/v1/calls", "ingest", _errors(_repeated("a@b.co " * 9000))),
    "chance": Scenario("/v1/calls", "ingest", _errors(_random_texts)),
    "many texts": Scenario("/v1/calls", "ingest", _errors(_many_texts)),
    "echoes": Scenario("/v1/calls", "ingest", _errors(_repeated(_ECHO), messages=[{"content": _ECHO * 20}])),
    "broken array": Scenario("/v1/calls", "ingest", _rows(b'{"a":[1}', 200_000)),
    "empty rows": Scenario("/v1/calls", "ingest", _rows(b"{}", 400_000)),
    "deep row": Scenario("/v1/calls", "ingest", lambda _: itertools.repeat(b"[" + b"[" * 2_000_000)),
}


async def _post_for_ever(url: str, key: str, scenario: Scenario) -> None:
    """What the poster's process does."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:

        async def one(seed: int) -> None:
            for body in scenario.bodies(seed):
                async with session.post(url + scenario.path, data=body) as answer:
                    await answer.read()

        await asyncio.gather(*(one(seed) for seed in range(ATTACKERS)))


async def _timed(url: str, key: str, seconds: float) -> dict[str, list[float]]:
    """Milliseconds that each of the other client's requests took."""
    taken: dict[str, list[float]] = {"ingest": [], "healthz": []}
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        end = time.perf_counter() + seconds
        for number in itertools.count():
            if time.perf_counter() > end:
                return taken
            started = datetime.now(UTC) - timedelta(minutes=1)
            rows = [
                {"id": f"other-{time.time_ns()}-{number}-{n}", "started_at": started.isoformat(), "model": "gpt-4o",
                 "status": "succeeded", "input_tokens": 100}
                for n in range(10)
            ]  # fmt: skip
            begun = time.perf_counter()
            async with session.post(f"{url}/v1/calls", data=json.dumps(rows)) as answer:
                assert (await answer.json())["accepted"] == len(rows)
            taken["ingest"].append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(PAUSE_S)
            begun = time.perf_counter()
            async with session.get(f"{url}/healthz") as answer:
                assert answer.status == 200
            taken["healthz"].append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(PAUSE_S)
    return taken


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _line(name: str, taken: dict[str, list[float]]) -> str:
    cells = [
        f"{kind} p50 {statistics.median(values):6.1f}  p99 {_p99(values):6.1f}  worst {max(values):6.1f} ms"
        for kind, values in taken.items()
    ]
    return f"{name:<16} {'   '.join(cells)}   ({len(taken['healthz'])} rounds)"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--only", choices=SCENARIOS, help="one scenario alone")
    options.add_argument("--seconds", type=float, default=10.0, help="how long each scenario lasts")
    options.add_argument("--post", nargs=3, metavar=("URL", "KEY", "NAME"), help="be the poster of a scenario")
    chosen = options.parse_args(arguments)
    if chosen.post:
        url, key, name = chosen.post
        asyncio.run(_post_for_ever(url, key, SCENARIOS[name]))
    seconds = min(chosen.seconds, 3.0) if chosen.quick else chosen.seconds
    say(machine())
    results: dict[str, dict[str, list[float]]] = {}
    with Calledger(FOLDER / "freeze") as house:
        other = house.new_key("ingest")
        asyncio.run(_timed(house.url, other, 2.0))
        results["nobody else"] = asyncio.run(_timed(house.url, other, seconds))
        print(_line("nobody else", results["nobody else"]))
        for name in [chosen.only] if chosen.only else SCENARIOS:
            scenario = SCENARIOS[name]
            command = [
                sys.executable,
                "-m",
                "benchmarks.freeze",
                "--post",
                house.url,
                house.new_key(scenario.role),
                name,
            ]
            poster = subprocess.Popen(command, cwd=ROOT)
            try:
                time.sleep(1.5)
                results[name] = asyncio.run(_timed(house.url, other, seconds))
                if poster.poll() is not None:
                    raise SystemExit(f"the poster of `{name}` has ended; its message is above")
            finally:
                poster.kill()
                poster.wait()
            print(_line(name, results[name]), flush=True)
    worst = {
        kind: max((name for name in results if name != "nobody else"), key=lambda name: _p99(results[name][kind]))
        for kind in ("ingest", "healthz")
    }
    figures = [Figure(f"freeze/{kind}", _p99(results[name][kind]), name) for kind, name in worst.items()]
    return conclude(figures, results, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
