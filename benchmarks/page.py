"""A page of 50 calls x 10 fields: Calledger's GraphQL, with policy, scope, row-level security and limits on, beside
PostGraphile 5, naive Strawberry + Tortoise, and aiohttp + asyncpg + orjson written by hand.

All over the same PostgreSQL and the same calls; the peers read them from a plain table with its best index. One process
a server, 8 database connections, 16 clients that ask for 200 different pages in turn, contenders interleaved in rounds.
Before anything is timed, all answers are compared.
"""

import asyncio
import json
import statistics
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from benchmarks import fill, profile
from benchmarks.bars import Figure, conclude
from benchmarks.calledger import Calledger, postgres_variables
from benchmarks.contender import running
from benchmarks.load import Outcome, Plan, Running, request
from benchmarks.options import calls_of, parser
from benchmarks.peers.plain import make_plain_table
from benchmarks.places import POSTGRAPHILE, node, say
from benchmarks.processes import cpu_seconds, machine, own_cpu_seconds
from benchmarks.sample import ACCOUNTS

ASKED: Final = ACCOUNTS[:20]
"""The reader's key is bound to these accounts."""
PAGES: Final = 200
CLIENTS: Final = 16
CALLEDGER: Final = "Calledger"

_ROUNDS: Final = 21
_ROUND_S: Final = 1.3  # short: so that contenders one after the other have the same neighbours on the machine
_QUERY: Final = """query Page($account: String!, $before: DateTime!) {
  calls(first: 50, filter: {account: {eq: $account}, startedAt: {lt: $before}}) {
    nodes {
      id startedAt model provider apiKey status inputTokens outputTokens latencyMs amount { amount currency }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""
_NAIVE_QUERY: Final = """query Page($account: Int!, $before: DateTime!) {
  calls(first: 50, account: $account, before: $before) {
    nodes {
      id startedAt model provider apiKey status inputTokens outputTokens latencyMs amount { amount currency }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""
_POSTGRAPHILE_QUERY: Final = """query Page($account: Int!, $before: Datetime!) {
  allCalls(
    first: 50, orderBy: [STARTED_AT_DESC], filter: {accountId: {equalTo: $account}, startedAt: {lessThan: $before}}
  ) {
    nodes { rowId startedAt model provider apiKey status inputTokens outputTokens latencyMs amount currency }
    pageInfo { hasNextPage endCursor }
  }
}"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page: the newest 50 calls of an account before a moment."""

    account: str
    number: int
    before: str


@dataclass(slots=True)
class Contender:
    """A server, what it is asked, and how it did in each round."""

    name: str
    url: str
    pid: int
    path: str
    bodies: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    rounds: list[Outcome] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)

    def plan(self, seconds: float) -> Plan:
        wires = [request(self.url, self.path, body, dict(self.headers)) for body in self.bodies]
        return Plan(self.url, wires, CLIENTS, seconds)

    def answer(self, index: int) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **self.headers}
        asked = urllib.request.Request(self.url + self.path, self.bodies[index], headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found = json.loads(answer.read())
        if "errors" in found:
            raise SystemExit(f"{self.name} refused the query: {found['errors']}")
        return next(iter(found["data"].values()))


def pages(filled: fill.Filled, numbers: Mapping[str, int]) -> list[Wanted]:
    """Different accounts and moments, from a week after the first call on."""
    span = timedelta(days=fill.DAYS - 7)
    moments = [filled.first_day + timedelta(days=7) + span * ((index * 37 % PAGES) / PAGES) for index in range(PAGES)]
    return [
        Wanted(name, numbers[name], moment.isoformat())
        for index, moment in enumerate(moments)
        for name in [ASKED[index % len(ASKED)]]
    ]


def _bodies(wanted: Sequence[Wanted], make: Callable[[Wanted], object]) -> list[bytes]:
    return [json.dumps(make(page)).encode() for page in wanted]


def calledger(house: Calledger, wanted: Sequence[Wanted]) -> Contender:
    key = house.new_key("viewer", *ASKED)
    bodies = _bodies(
        wanted, lambda page: {"query": _QUERY, "variables": {"account": page.account, "before": page.before}}
    )
    headers = {"Authorization": f"Bearer {key}"}
    return Contender(CALLEDGER, house.url, house.pid, "/graphql", bodies, headers)


@contextmanager
def peers(house: Calledger, wanted: Sequence[Wanted]) -> Iterator[list[Contender]]:
    place = postgres_variables(house.database_url)
    of_number = lambda page: {"account": page.number, "before": page.before}  # noqa: E731 - three bodies are made so
    with ExitStack() as stack:
        command = [node(), POSTGRAPHILE / "server.mjs"]
        graphile = stack.enter_context(running("postgraphile", command, place | {"NODE_ENV": "production"}))
        python = [sys.executable, "-m"]
        naive = stack.enter_context(running("naive", [*python, "benchmarks.peers.naive"], place))
        hand = stack.enter_context(running("handwritten", [*python, "benchmarks.peers.handwritten"], place))
        graphile_bodies = _bodies(wanted, lambda page: {"query": _POSTGRAPHILE_QUERY, "variables": of_number(page)})
        naive_bodies = _bodies(wanted, lambda page: {"query": _NAIVE_QUERY, "variables": of_number(page)})
        hand_bodies = _bodies(wanted, lambda page: of_number(page) | {"first": 50})
        yield [
            Contender("PostGraphile 5", graphile.url, graphile.pid, "/graphql", graphile_bodies),
            Contender("naive Strawberry + Tortoise", naive.url, naive.pid, "/graphql", naive_bodies),
            Contender("hand-written", hand.url, hand.pid, "/calls", hand_bodies),
        ]


_SAME: Final = ("model", "provider", "apiKey", "status", "inputTokens", "outputTokens", "latencyMs")


def _facts(page: Mapping[str, Any]) -> list[tuple[object, ...]]:
    facts = []
    for node_ in page["nodes"]:
        amount = node_["amount"]
        money = amount if isinstance(amount, dict) else {"amount": amount, "currency": node_["currency"]}
        moment = datetime.fromisoformat(node_["startedAt"])
        facts.append((moment, Decimal(money["amount"]), money["currency"], *(node_[name] for name in _SAME)))
    return facts


def compare(contenders: Sequence[Contender]) -> None:
    """SystemExit unless every contender gives the same facts in the same order."""
    for index in range(0, PAGES, 10):
        first, *others = [contender.answer(index) for contender in contenders]
        if len(first["nodes"]) != 50:
            raise SystemExit(f"page {index} has only {len(first['nodes'])} calls: load more")
        for contender, other in zip(contenders[1:], others, strict=True):
            alike = _facts(first) == _facts(other)
            if not alike or first["pageInfo"]["hasNextPage"] != other["pageInfo"]["hasNextPage"]:
                raise SystemExit(f"{contender.name} answers page {index} otherwise than {contenders[0].name}")


def measure(contender: Contender, seconds: float, postmaster: int) -> None:
    """One round of one contender."""
    server, database = own_cpu_seconds(contender.pid), cpu_seconds(postmaster)
    outcome = Running(contender.plan(seconds)).outcome()
    if outcome.failed:
        raise SystemExit(f"{contender.name} failed {outcome.failed} times: {outcome.first_failure}")
    contender.rounds.append(outcome)
    contender.server_us.append((own_cpu_seconds(contender.pid) - server) / outcome.answered * 1e6)
    contender.database_us.append((cpu_seconds(postmaster) - database) / outcome.answered * 1e6)


def show(contenders: Sequence[Contender]) -> None:
    print(f"{'':30} {'req/s':>7} {'spread':>7} {'p50 ms':>7} {'p99 ms':>7} {'server us':>10} {'database us':>12}")
    for contender in contenders:
        rates = [outcome.per_second for outcome in contender.rounds]
        median = statistics.median
        print(
            f"{contender.name:30} {median(rates):7.0f} {(max(rates) - min(rates)) / median(rates):7.0%} "
            f"{median(outcome.p50_ms for outcome in contender.rounds):7.2f} "
            f"{median(outcome.p99_ms for outcome in contender.rounds):7.2f} "
            f"{median(contender.server_us):10.0f} {median(contender.database_us):12.0f}"
        )


def ratio(ours: Contender, theirs: Contender) -> float:
    """The median over the rounds of our rate by theirs."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    return statistics.median(our.per_second / their.per_second for our, their in pairs)


def cpu_ratio(ours: Contender, theirs: Contender) -> float:
    """CPU a request of theirs by ours, server and database: what a busy machine bends least."""
    our, their = (
        statistics.median(map(sum, zip(one.server_us, one.database_us, strict=True))) for one in (ours, theirs)
    )
    return their / our


def _numbers(house: Calledger, calls: int) -> dict[str, int]:
    async def work() -> dict[str, int]:
        owner = await fill.connect(house)
        try:
            await make_plain_table(owner, calls)
            return {row["name"]: row["id"] for row in await owner.fetch("SELECT id, name FROM account")}
        finally:
            await owner.close()

    return asyncio.run(work())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=1_000_000)
    options.add_argument("--profile", action="store_true", help="only say where Calledger's time goes, by py-spy")
    chosen = options.parse_args(arguments)
    calls, rounds, seconds = calls_of(chosen), 3 if chosen.quick else _ROUNDS, _ROUND_S
    say(machine())
    with Calledger(fill.folder(calls)) as house:
        filled = fill.filled(house, calls)
        wanted = pages(filled, _numbers(house, calls))
        ours = calledger(house, wanted)
        if chosen.profile:
            with profile.recorded(house.pid, 8):
                Running(ours.plan(9)).outcome()
            return 0
        with peers(house, wanted) as theirs:
            contenders = [ours, *theirs]
            compare(contenders)
            for contender in contenders:
                Running(contender.plan(1.0)).outcome()
            for number in range(rounds):
                say(f"  round {number + 1} of {rounds}")
                for contender in contenders:
                    measure(contender, seconds, house.postmaster)
    show(contenders)
    figures = [
        Figure(f"page/{name}", ratio(ours, peer), f"{calls:,} calls; by CPU {cpu_ratio(ours, peer):.2f}")
        for name, peer in zip(("postgraphile", "naive", "handwritten"), theirs, strict=True)
    ]
    details = {contender.name: _details(contender) for contender in contenders}
    return conclude(figures, details, chosen.json)


def _details(contender: Contender) -> dict[str, Any]:
    return {
        "rounds": [asdict(outcome) | {"per_second": outcome.per_second} for outcome in contender.rounds],
        "server_us": contender.server_us,
        "database_us": contender.database_us,
    }


if __name__ == "__main__":
    raise SystemExit(main())
