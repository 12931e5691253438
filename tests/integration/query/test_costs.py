"""Costs: groups, orders, coverage, and what is refused because it is gone."""

from datetime import timedelta
from decimal import Decimal

import pytest
from spending import CALLS, CALLS_FROM, DAY, NOW, usd
from usage_ledger import Ledger

from policies.policy.model import Role
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.errors import BadInputError, ForbiddenError
from service.query.model.predicate import Compare
from service.query.usage.percentiles import percentile_ms
from service.query.usage.report import CostSource, read_costs
from service.query.usage.report_request import NEEDS, CostRequest
from service.query.usage.report_sql import DIMENSIONS


async def test_two_currencies_and_no_amount_make_three_rows(ledger: Ledger) -> None:
    """Amounts of two currencies are never added; calls without an amount are a row of their own, of amount null."""
    await ledger.report([usd("1"), usd("0.25"), usd("3", currency="EUR"), usd(None, currency=None), usd(None)])

    report = await read_costs(
        ledger.reader(NOW), CostRequest(row_figures=frozenset({"amount", "calls"}), total_figures=frozenset({"amount"}))
    )

    rows = {row.key.currency: row.figures.sums for row in report.rows}
    assert rows["USD"] == {"amount": Decimal("1.25"), "priced": 2, "calls": 3}
    assert rows["EUR"] == {"amount": 3, "priced": 1, "calls": 1}
    assert rows[None] == {"amount": 0, "priced": 0, "calls": 1}
    assert [total.currency for total in report.totals] == ["EUR", "USD", None]


async def test_totals_are_of_all_rows_also_those_cut_off(ledger: Ledger) -> None:
    """`first` cuts rows and says so; totals do not shrink, and only what is asked for is worked out."""
    await ledger.report(usd("1", model=f"model-{number}") for number in range(5))

    report = await read_costs(
        ledger.reader(NOW),
        CostRequest(dimensions=["MODEL"], first=2, row_figures=CALLS, total_figures=frozenset({"calls", "amount"})),
    )

    assert [row.key.values["MODEL"] for row in report.rows] == ["model-0", "model-1"]
    assert report.has_next
    assert report.totals[0].sums == {"calls": 5, "amount": 5, "priced": 5}
    exactly = await read_costs(ledger.reader(NOW), CostRequest(dimensions=["MODEL"], first=5, row_figures=CALLS))
    assert not exactly.has_next
    assert exactly.totals == []


async def test_nothing_is_read_when_nothing_is_asked(ledger: Ledger) -> None:
    """A report of which only the coverage is wanted has neither rows nor totals."""
    await ledger.report([usd("1")])

    report = await read_costs(ledger.reader(NOW), CostRequest(row_figures=None))

    assert (report.rows, report.totals, report.has_next) == ([], [], False)


async def test_rows_come_in_the_asked_order_with_nulls_last(ledger: Ledger) -> None:
    """Orders by amount, calls, errors, tokens and bucket; ties by key, and by code point."""
    await ledger.report(
        [
            usd("1", model="b", input_tokens=5, failed=True),
            usd("5", model="a", output_tokens=9),
            usd("2", model="Z", started_at=NOW - 2 * DAY),
            usd("2", model="Z", started_at=NOW - 3 * DAY),
            usd(None, model="é"),
        ]
    )

    async def models(*order: tuple[str, bool], bucket: TimeBucket | None = None) -> list[str | None]:
        request = CostRequest(
            Compare("currency", "eq", "USD"), ["MODEL"], order=order, bucket=bucket, row_figures=frozenset()
        )
        return [row.key.values["MODEL"] for row in (await read_costs(ledger.reader(NOW), request)).rows]

    assert await models(("AMOUNT", True)) == ["a", "Z", "b", "é"]
    assert await models(("AMOUNT", False)) == ["b", "Z", "a", "é"]
    assert await models() == await models(("CALLS", True)) == ["Z", "a", "b", "é"]
    assert await models(("ERRORS", True), ("CALLS", False)) == ["b", "a", "é", "Z"]
    assert await models(("TOTAL_TOKENS", True)) == ["a", "b", "Z", "é"]
    assert await models(("BUCKET_START", True), bucket=TimeBucket.DAY) == ["a", "b", "é", "Z", "Z"]
    assert await models(bucket=TimeBucket.DAY) == ["Z", "Z", "a", "b", "é"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (CostRequest(order=[("AMOUNT", True)]), "within one currency"),
        (CostRequest(Compare("currency", "in", ("USD",)), order=[("AMOUNT", True)]), "within one currency"),
        (CostRequest(Compare("amount", "gt", Decimal(1))), "within one currency"),
        (CostRequest(order=[("BUCKET_START", True)]), "needs `bucket`"),
        (CostRequest(order=[("CALLS", True), ("CALLS", False)]), "twice"),
        (CostRequest(dimensions=["MODEL", "MODEL"]), "twice"),
        (CostRequest(tags=["team", "team"]), "twice"),
        (CostRequest(tags=["purpose"]), "not a tag that the policy allows"),
        (CostRequest(tags=["x'; DROP TABLE call; --"]), "not a tag that the policy allows"),
        (CostRequest(tags=["team\0"]), "not a tag that the policy allows"),
        (CostRequest(first=0), "1 to 10000"),
        (CostRequest(first=10_001), "1 to 10000"),
        (CostRequest(bucket=TimeBucket.DAY, zone="Mars/Olympus"), "not an IANA time zone"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_words(ledger: Ledger, request_: CostRequest, words: str) -> None:
    """Bad input says what to do."""
    with pytest.raises(BadInputError, match=words):
        await read_costs(ledger.reader(NOW), request_)


async def test_groups_by_tags_and_by_what_only_calls_know(ledger: Ledger) -> None:
    """Tags, operation and served model are read from the calls; what a call does not carry is null."""
    await ledger.report(
        [
            usd("1", tags={"team": "search"}, operation="chat"),
            usd("2", tags={"team": "ads", "project": "x"}),
            usd("4"),
        ]
    )

    report = await read_costs(
        ledger.reader(NOW),
        CostRequest(dimensions=["OPERATION"], tags=["team", "project"], row_figures=NEEDS.keys()),  # type: ignore[arg-type]
    )

    found = {(row.key.values["OPERATION"], *(row.key.tags or {}).values()): row.figures.sums for row in report.rows}
    assert {key: sums["amount"] for key, sums in found.items()} == {
        ("chat", "search", None): 1,
        (None, "ads", "x"): 2,
        (None, None, None): 4,
    }
    assert report.coverage.source is CostSource.CALLS
    assert report.coverage.start == CALLS_FROM


@pytest.mark.parametrize("dimension", sorted(DIMENSIONS))
async def test_the_scope_holds_for_every_dimension(ledger: Ledger, dimension: str) -> None:
    """A key that is bound to one account gets that account's figures, from every store, whatever it asks."""
    numbers = await ledger.accounts.ensure(["mine", "theirs"])
    for _ in range(2):
        await ledger.report(
            usd(
                "1",
                account=account,
                started_at=NOW - DAY - timedelta(minutes=minutes),
                model=account,
                provider=account,
                api_key=account,
                operation=account,
                served_model=account,
            )
            for account in ("mine", "theirs")
            for minutes in (0, 7, 600)
        )
        await ledger.compaction.compact()
    await ledger.report([usd("1", account="theirs"), usd("1", account="mine", model="mine")])
    reader = ledger.reader(NOW, (numbers["mine"],))
    tries = [
        Compare("startedAt", "gte", NOW - 2 * DAY),
        Compare("account", "in", ("mine", "theirs")),
        Compare("account", "ne", "mine"),
        Compare("account", "notIn", ("nobody",)),
    ]

    for predicate in tries:
        report = await read_costs(reader, CostRequest(predicate, [dimension], row_figures=CALLS, total_figures=CALLS))
        expected = 0 if predicate == Compare("account", "ne", "mine") else 7
        assert sum(total.sums["calls"] for total in report.totals) == expected
        assert "theirs" not in str(report)


@pytest.mark.parametrize("dimension", ["MODEL", "OPERATION"])
async def test_the_scope_holds_without_row_level_security(ledger: Ledger, dimension: str) -> None:
    """The statement itself keeps to the scope, where the operator gives one role and row-level security is missing."""
    numbers = await ledger.accounts.ensure(["mine", "theirs"])
    await ledger.report(usd("1", account=account, model=account, operation=account) for account in ("mine", "theirs"))
    await ledger.compaction.compact()
    await ledger.report(usd("1", account=account, model=account, operation=account) for account in ("mine", "theirs"))
    ledger.database.scoped, scoped = ledger.database.unscoped, ledger.database.scoped
    try:
        for accounts, expected in (((numbers["mine"],), 2), ((), 0)):
            request = CostRequest(dimensions=[dimension], row_figures=CALLS, total_figures=CALLS)
            report = await read_costs(ledger.reader(NOW, accounts), request)
            assert sum(total.sums["calls"] for total in report.totals) == expected
            assert "theirs" not in str(report)
    finally:
        ledger.database.scoped = scoped


async def test_a_key_without_accounts_sees_nothing(ledger: Ledger) -> None:
    """An empty scope is not every account."""
    await ledger.report([usd("1")])
    report = await read_costs(ledger.reader(NOW, ()), CostRequest(total_figures=CALLS))
    assert (report.rows, report.totals) == ([], [])


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.COMPLIANCE, Role.INGEST])
async def test_roles_without_calls_may_not_group_or_filter(ledger: Ledger, role: Role) -> None:
    """What a role may not see it may not choose by, here too, whichever way it came."""
    for request in (
        CostRequest(dimensions=["API_KEY"]),
        CostRequest(Compare("model", "eq", "x")),
        CostRequest(tags=["team"]),
    ):
        with pytest.raises(ForbiddenError):
            await read_costs(ledger.reader(NOW, None, role), request)


@pytest.mark.parametrize("compacted", [True, False])
@pytest.mark.parametrize("dimension", ["MODEL", "OPERATION"])
async def test_percentiles_are_within_five_percent(ledger: Ledger, compacted: bool, dimension: str) -> None:
    """From rollups, deltas and calls alike, of rows and of totals."""
    latencies = {"fast": [*range(1, 200)], "slow": [n * n for n in range(10, 1800, 7)]}
    await ledger.report(
        usd("1", latency_ms=ms, model=name, operation=name, currency="USD")
        for name, all_ms in latencies.items()
        for ms in all_ms
    )
    await ledger.report([usd("1", latency_ms=None, model="fast", operation="fast")])
    if compacted:
        await ledger.compaction.compact()

    wanted = frozenset({"latencyMs"})
    report = await read_costs(
        ledger.reader(NOW), CostRequest(dimensions=[dimension], row_figures=wanted, total_figures=wanted)
    )

    rows = {row.key.values[dimension]: row.figures for row in report.rows}
    for figures, exact in [
        *((rows[name], latencies[name]) for name in rows),
        (report.totals[0], [*latencies["fast"], *latencies["slow"]]),
    ]:
        ordered = sorted(exact)
        for percent in (50, 95, 99):
            truth = ordered[-(-len(ordered) * percent // 100) - 1]
            assert percentile_ms(*figures.histograms["latency"], percent) == pytest.approx(truth, rel=0.05)
