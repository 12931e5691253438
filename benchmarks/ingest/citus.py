"""A page of 50 calls and ingest on a Citus cluster of a coordinator and two workers, beside one PostgreSQL.

The same PostgreSQL 15 on the same machine, with the same settings, each with a service of its own; the same calls go to
both, in rounds one after the other. Neither waits for the disk, as in tests, whose clusters these are. The key of the
pages is bound to 20 accounts. What can be seen here is what Citus costs: both have the same two processors.
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

from citus_cluster import citus_server
from conftest import DEBIAN_PROGRAMS, OWNER, PASSWORD, running_server

PLAIN, CITUS = "PostgreSQL", "Citus"
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
    """A service, the processes of its database, and what it did in each round: a second, and CPU each."""

    house: Calledger
    postmasters: Sequence[int]
    ingest_key: str
    viewer_key: str = ""
    rows: list[float] = field(default_factory=list)
    row_us: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    page_us: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        """CPU seconds of the service and all nodes so far."""
        return cpu_seconds(self.house.pid) + sum(map(cpu_seconds, self.postmasters))

    def report(self, calls: Sequence[dict[str, Any]]) -> None:
        """Store calls over HTTP, four requests at a time."""
        lines = [json.dumps(call, separators=(",", ":")) for call in calls]
        bodies = ["\n".join(lines[at : at + BODY_ROWS]).encode() for at in range(0, len(lines), BODY_ROWS)]
        outcome, cpu = self._run("/v1/calls", bodies, self.ingest_key, 4, None)
        self.rows.append(len(calls) / outcome.seconds)
        self.row_us.append(cpu / len(calls) * 1e6)

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
def contenders() -> Iterator[dict[str, Contender]]:
    """Both, with empty ledgers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="calledger-bench-")))
        plain = stack.enter_context(running_server(DEBIAN_PROGRAMS))
        cluster = stack.enter_context(citus_server(running_server, (OWNER, PASSWORD)))
        found = {}
        for name, server, nodes in ((PLAIN, plain, [plain]), (CITUS, cluster, cluster.nodes)):
            url = stack.enter_context(server.database(template=server.template()))
            house = Calledger(folder / name, environment={"CALLEDGER_DATABASE_URL": url})
            stack.enter_context(house)
            found[name] = Contender(house, [node.process.pid for node in nodes], house.new_key("ingest"))
        yield found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__).parse_args(arguments)
    rounds, rows, seconds = (3, 4_000, 1.0) if chosen.quick else (9, 20_000, 1.3)
    say(machine())
    with contenders() as both:
        first = list(sample.native_calls(2_000, 1))
        for contender in both.values():
            contender.report(first)  # accounts, partitions and keys are made
            contender.viewer_key = contender.house.new_key("viewer", *ASKED)
            contender.rows.clear()
            contender.row_us.clear()
        for number in range(rounds):
            calls = list(sample.native_calls(rows, int(time.time()) * 10 + number))
            for contender in both.values():
                contender.report(calls)
            for contender in both.values():
                contender.turn_pages(seconds)
            say(f"  round {number + 1} of {rounds}")
        answers = {
            name: ask(one.house.url, one.viewer_key, _PAGE, account=[ASKED[0]])["calls"]["nodes"]
            for name, one in both.items()
        }
    plain, citus = both[PLAIN], both[CITUS]
    if [{**node, "id": ""} for node in answers[PLAIN]] != [{**node, "id": ""} for node in answers[CITUS]]:
        raise SystemExit("the two do not show the same page")
    for name, one in both.items():
        print(
            f"{name:12} ingest {statistics.median(one.rows):8.0f} rows/s, CPU {statistics.median(one.row_us):7.1f} us "
            f"a row; {statistics.median(one.pages):7.0f} pages/s, CPU {statistics.median(one.page_us):7.0f} us a page"
        )
    by_cpu = f"by CPU {ratio(plain.page_us, citus.page_us):.2f}", f"by CPU {ratio(plain.row_us, citus.row_us):.2f}"
    figures = [
        Figure("citus/page", ratio(citus.pages, plain.pages), by_cpu[0]),
        Figure("citus/ingest", ratio(citus.rows, plain.rows), by_cpu[1]),
    ]
    return conclude(figures, {name: [one.rows, one.pages] for name, one in both.items()}, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
