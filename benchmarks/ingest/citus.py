"""A page of 50 calls and ingest on Citus clusters of a coordinator and one or two workers, beside one PostgreSQL.

The same PostgreSQL 15 on the same machine, with the same settings, each with a service of its own; the same calls go to
all, in rounds one after the other. None waits for the disk, as in tests, whose clusters these are. The key of the pages
is bound to 20 accounts. All have the same two processors, so rates show what Citus costs, and not what nodes on
machines of their own gain: that shows in the CPU that each node takes for a call. Ingest ends where the busiest node
does. `--through-coordinator` has one more cluster, on which no call goes to its worker directly.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import sample
from benchmarks.harness.calledger import Calledger, ask
from benchmarks.harness.load import Plan, Running, request
from benchmarks.harness.options import parser
from benchmarks.harness.places import TESTS, say
from benchmarks.harness.processes import cpu_seconds, machine

sys.path.extend(TESTS)

from citus_cluster import citus_server, psql
from conftest import DEBIAN_PROGRAMS, OWNER, PASSWORD, running_server

PLAIN, ONE, CITUS, ROUTED = "PostgreSQL", "Citus, 1 worker", "Citus, 2 workers", "through coordinator"
WORKERS: Final = {ONE: 1, CITUS: 2, ROUTED: 2}
SHARDS: Final = 8
ASKED: Final = sample.ACCOUNTS[:20]
CLIENTS: Final = 8
BODY_ROWS: Final = 500
_PAGE: Final = """query($account: [String!]) {
  calls(first: 50, filter: {account: {in: $account}}) {
    nodes { id startedAt model provider apiKey status inputTokens outputTokens latencyMs amount { amount currency } }
    pageInfo { hasNextPage endCursor }
  }
}"""


@dataclass(slots=True)
class Contender:
    """A service, the processes of its database, and what it did in each round: a second, and CPU each.

    `node_us`: of each node a call, the coordinator's first.
    """

    house: Calledger
    postmasters: Sequence[int]
    ingest_key: str
    viewer_key: str = ""
    rows: list[float] = field(default_factory=list)
    row_us: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    page_us: list[float] = field(default_factory=list)
    node_us: list[list[float]] = field(default_factory=list)

    def nodes_cpu(self) -> list[float]:
        """CPU seconds of each node so far."""
        return [cpu_seconds(pid) for pid in self.postmasters]

    def cpu(self) -> float:
        """CPU seconds of the service and all nodes so far."""
        return cpu_seconds(self.house.pid) + sum(map(cpu_seconds, self.postmasters))

    def report(self, calls: Sequence[dict[str, Any]]) -> None:
        """Store calls over HTTP, four requests at a time."""
        lines = [json.dumps(call, separators=(",", ":")) for call in calls]
        bodies = ["\n".join(lines[at : at + BODY_ROWS]).encode() for at in range(0, len(lines), BODY_ROWS)]
        before = self.nodes_cpu()
        outcome, cpu = self._run("/v1/calls", bodies, self.ingest_key, 4, None)
        self.rows.append(len(calls) / outcome.seconds)
        self.row_us.append(cpu / len(calls) * 1e6)
        taken = zip(self.nodes_cpu(), before, strict=True)
        self.node_us.append([(after - earlier) / len(calls) * 1e6 for after, earlier in taken])

    def clear(self) -> None:
        """Forget what was measured so far."""
        for measured in (self.rows, self.row_us, self.pages, self.page_us, self.node_us):
            measured.clear()

    def turn_pages(self, seconds: float) -> None:
        """Ask for pages of one account after another, for so long."""
        bodies = [json.dumps({"query": _PAGE, "variables": {"account": [name]}}).encode() for name in ASKED]
        outcome, cpu = self._run("/graphql", bodies, self.viewer_key, CLIENTS, seconds)
        self.pages.append(outcome.per_second)
        self.page_us.append(cpu / outcome.answered * 1e6)

    def _run(self, path: str, bodies: Sequence[bytes], key: str, clients: int, seconds: float | None) -> Any:
        wires = [request(self.house.url, path, body, {"Authorization": f"Bearer {key}"}) for body in bodies]
        before = self.cpu()
        outcome = Running(Plan(self.house.url, wires, clients, seconds)).outcome()
        if outcome.failed:
            raise SystemExit(f"requests failed: {outcome.first_failure}")
        return outcome, self.cpu() - before


@contextmanager
def contenders(names: Sequence[str]) -> Iterator[dict[str, Contender]]:
    """One PostgreSQL and these clusters, with empty ledgers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="calledger-bench-")))
        plain = stack.enter_context(running_server(DEBIAN_PROGRAMS))
        servers: dict[str, Any] = {PLAIN: plain} | {
            name: stack.enter_context(
                citus_server(running_server, (OWNER, PASSWORD), workers=WORKERS[name], shards=SHARDS)
            )
            for name in names
        }
        found = {}
        for name, server in servers.items():
            url = stack.enter_context(server.database(template=server.template()))
            if name == ROUTED:
                psql(url, "SELECT undistribute_table('stored_on_worker')")
            house = Calledger(folder / name.replace(" ", "-"), environment={"CALLEDGER_DATABASE_URL": url})
            stack.enter_context(house)
            nodes = getattr(server, "nodes", [server])
            found[name] = Contender(house, [node.process.pid for node in nodes], house.new_key("ingest"))
        yield found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def busiest(one: Contender) -> list[float]:
    """CPU of the busiest node a call, in each round."""
    return [max(round_) for round_ in one.node_us]


def shown(name: str, one: Contender) -> str:
    """A contender's medians in a line."""
    by_node = [f"{statistics.median(taken):.1f}" for taken in zip(*one.node_us, strict=True)]
    return (
        f"{name:20} ingest {statistics.median(one.rows):.0f} rows/s, CPU {statistics.median(one.row_us):.1f} us a row, "
        f"by node {' + '.join(by_node)}; {statistics.median(one.pages):6.0f} pages/s, CPU "
        f"{statistics.median(one.page_us):6.0f} us a page"
    )


def measure(found: dict[str, Contender], rounds: int, rows: int, seconds: float) -> dict[str, list[Any]]:
    """Run the rounds; a page of each contender."""
    first = list(sample.native_calls(2_000, 1))
    for contender in found.values():
        contender.report(first)  # accounts, partitions and keys are made
        contender.viewer_key = contender.house.new_key("viewer", *ASKED)
        contender.clear()
    for number in range(rounds):
        calls = list(sample.native_calls(rows, int(time.time()) * 10 + number))
        for contender in found.values():
            contender.report(calls)
        for contender in found.values():
            contender.turn_pages(seconds)
        say(f"  round {number + 1} of {rounds}")
    pages = {
        name: ask(one.house.url, one.viewer_key, _PAGE, account=[ASKED[0]])["calls"]["nodes"]
        for name, one in found.items()
    }
    return {name: [{**node, "id": ""} for node in nodes] for name, nodes in pages.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--through-coordinator", action="store_true", help="measure that too")
    chosen = options.parse_args(arguments)
    rounds, rows, seconds = (3, 4_000, 1.0) if chosen.quick else (9, 20_000, 1.3)
    say(machine())
    with contenders([ONE, CITUS, *([ROUTED] if chosen.through_coordinator else [])]) as found:
        pages = measure(found, rounds, rows, seconds)
    if any(page != pages[PLAIN] for page in pages.values()):
        raise SystemExit("they do not show the same page")
    for name, one in found.items():
        print(shown(name, one))
    plain, single, citus = found[PLAIN], found[ONE], found[CITUS]
    by_cpu = f"by CPU {ratio(plain.page_us, citus.page_us):.2f}", f"by CPU {ratio(plain.row_us, citus.row_us):.2f}"
    gain = f"{statistics.median(busiest(citus)):.1f} us a call on the busiest node"
    figures = [
        Figure("citus/page", ratio(citus.pages, plain.pages), by_cpu[0]),
        Figure("citus/ingest", ratio(citus.rows, plain.rows), by_cpu[1]),
        Figure("citus/second worker", ratio(busiest(single), busiest(citus)), gain),
    ]
    return conclude(figures, {name: [one.rows, one.pages, one.node_us] for name, one in found.items()}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
