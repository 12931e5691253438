"""A page of 50 calls x 10 fields: Calledger's GraphQL, with policy, scope, row-level security and limits on, beside
PostGraphile 5, naive Strawberry + Tortoise, and aiohttp + asyncpg + orjson written by hand. The forms that clients send
(`page_forms.py`) are asked of Calledger and of the hand-written server in the same rounds.

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

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.data.page_forms import FORMS, Wanted, behind, bodies
from benchmarks.data.sample import ACCOUNTS
from benchmarks.harness import profile
from benchmarks.harness.calledger import Calledger, postgres_variables
from benchmarks.harness.contender import running
from benchmarks.harness.load import Outcome, Plan, Running, request
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import POSTGRAPHILE, node, say
from benchmarks.harness.processes import cpu_seconds, machine, own_cpu_seconds
from benchmarks.peers.plain import make_plain_table

ASKED: Final = ACCOUNTS[:20]
"""The reader's key is bound to these accounts."""
PAGES: Final = 200
CLIENTS: Final = 16
CALLEDGER: Final = "Calledger"

_ROUNDS: Final = 21
_ROUND_S: Final = 1.3  # short: so that contenders one after the other have the same neighbours on the machine
_ACCOUNTS: Final = """
    SELECT name, account.id, model FROM account
    JOIN (SELECT account_id, mode() WITHIN GROUP (ORDER BY model) AS model FROM peers.calls GROUP BY 1) AS called
        ON account_id = account.id
"""
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


def pages(filled: fill.Filled, accounts: Mapping[str, tuple[int, str]]) -> list[Wanted]:
    """Different accounts and moments, from a week after the first call on."""
    span = timedelta(days=fill.DAYS - 7)
    moments = [filled.first_day + timedelta(days=7) + span * ((index * 37 % PAGES) / PAGES) for index in range(PAGES)]
    return [
        Wanted(name, number, moment.isoformat(), model)
        for index, moment in enumerate(moments)
        for name in [ASKED[index % len(ASKED)]]
        for number, model in [accounts[name]]
    ]


def _bodies(wanted: Sequence[Wanted], make: Callable[[Wanted], object]) -> list[bytes]:
    return [json.dumps(make(page)).encode() for page in wanted]


@contextmanager
def in_forms(calledger: Calledger, wanted: Sequence[Wanted]) -> Iterator[list[tuple[Contender, Contender]]]:
    """Calledger and the hand-written server, once for each form."""
    headers = {"Authorization": f"Bearer {calledger.new_key('viewer', *ASKED)}"}
    command = [sys.executable, "-m", "benchmarks.peers.handwritten"]
    with running("handwritten", command, postgres_variables(calledger.database_url)) as hand:
        pairs = []
        for name, form in FORMS.items():
            ours, theirs = bodies(form, wanted)
            if name == "later":
                ours = behind(calledger.url, "/graphql", headers, ours)
                theirs = behind(hand.url, "/calls", {}, theirs)
            pairs.append((
                Contender(f"{CALLEDGER}: {name}", calledger.url, calledger.pid, "/graphql", ours, headers),
                Contender(f"hand-written: {name}", hand.url, hand.pid, "/calls", theirs),
            ))  # fmt: skip
        yield pairs


@contextmanager
def peers(calledger: Calledger, wanted: Sequence[Wanted]) -> Iterator[list[Contender]]:
    """The others, which are asked in the first form alone."""
    place = postgres_variables(calledger.database_url)
    of_number = lambda page: {"account": page.number, "before": page.before}  # noqa: E731 - two bodies are made so
    with ExitStack() as stack:
        command = [node(), POSTGRAPHILE / "server.mjs"]
        graphile = stack.enter_context(running("postgraphile", command, place | {"NODE_ENV": "production"}))
        naive = stack.enter_context(running("naive", [sys.executable, "-m", "benchmarks.peers.naive"], place))
        graphile_bodies = _bodies(wanted, lambda page: {"query": _POSTGRAPHILE_QUERY, "variables": of_number(page)})
        naive_bodies = _bodies(wanted, lambda page: {"query": _NAIVE_QUERY, "variables": of_number(page)})
        yield [
            Contender("PostGraphile 5", graphile.url, graphile.pid, "/graphql", graphile_bodies),
            Contender("naive Strawberry + Tortoise", naive.url, naive.pid, "/graphql", naive_bodies),
        ]


_SAME: Final = ("model", "provider", "apiKey", "status", "inputTokens", "outputTokens", "latencyMs")


def _facts(page: Mapping[str, Any]) -> list[tuple[object, ...]]:
    facts = []
    for node_ in page["nodes"] if "nodes" in page else [edge["node"] for edge in page["edges"]]:
        amount = node_["amount"]
        money = amount if isinstance(amount, dict) else {"amount": amount, "currency": node_["currency"]}
        moment = datetime.fromisoformat(node_["startedAt"])
        facts.append((moment, Decimal(money["amount"]), money["currency"], *(node_[name] for name in _SAME)))
    return facts


def compare(contenders: Sequence[Contender]) -> None:
    """SystemExit unless every contender gives the same facts in the same order."""
    for index in range(0, PAGES, 10):
        first, *others = [contender.answer(index) for contender in contenders]
        if len(_facts(first)) != 50:
            raise SystemExit(f"page {index} has only {len(_facts(first))} calls: load more")
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


def _accounts(calledger: Calledger, calls: int) -> dict[str, tuple[int, str]]:
    """Number and most called model of each account."""

    async def work() -> dict[str, tuple[int, str]]:
        owner = await fill.connect(calledger)
        try:
            await make_plain_table(owner, calls)
            return {row["name"]: (row["id"], row["model"]) for row in await owner.fetch(_ACCOUNTS)}
        finally:
            await owner.close()

    return asyncio.run(work())


def _worst(pairs: Sequence[tuple[Contender, Contender]], note: str) -> list[Figure]:
    """The slowest form against the hand-written one, and the slowest against the best."""
    by_hand = {ours.name: (ratio(ours, theirs), cpu_ratio(ours, theirs)) for ours, theirs in pairs}
    best = max((ours for ours, _ in pairs), key=lambda ours: statistics.median(one.per_second for one in ours.rounds))
    beside = {ours.name: (ratio(ours, best), cpu_ratio(ours, best)) for ours, _ in pairs}
    for name in by_hand:
        (rate, cpu), (of_best, cpu_of_best) = by_hand[name], beside[name]
        print(
            f"{name:24} {rate:.3f} of hand-written (CPU {cpu:.3f}), {of_best:.3f} of the best (CPU {cpu_of_best:.3f})"
        )
    figures = []
    for bar, found in (("page/forms", by_hand), ("page/best form", beside)):
        name = min(found, key=lambda name: found[name][0])
        figures.append(Figure(bar, found[name][0], f"{name}; {note}; by CPU {found[name][1]:.2f}"))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__, calls=1_000_000)
    options.add_argument("--forms", action="store_true", help="only Calledger and the hand-written server")
    options.add_argument("--profile", choices=FORMS, help="only say where Calledger's time goes in a form, by py-spy")
    chosen = options.parse_args(arguments)
    calls, rounds = calls_of(chosen), 3 if chosen.quick else _ROUNDS
    say(machine())
    with Calledger(fill.folder(calls)) as calledger, ExitStack() as stack:
        wanted = pages(fill.filled(calledger, calls), _accounts(calledger, calls))
        pairs = stack.enter_context(in_forms(calledger, wanted))
        if chosen.profile:
            ours = pairs[list(FORMS).index(chosen.profile)][0]
            with profile.recorded(calledger.pid, 8):
                Running(ours.plan(9)).outcome()
            return 0
        others = [] if chosen.forms else stack.enter_context(peers(calledger, wanted))
        compare([pairs[0][0], *others])
        for pair in pairs:
            compare(pair)
        contenders = [*others, *(contender for pair in pairs for contender in pair)]
        for contender in contenders:
            Running(contender.plan(1.0)).outcome()
        for number in range(rounds):
            say(f"  round {number + 1} of {rounds}")
            for contender in contenders:
                measure(contender, _ROUND_S, calledger.postmaster)
    show(contenders)
    ours, by_hand = pairs[0]
    beside = [*zip(("postgraphile", "naive"), others, strict=False), ("handwritten", by_hand)]
    figures = [
        Figure(f"page/{name}", ratio(ours, peer), f"{calls:,} calls; by CPU {cpu_ratio(ours, peer):.2f}")
        for name, peer in beside
    ]
    figures += _worst(pairs, f"{calls:,} calls")
    return conclude(figures, {contender.name: _details(contender) for contender in contenders}, chosen.json)


def _details(contender: Contender) -> dict[str, Any]:
    return {
        "rounds": [asdict(outcome) | {"per_second": outcome.per_second} for outcome in contender.rounds],
        "server_us": contender.server_us,
        "database_us": contender.database_us,
    }


if __name__ == "__main__":
    raise SystemExit(main())
