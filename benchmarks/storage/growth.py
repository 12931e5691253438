"""What grows when accounts, API keys, models and tiers do: the same figures of ledgers of several shapes, side by side.

    python -m benchmarks growth                        few and sparse: some five minutes the first time
    python -m benchmarks growth --shape dense          another; `--calls`, `--accounts`, `--tiers` ... set its sizes
    python -m benchmarks growth --purge                also purge; the ledgers are loaded anew the next time

`few`: 50 accounts with most calls in some. `sparse`: a hundred thousand accounts of a few calls each, in twenty tiers.
`dense`: a thousand accounts with most calls in some, five thousand models. Beside the figures of each: what another
client's page waits while somebody asks for accounts that are not there, and while accounts are made.
"""

import argparse
import asyncio
import http.client
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.data.fill import Shape
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.load import Outcome, Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import cpu_seconds, machine, resident_mb
from benchmarks.storage import disk

SHAPES: Final = {
    "few": Shape(300_000),
    "sparse": Shape(1_000_000, accounts=100_000, keys=20_000, models=5_000, tiers=20, even=True, named=50),
    "dense": Shape(3_000_000, accounts=1_000, keys=20_000, models=5_000, tiers=3),
}
_DEFAULT: Final = ("few", "sparse")
_ROUNDS: Final = 60
_BESIDE_S: Final = 5.0
_FIELDS: Final = (
    "id startedAt model provider status inputTokens outputTokens latencyMs account amount { amount currency }"
)
_PAGE: Final = f"{{ calls(first: 50) {{ nodes {{ {_FIELDS} }} }} }}"
_OF_ACCOUNT: Final = (
    f"query($of: String!) {{ calls(first: 50, filter: {{account: {{eq: $of}}}}) {{ nodes {{ {_FIELDS} }} }} }}"
)
_COSTS: Final = "{ costs(groupBy: [%s], bucket: DAY) { totals { calls } rows { calls } } }"
_BY_TAG: Final = '{ costs(groupBy: [%s], groupByTags: ["team"], bucket: DAY) { totals { calls } rows { calls } } }'
_TIER: Final = """
[tiers."tier{number}"]
number = {number}
store_days = {{ call = 400, call_error = 30, usage_quarter = 400, usage_day = 2557 }}
readable_days = {{ personal = 30 }}
"""


class _Client:
    """One connection that is kept, as gateways and dashboards keep theirs."""

    def __init__(self, calledger: Calledger, role: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(calledger.url).netloc, timeout=300)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {calledger.new_key(role)}"}

    def post(self, path: str, body: object) -> tuple[float, Any]:
        """The milliseconds that it took, and the answer."""
        begin = time.perf_counter()
        self._connection.request("POST", path, json.dumps(body), self._headers)
        answer = json.loads(self._connection.getresponse().read())
        taken = (time.perf_counter() - begin) * 1e3
        if "errors" in answer or answer.get("rejected"):
            raise SystemExit(f"refused: {answer}")
        return taken, answer

    def request(self, calledger: Calledger, body: object, path: str = "/graphql") -> bytes:
        """The same as bytes, for the load generator."""
        return request(calledger.url, path, json.dumps(body).encode(), self._headers)


def _call(account: str) -> dict[str, object]:
    return {
        "id": str(uuid4()), "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"), "account": account,
        "model": "gpt-4o", "provider": "openai", "status": "succeeded", "input_tokens": 10, "output_tokens": 5,
        "amount": "0.001", "currency": "USD", "latency_ms": 300,
    }  # fmt: skip


def _unknown() -> dict[str, object]:
    return {"query": _OF_ACCOUNT, "variables": {"of": f"nobody-{uuid4()}"}}


def _median(rounds: int, take: Callable[[], float]) -> float:
    take()
    return statistics.median(take() for _ in range(rounds))


def _loaded(calledger: Calledger, shape: Shape) -> None:
    """See to it that the ledger is there: its tiers in the policy, its calls in the stores."""
    if shape.tiers > 1:
        policy = calledger.command("policy", "complete")
        wanted = [_TIER.format(number=number) for number in range(2, shape.tiers + 1)]
        if wanted[-1].strip().splitlines()[0] not in policy:
            path = calledger.data.with_suffix(".toml")
            path.write_text(policy + "".join(wanted))
            calledger.command("policy", "apply", str(path))
    fill.filled(calledger, shape)


def _latencies(calledger: Calledger, shape: Shape) -> dict[str, float]:
    """Milliseconds of single requests, one after the other."""
    reporter, viewer = _Client(calledger, "ingest"), _Client(calledger, "viewer")
    names = itertools.cycle(shape.account_names)
    fresh = (f"new-{uuid4()}" for _ in itertools.count())
    costs = max(_ROUNDS // 10, 3)
    return {
        "page of all, ms": _median(_ROUNDS, lambda: viewer.post("/graphql", {"query": _PAGE})[0]),
        "page of an account, ms": _median(
            _ROUNDS, lambda: viewer.post("/graphql", {"query": _OF_ACCOUNT, "variables": {"of": next(names)}})[0]
        ),
        "unknown account, ms": _median(_ROUNDS, lambda: viewer.post("/graphql", _unknown())[0]),
        "call, known account, ms": _median(_ROUNDS, lambda: reporter.post("/v1/calls", _call(next(names)))[0]),
        "call, new account, ms": _median(_ROUNDS, lambda: reporter.post("/v1/calls", _call(next(fresh)))[0]),
        "costs by model and day, ms": _median(costs, lambda: viewer.post("/graphql", {"query": _COSTS % "MODEL"})[0]),
        "costs by API key and day, ms": _median(
            costs, lambda: viewer.post("/graphql", {"query": _COSTS % "API_KEY"})[0]
        ),
        "costs by tag and day, ms": _median(costs, lambda: viewer.post("/graphql", {"query": _BY_TAG % ""})[0]),
        "costs by account, tag and day, ms": _median(
            costs, lambda: viewer.post("/graphql", {"query": _BY_TAG % "ACCOUNT"})[0]
        ),
    }


def _beside(calledger: Calledger) -> dict[str, float]:
    """How long others' pages take beside a client that asks for accounts which are not there, and one that makes some.

    What the client costs by taking a share of the processor is taken out: beside the same client asking for pages.
    """
    reporter, viewer, other = _Client(calledger, "ingest"), _Client(calledger, "viewer"), _Client(calledger, "viewer")
    page = [viewer.request(calledger, {"query": _PAGE})]
    asking = [other.request(calledger, _unknown()) for _ in range(4_000)]
    making = [reporter.request(calledger, _call(f"made-{uuid4()}"), "/v1/calls") for _ in range(4_000)]
    known = [reporter.request(calledger, _call("account-01"), "/v1/calls") for _ in range(4_000)]

    def run(noise: Sequence[bytes]) -> Outcome:
        beside = Running(Plan(calledger.url, noise, 1, _BESIDE_S + 1))
        found = Running(Plan(calledger.url, page, 1, _BESIDE_S)).outcome()
        noisy = beside.outcome()
        if found.failed or noisy.failed:
            raise SystemExit(f"refused: {found.first_failure}{noisy.first_failure}")
        return found

    run(page)
    plain, asked, reported, made = run(page), run(asking), run(known), run(making)
    return {
        "p99 of others beside pages, ms": plain.p99_ms,
        "beside unknown accounts, ms": asked.p99_ms,
        "p99 of others beside calls, ms": reported.p99_ms,
        "beside new accounts, ms": made.p99_ms,
        "unknown, against pages": asked.p99_ms / plain.p99_ms,
        "new, against known": made.p99_ms / reported.p99_ms,
    }


def _command(calledger: Calledger, *arguments: str) -> tuple[float, float, str]:
    """Seconds by the clock, CPU seconds of the command's database, and what it printed."""
    begin, used = time.monotonic(), cpu_seconds(calledger.postmaster)
    text = calledger.command(*arguments)
    return time.monotonic() - begin, cpu_seconds(calledger.postmaster) - used, text


def _at_rest(calledger: Calledger, shape: Shape) -> dict[str, float]:
    keyring = [path for path in (calledger.data / "keyring").rglob("*") if path.is_file()]
    sizes, _ = asyncio.run(disk.sizes(calledger))
    per_call = {f"{size['store']}, bytes a call": size["bytes"] / shape.calls for size in sizes}
    blocks = sum(path.stat().st_blocks * 512 for path in keyring)
    return {
        "start, s": calledger.ready_s,
        "start, CPU s": calledger.ready_cpu_s,
        "memory at rest, MB": resident_mb(calledger.pid),
        "keyring, files": len(keyring),
        "keyring, MB": blocks / 1e6,
        **per_call,
        "everything, bytes a call": sum(per_call.values()),
    }


def measure(shape: Shape, *, purge: bool) -> dict[str, float]:
    """Every figure of one shape."""
    with Calledger(fill.folder(shape)) as calledger:
        _loaded(calledger, shape)
    with Calledger(fill.folder(shape)) as calledger:
        time.sleep(5)
        found = _at_rest(calledger, shape) | _latencies(calledger, shape) | _beside(calledger)
        found["purge --dry-run, s"] = _command(calledger, "purge", "--dry-run")[0]
        for name in ("fsck, s", "fsck again, s"):
            seconds, cpu, text = _command(calledger, "fsck")
            say(text)
            found |= {name: seconds, name.replace(", s", ", CPU s"): cpu}
        if purge:
            found |= _purged(calledger)
    return found


def _purged(calledger: Calledger) -> dict[str, float]:
    """Purge what a shorter window makes due: the errors of three weeks, in every tier."""
    (calledger.data / "filled.json").unlink()
    path = calledger.data.with_suffix(".toml")
    path.write_text(calledger.command("policy", "complete").replace("call_error = 30", "call_error = 7"))
    calledger.command("policy", "apply", str(path))
    plan = calledger.command("purge", "--dry-run")
    digest = next(word.strip("`.,") for word in plan.split() if word.startswith("sha256:"))
    seconds, _, text = _command(calledger, "purge", "--plan", digest)
    say(text)
    return {"purge of three weeks of errors, s": seconds}


def _print(results: dict[str, dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for found in results.values() for name in found))
    print(f"{'':38}" + "".join(f"{shape:>14}" for shape in results))
    for name in names:
        cells = [f"{found[name]:>14,.4g}" if name in found else f"{'-':>14}" for found in results.values()]
        print(f"{name:38}{''.join(cells)}")


def _figures(results: dict[str, dict[str, float]]) -> list[Figure]:
    name = next((one for one in ("sparse", "dense", "few") if one in results), next(iter(results)))
    found = results[name]
    note = f"{name}; 99th percentile of single pages"
    return [
        Figure("growth/new", found["call, new account, ms"], name),
        Figure("growth/unknown", found["unknown account, ms"], name),
        Figure("growth/others", max(found["unknown, against pages"], found["new, against known"]), note),
        Figure("growth/call", found["everything, bytes a call"], name),
    ]


def _chosen(options: argparse.Namespace) -> dict[str, Shape]:
    sizes = {
        name: value for name in ("calls", "accounts", "keys", "models", "tiers") if (value := getattr(options, name))
    }
    names = options.shape or (["few"] if options.quick else _DEFAULT)
    shapes = {name: replace(SHAPES[name], **sizes) for name in names}
    return {name: replace(shape, calls=50_000) for name, shape in shapes.items()} if options.quick else shapes


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--shape", action="append", choices=sorted(SHAPES), help="may be given several times")
    options.add_argument("--purge", action="store_true", help="also purge what a shorter window makes due")
    for name in ("calls", "accounts", "keys", "models", "tiers"):
        options.add_argument(f"--{name}", type=int, help=f"{name} of every shape, instead of its own")
    chosen = options.parse_args(arguments)
    shapes = _chosen(chosen)
    say(machine())
    results = {}
    for name, shape in shapes.items():
        say(f"{name}: {shape}")
        results[name] = measure(shape, purge=chosen.purge)
    print("\n".join(f"{name}: {shape}" for name, shape in shapes.items()))
    _print(results)
    return conclude(_figures(results), results, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
