"""Costs: groups, orders, coverage, and what is refused because it is gone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Role
from service.query.buckets.time_buckets import BucketError, TimeBucket
from service.query.model.errors import BadInputError, ForbiddenError, OutOfRetentionError
from service.query.model.predicate import And, Compare, Predicate, TagMatch
from service.query.usage.percentiles import percentile_ms
from service.query.usage.report import CostRow, CostSource, read_costs
from service.query.usage.report_request import NEEDS, CostRequest
from service.query.usage.report_sql import DIMENSIONS

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STANDARD, SHORT = 1, 2
# The windows of the tier `standard`: calls and quarter hours 400 days, days 2557.
CALLS_FROM = NOW - 400 * DAY
DAYS_FROM = datetime(2019, 11, 23, tzinfo=UTC)
CALLS = frozenset({"calls"})


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url) as opened:
        yield opened


def between(start: datetime | None, end: datetime | None = None) -> Predicate:
    bounds = [Compare("startedAt", "gte", start)] if start else []
    return And((*bounds, *([Compare("startedAt", "lt", end)] if end else [])))


def usd(amount: str | None, **fields: object) -> Reported:
    return Reported(
        **{
            "started_at": NOW - DAY,
            "amount": amount and Decimal(amount),
            "currency": "USD",
            "amount_source": 2,
            **fields,
        }  # type: ignore[arg-type]
    )


def counts(rows: list[CostRow]) -> dict[object, int]:
    return {next(iter(row.key.values.values()), row.key.currency): int(row.figures.sums["calls"]) for row in rows}


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


@pytest.mark.parametrize(
    ("start", "end", "source"),
    [
        (NOW.replace(hour=0, minute=0, second=0) - 3 * DAY, NOW.replace(hour=0, minute=0, second=0), "ROLLUPS"),
        (NOW.replace(minute=15, second=0) - DAY, None, "ROLLUPS"),
        (NOW - DAY, None, "BOTH"),
        (NOW - timedelta(minutes=5), NOW - timedelta(minutes=1), "CALLS"),
    ],
)
async def test_coverage_says_where_figures_were_read(
    ledger: Ledger, start: datetime, end: datetime | None, source: str
) -> None:
    """Rollups where they cut fine enough, calls for the fringes, and nothing that was recorded is missing."""
    times = [start - timedelta(milliseconds=1), start, (end or NOW) - timedelta(milliseconds=1)]
    await ledger.report(usd("1", started_at=moment) for moment in times)

    report = await read_costs(ledger.reader(NOW), CostRequest(between(start, end), row_figures=CALLS))

    assert report.rows[0].figures.sums["calls"] == 2
    assert (report.coverage.start, report.coverage.end, report.coverage.source) == (start, end or NOW, source)


async def test_a_call_with_a_fast_clock_is_not_lost(ledger: Ledger) -> None:
    """Without an upper bound calls of the next hours are in, bucketed or not, and coverage ends now."""
    await ledger.report([usd("1", started_at=NOW + timedelta(hours=3)), usd("1", started_at=NOW + timedelta(hours=20))])
    for bucket in (None, TimeBucket.DAY):
        report = await read_costs(ledger.reader(NOW), CostRequest(bucket=bucket, row_figures=CALLS))
        assert sum(row.figures.sums["calls"] for row in report.rows) == 2
        assert report.coverage.end == NOW


async def test_an_empty_range_has_no_rows(ledger: Ledger) -> None:
    """A range that ends before it begins is empty, and not an error."""
    await ledger.report([usd("1")])
    report = await read_costs(ledger.reader(NOW), CostRequest(between(NOW, NOW - DAY), total_figures=CALLS))
    assert (report.rows, report.totals) == ([], [])


async def test_whole_utc_days_outlive_the_calls(ledger: Ledger) -> None:
    """Seven years of whole UTC days are answered; anything finer is refused, saying from when on it is there."""
    old = datetime(2020, 5, 1, 12, tzinfo=UTC)
    await ledger.report([usd("1", started_at=old)])
    whole = datetime(2020, 5, 1, tzinfo=UTC)

    report = await read_costs(
        ledger.reader(NOW),
        CostRequest(between(whole, whole + DAY), ["MODEL"], row_figures=CALLS, bucket=TimeBucket.WEEK),
    )
    assert (report.rows[0].figures.sums["calls"], report.coverage.source) == (1, "ROLLUPS")

    finer = [
        CostRequest(between(whole + timedelta(hours=6), whole + DAY)),
        CostRequest(between(whole, whole + DAY), bucket=TimeBucket.HOUR),
        CostRequest(between(whole, whole + 2 * DAY), bucket=TimeBucket.DAY, zone="Asia/Kolkata"),
    ]
    for request in finer:
        with pytest.raises(OutOfRetentionError, match=r"anything finer from `2025-10-18T10:15:00.000Z` on"):
            await read_costs(ledger.reader(NOW), request)
    by_calls = [
        CostRequest(between(whole, whole + DAY), ["OPERATION"]),
        CostRequest(between(whole, whole + DAY), tags=["team"]),
        CostRequest(And((between(whole, whole + DAY), Compare("latencyMs", "gt", 5)))),
        CostRequest(And((between(whole, whole + DAY), Compare("errorType", "eq", "Timeout")))),
        CostRequest(And((between(whole, whole + DAY), TagMatch("team", ())))),
        CostRequest(between(None, whole + DAY), ["OPERATION"]),
    ]
    for request in by_calls:
        with pytest.raises(OutOfRetentionError, match=r"are there from `2025-10-18T10:07:31.000Z` on"):
            await read_costs(ledger.reader(NOW), request)


async def test_the_window_ends_at_the_cut_off_exactly(ledger: Ledger) -> None:
    """A millisecond before the window is refused; at the window all that is there is counted."""
    await ledger.report(usd("1", started_at=CALLS_FROM + timedelta(milliseconds=delta)) for delta in (-1, 0, 1))
    request = CostRequest(between(CALLS_FROM), ["OPERATION"], row_figures=CALLS)

    assert (await read_costs(ledger.reader(NOW), request)).rows[0].figures.sums["calls"] == 2
    with pytest.raises(OutOfRetentionError):
        await read_costs(ledger.reader(NOW + timedelta(milliseconds=1)), request)


async def test_a_day_that_is_partly_past_its_window_is_hidden_whole(ledger: Ledger) -> None:
    """Without a time filter figures begin with the first UTC day that is all inside, and coverage says so."""
    await ledger.report([usd("1", started_at=DAYS_FROM - timedelta(hours=1)), usd("1", started_at=DAYS_FROM)])

    report = await read_costs(ledger.reader(NOW), CostRequest(row_figures=CALLS))

    assert report.coverage.start == DAYS_FROM
    assert report.rows[0].figures.sums["calls"] == 1
    with pytest.raises(OutOfRetentionError, match=r"whole UTC days are there from `2019-11-23T00:00:00.000Z` on"):
        await read_costs(ledger.reader(NOW), CostRequest(between(DAYS_FROM - DAY)))
    with pytest.raises(OutOfRetentionError):
        await read_costs(ledger.reader(NOW), CostRequest(between(None, DAYS_FROM)))


async def test_an_open_start_takes_what_the_buckets_need(ledger: Ledger) -> None:
    """Without a time filter local days begin where quarter hours do, UTC days where days do, hours too."""
    starts = {}
    for bucket, zone in (("DAY", "UTC"), ("DAY", "Asia/Kolkata"), ("HOUR", "UTC"), ("MONTH", "UTC"), ("WEEK", "UTC")):
        report = await read_costs(ledger.reader(NOW), CostRequest(bucket=TimeBucket(bucket), zone=zone))
        starts[bucket, zone] = report.coverage.start
    quarters = datetime(2025, 10, 18, 10, 15, tzinfo=UTC)
    assert starts == {
        ("DAY", "UTC"): DAYS_FROM,
        ("DAY", "Asia/Kolkata"): quarters,
        ("HOUR", "UTC"): quarters,
        ("MONTH", "UTC"): DAYS_FROM,
        ("WEEK", "UTC"): DAYS_FROM,
    }


@pytest.mark.parametrize("zone_name", ["UTC", "Europe/Vienna", "Asia/Kathmandu", "Australia/Lord_Howe"])
async def test_hours_of_a_whole_window_are_those_of_its_days(ledger: Ledger, zone_name: str) -> None:
    """The 9,600 hours that the database makes by itself are the moments that a short range binds."""
    begun = [NOW - days * DAY - timedelta(minutes=37 * days) for days in range(1, 390, 7)]
    await ledger.report(usd("1", started_at=moment) for moment in begun)

    async def hours(predicate: Predicate) -> list[tuple[datetime | None, datetime | None]]:
        request = CostRequest(predicate, bucket=TimeBucket.HOUR, zone=zone_name, row_figures=CALLS)
        return [
            (row.key.bucket_start, row.key.bucket_end) for row in (await read_costs(ledger.reader(NOW), request)).rows
        ]

    whole = await hours(between(None))

    assert whole == [one for moment in reversed(begun) for one in await hours(between(moment - DAY, moment + DAY))]
    assert all(start <= moment < end for (start, end), moment in zip(whole, reversed(begun), strict=True))


async def test_too_many_buckets_are_refused(ledger: Ledger) -> None:
    """A range of more than 10,000 buckets is bad input, although the data is there."""
    with pytest.raises((BucketError, OutOfRetentionError)):
        await read_costs(ledger.reader(NOW), CostRequest(between(NOW - 399 * 5 * DAY), bucket=TimeBucket.HOUR))


async def test_each_tier_is_cut_off_by_its_own_window(ledger: Ledger) -> None:
    """An account in a tier of 10 days makes questions refused that need its calls, and no others."""
    rich = await ledger.join("rich", (STANDARD, EPOCH))
    poor = await ledger.join("poor", (SHORT, EPOCH))
    await ledger.report(
        usd("1", account=name, started_at=NOW - days * DAY) for name in ("rich", "poor") for days in (2, 20)
    )
    request = CostRequest(between(NOW - 30 * DAY), ["ACCOUNT"], row_figures=CALLS)

    with pytest.raises(OutOfRetentionError):
        await read_costs(ledger.reader(NOW), request)
    assert counts((await read_costs(ledger.reader(NOW, (rich,)), request)).rows) == {"rich": 2}
    narrowed = CostRequest(And((request.predicate, Compare("account", "eq", "rich"))), ["ACCOUNT"], row_figures=CALLS)
    assert counts((await read_costs(ledger.reader(NOW), narrowed)).rows) == {"rich": 2}
    whole = CostRequest(
        between((NOW - 30 * DAY).replace(hour=0, minute=0, second=0), None), ["ACCOUNT"], row_figures=CALLS
    )
    assert counts((await read_costs(ledger.reader(NOW), whole)).rows) == {"rich": 2, "poor": 2}
    open_start = await read_costs(ledger.reader(NOW, (poor,)), CostRequest(dimensions=["OPERATION"], row_figures=CALLS))
    assert (open_start.coverage.start, open_start.rows[0].figures.sums["calls"]) == (NOW - 10 * DAY, 1)


async def test_a_move_to_a_shorter_tier_hides_nothing_that_was_kept_longer(ledger: Ledger) -> None:
    """Calls from before the move keep their window; a move in the future refuses nothing."""
    moved = (NOW - 5 * DAY).replace(hour=0, minute=0, second=0)
    number = await ledger.join("mover", (STANDARD, EPOCH), (SHORT, moved))
    await ledger.join("later", (STANDARD, EPOCH), (SHORT, moved + 30 * DAY))
    await ledger.report(
        usd("1", account=name, started_at=NOW - days * DAY) for name in ("mover", "later") for days in (2, 20, 60)
    )
    request = CostRequest(between(NOW - 90 * DAY), ["ACCOUNT"], tags=["team"], row_figures=CALLS)

    assert counts((await read_costs(ledger.reader(NOW), request)).rows) == {"mover": 3, "later": 3}
    # Ten days after the move something of the short tier is gone.
    later = NOW + 10 * DAY
    with pytest.raises(OutOfRetentionError):
        await read_costs(ledger.reader(later, (number,)), request)
    rows = (
        await read_costs(ledger.reader(later, (number,)), CostRequest(between(NOW - 90 * DAY, moved), ["OPERATION"]))
    ).rows
    assert rows[0].figures.sums["calls"] == 2


async def test_a_filter_by_user_is_refused_where_pseudonyms_have_ended(ledger: Ledger) -> None:
    """A pseudonym ends before its call: a count by user over a longer range would be too small."""
    await ledger.report(usd("1", user_token=7, started_at=NOW - days * DAY) for days in (2, 40))
    by_user = Compare("user", "isNull", False)

    with pytest.raises(OutOfRetentionError):
        await read_costs(ledger.reader(NOW), CostRequest(And((between(NOW - 60 * DAY), by_user))))
    report = await read_costs(ledger.reader(NOW), CostRequest(by_user, row_figures=CALLS))
    assert (report.coverage.start, report.rows[0].figures.sums["calls"]) == (NOW - 30 * DAY, 1)


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
        await ledger.folder.compact()
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
    await ledger.folder.compact()
    await ledger.report(usd("1", account=account, model=account, operation=account) for account in ("mine", "theirs"))
    ledger.database._scoped, scoped = ledger.database._unscoped, ledger.database._scoped
    try:
        for accounts, expected in (((numbers["mine"],), 2), ((), 0)):
            request = CostRequest(dimensions=[dimension], row_figures=CALLS, total_figures=CALLS)
            report = await read_costs(ledger.reader(NOW, accounts), request)
            assert sum(total.sums["calls"] for total in report.totals) == expected
            assert "theirs" not in str(report)
    finally:
        ledger.database._scoped = scoped


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


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("dimension", ["MODEL", "OPERATION"])
async def test_percentiles_are_within_five_percent(ledger: Ledger, folded: bool, dimension: str) -> None:
    """From rollups, deltas and calls alike, of rows and of totals."""
    latencies = {"fast": [*range(1, 200)], "slow": [n * n for n in range(10, 1800, 7)]}
    await ledger.report(
        usd("1", latency_ms=ms, model=name, operation=name, currency="USD")
        for name, all_ms in latencies.items()
        for ms in all_ms
    )
    await ledger.report([usd("1", latency_ms=None, model="fast", operation="fast")])
    if folded:
        await ledger.folder.compact()

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
