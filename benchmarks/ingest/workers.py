"""Durable ingest by two services on one database, against one: the same rows by the same two reporters.

Each service is one process on an address of its own, with the same keyring; the database is the first one's embedded
PostgreSQL. Contenders are interleaved in rounds. CPU by who spent it says what limits: two services cannot do twice
what one does where services, database and reporters together already keep every processor of the machine busy.
"""

import os
import shutil
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.load import Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import FOLDER, say
from benchmarks.harness.processes import cpu_seconds, machine
from benchmarks.ingest.ingest import IN_FLIGHT, bodies

REPORTERS: Final = 2


@dataclass(slots=True)
class Samples:
    """Rounds of one contender: rows a second; CPU microseconds a row of the services and of the database, and the
    share of all processors that these two kept busy.
    """

    rates: list[float] = field(default_factory=list)
    services_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


def measure(services: Sequence[Calledger], everywhere: Sequence[Calledger], key: str, rows: int, seed: int) -> Samples:
    """One round: `rows` to `services`, each reporter to one of them. `everywhere`: all services that run."""
    database = everywhere[0].postmaster
    plans = []
    for number in range(REPORTERS):
        service = services[number % len(services)]
        share = list(sample.native_calls(rows // REPORTERS, seed * 100 + number))
        headers = {"Authorization": f"Bearer {key}"}
        wires = [request(service.url, "/v1/calls", body, headers) for body in bodies(share)]
        plans.append(Plan(service.url, wires, IN_FLIGHT, None))
    before, all_before = cpu_seconds(database), sum(cpu_seconds(one.pid) for one in everywhere)
    outcomes = [reporter.outcome() for reporter in [Running(plan) for plan in plans]]
    # The embedded database is a child of the first service.
    spent, of_all = cpu_seconds(database) - before, sum(cpu_seconds(one.pid) for one in everywhere) - all_before
    failed = [outcome.first_failure for outcome in outcomes if outcome.failed]
    if failed:
        raise SystemExit(f"reports were refused: {failed[0]}")
    seconds = max(outcome.seconds for outcome in outcomes)
    busy = of_all / seconds / (os.cpu_count() or 1)
    return Samples([rows / seconds], [(of_all - spent) / rows * 1e6], [spent / rows * 1e6], [busy])


def show(samples: dict[int, Samples]) -> None:
    print(f"{'':14} {'rows/s':>8} {'services us':>12} {'database us':>12}   {'of the processors':>17}   (CPU a row)")
    for number, taken in samples.items():
        rate, services, database, busy = (
            statistics.median(one) for one in (taken.rates, taken.services_us, taken.database_us, taken.busy)
        )
        name = f"{number} service{'s' * (number > 1)}"
        print(f"{name:14} {rate:8.0f} {services:12.1f} {database:12.1f}   {busy:17.0%}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, default=FOLDER / "workers", help="folder of both; emptied first")
    chosen = options.parse_args(arguments)
    rounds, rows = (3, 10_000) if chosen.quick else (7, 60_000)
    say(machine())
    shutil.rmtree(chosen.data, ignore_errors=True)
    with ExitStack() as stack:
        one = stack.enter_context(Calledger(chosen.data / "one"))
        shared = {
            "CALLEDGER_DATABASE_URL": one.database_url,
            "CALLEDGER_KEYRING": f"file:{one.data / 'keyring'}",
            "CALLEDGER_KEK": f"file:{one.data / 'kek'}",
        }
        other = stack.enter_context(Calledger(chosen.data / "other", "--host", "127.0.0.2", environment=shared))
        both, key, seed = [one, other], one.new_key("ingest"), int(time.time())
        for service in both:
            measure([service], both, key, 2_000, seed := seed + 1)  # accounts, partitions and keys are made
        samples = {1: Samples(), 2: Samples()}
        for number in range(rounds):
            for services, taken in ((both[:1], samples[1]), (both, samples[2])):
                found = measure(services, both, key, rows, seed := seed + 1)
                for name, values in asdict(found).items():
                    getattr(taken, name).extend(values)
            say(f"  round {number + 1} of {rounds}")
    show(samples)
    ratio = statistics.median(two / alone for two, alone in zip(samples[2].rates, samples[1].rates, strict=True))
    left = 1 - statistics.median(samples[1].busy)
    note = f"{os.cpu_count()} processors; one service, its database and no reporter leave {left:.0%} of them"
    details = {str(number): asdict(taken) for number, taken in samples.items()}
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    return conclude([Figure("workers/ingest", ratio, note)], {"at": taken_at, "rounds": details}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
