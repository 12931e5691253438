"""Costs across retention windows: where figures were read, what has ended and what outlives it."""

from datetime import UTC, datetime, timedelta

import pytest
from spending import CALLS, CALLS_FROM, DAY, NOW, usd
from usage_ledger import Ledger

from service.query.buckets.time_buckets import BucketError, TimeBucket
from service.query.model.errors import OutOfRetentionError
from service.query.model.predicate import And, Compare, Predicate, TagMatch
from service.query.usage.report import CostRow, read_costs
from service.query.usage.report_request import CostRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STANDARD, SHORT = 1, 2
DAYS_FROM = datetime(2019, 11, 23, tzinfo=UTC)


def between(start: datetime | None, end: datetime | None = None) -> Predicate:
    bounds = [Compare("startedAt", "gte", start)] if start else []
    return And((*bounds, *([Compare("startedAt", "lt", end)] if end else [])))


def counts(rows: list[CostRow]) -> dict[object, int]:
    return {next(iter(row.key.values.values()), row.key.currency): int(row.figures.sums["calls"]) for row in rows}


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
