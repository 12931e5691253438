"""Which store answers which part of a time range, so that sums are exact and as few rows as possible are read.

Whole UTC days come from `usage_day`, whole quarter hours around them from `usage_quarter`, what is left from `call`.
Each store is read only for times that it still holds in full: a range that needs more is refused, never undercounted.
Pure but for the values that it is given.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from policies.policy.model import DataClass, Policy, Store
from policies.retention import cutoff, readable_cutoff
from service.query.buckets.bucket_edges import Edges
from service.query.buckets.time_buckets import BucketError, TimeBucket, edges
from service.query.model.errors import BadInputError, OutOfRetentionError
from service.query.model.predicate import TimeRange
from service.query.scan.ranges import FAR_FUTURE, FAR_PAST

SEGMENTS_MAX: Final = 24
"""Statements grow with the pieces; beyond this, quarter hours take the place of the days between them."""

AHEAD: Final = timedelta(days=2)
"""How far from today's end calls with a wrong clock can lie: later ones are not taken in."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = timedelta(microseconds=1)
_NOTHING: Final = timedelta(0)
_HALF_HOUR: Final = timedelta(minutes=30)
_GRAIN: Final = {
    Store.CALL: timedelta(microseconds=1),
    Store.USAGE_QUARTER: timedelta(minutes=15),
    Store.USAGE_DAY: timedelta(days=1),
}


class TierPeriod(NamedTuple):
    """Some account is of `tier` from `start` (the first: from ever) until `end`, not included (None: for good)."""

    tier: int
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class UsageSegment:
    """A part of the range, half-open, and the store that answers for it."""

    store: Store
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read: adjoining pieces from `start` to `end`, and the edges of the buckets over them (None: no buckets).

    `end` may lie in the future. No pieces: the range is empty.
    """

    segments: tuple[UsageSegment, ...]
    start: datetime
    end: datetime
    edges: Edges | None = None

    def stores(self) -> frozenset[Store]:
        """The stores that the plan reads."""
        return frozenset(segment.store for segment in self.segments)


class RetentionWindows:
    """The times for which the stores still hold everything of the filtered accounts, by tier, at one moment."""

    def __init__(
        self,
        policy: Policy,
        tier_periods: Iterable[TierPeriod],
        now: datetime,
        *,
        users: bool = False,
        files_until: datetime = EPOCH,
    ) -> None:
        """`users`: the filter looks at pseudonyms, which end before their calls do; `files_until`: some earlier calls
        lie in files, of which only a few are read for sums.
        """
        self.files_until = files_until
        self.now = now
        self._policy = policy
        self._users = users
        self._tier_periods = tuple(tier_periods) or (TierPeriod(policy.tiers[policy.default_tier].number, EPOCH, None),)

    def visible_from(self, tier: int, store: Store) -> datetime:
        """Rows of this tier are served from here on: a row that is partly past its window is not."""
        moment = cutoff(self._policy, tier, store, self.now)
        if self._users and store is Store.CALL:
            moment = max(moment, readable_cutoff(self._policy, tier, DataClass.PERSONAL, store, self.now))
        return ceil_to(moment, _GRAIN[store])

    def complete_from(self, store: Store) -> datetime:
        """Nothing that was ever recorded from here on is gone."""
        return max((end for _, end in self._gaps(store)), default=EPOCH)

    def calls_from(self) -> datetime:
        """As `complete_from` for calls, without regard to pseudonyms."""
        return RetentionWindows(self._policy, self._tier_periods, self.now).complete_from(Store.CALL)

    def readable_from(self) -> datetime | None:
        """From which moment on users can be told apart; None when no user is asked for, or the calls end no earlier."""
        readable = self.complete_from(Store.CALL)
        return readable if self._users and readable > self.calls_from() else None

    def holds(self, segment: UsageSegment) -> bool:
        """Whether all of the segment's time is still in its store."""
        return not any(start < segment.end and segment.start < end for start, end in self._gaps(segment.store))

    def calls_of(self, segments: Iterable[UsageSegment]) -> list[tuple[int, datetime, datetime]]:
        """Tier, start and end of what single calls answer for."""
        of_calls = [segment for segment in segments if segment.store is Store.CALL]
        return [(tier, start, segment.end) for segment in of_calls for tier, start in self.tiers(segment)]

    def tiers(self, segment: UsageSegment) -> Iterator[tuple[int, datetime]]:
        """The tiers that rows of this segment can have, each with the first moment that is served of it."""
        for tier in sorted({period.tier for period in self._tier_periods if _overlap(period, segment)}):
            start = max(segment.start, self.visible_from(tier, segment.store))
            if start < segment.end:
                yield tier, start

    def _gaps(self, store: Store) -> Iterator[tuple[datetime, datetime]]:
        for period in self._tier_periods:
            start = FAR_PAST if period.start <= EPOCH else period.start
            end = min(period.end or FAR_FUTURE, self.visible_from(period.tier, store))
            if start < end:
                yield start, end


def _overlap(period: TierPeriod, segment: UsageSegment) -> bool:
    # A day's row may hold calls from before a move of tier, which takes effect at a UTC midnight.
    return period.start < segment.end and (period.end is None or segment.start < period.end)


def plan_usage(
    time_range: TimeRange,
    windows: RetentionWindows,
    *,
    rollups: bool,
    bucket: TimeBucket | None = None,
    zone: str = "UTC",
    calls_at_most: timedelta | None = None,
    tagged_since: datetime | None = None,
) -> Plan:
    """How to answer for `time_range`; an open start means from the oldest moment since which nothing is gone.

    `rollups`: the sums can be read from the rollups; where they cannot, an open start reaches back `calls_at_most`.
    `tagged_since`: sums by tag answer, which are of half hours, and begin then; single calls do before.
    Raises OutOfRetentionError when what is asked for is partly gone, and BucketError for too many buckets.
    """
    start, end = time_range.start or FAR_PAST, time_range.end or FAR_FUTURE
    end = min(end, floor_to(windows.now, _GRAIN[Store.USAGE_DAY]) + AHEAD + _GRAIN[Store.USAGE_DAY])
    if start > FAR_PAST and start >= end:
        return Plan((), start, start, Edges() if bucket else None)
    tries = [store for store in (Store.USAGE_DAY, Store.USAGE_QUARTER, Store.CALL) if rollups or store is Store.CALL]
    if tagged_since is not None and start <= FAR_PAST and windows.complete_from(Store.CALL) < tagged_since:
        tries = [Store.CALL]
    if start > FAR_PAST and not any(windows.holds(UsageSegment(store, start, start + _MOMENT)) for store in tries):
        raise OutOfRetentionError(_refusal(windows, rollups=rollups))
    refusal: BadInputError | OutOfRetentionError | None = None
    for store in tries:
        begin = start if start > FAR_PAST else windows.complete_from(store)
        if tagged_since is not None and start <= FAR_PAST and store is not Store.CALL:
            begin = max(begin, tagged_since)
        if start <= FAR_PAST and store is Store.CALL:
            begin = max(begin, min(windows.files_until, end))
        if start <= FAR_PAST and store is Store.CALL and calls_at_most is not None:
            begin = max(begin, min(end, windows.now) - calls_at_most)
        try:
            summed = store is not Store.CALL or (tagged_since is not None and start <= FAR_PAST)
            return _plan(begin, end, windows, rollups=summed, bucket=bucket, zone=zone, tagged_since=tagged_since)
        except (OutOfRetentionError, BucketError) as error:
            refusal = refusal or error if start > FAR_PAST else error
    assert refusal is not None, "there is always something to try"
    try:
        raise refusal
    finally:
        del refusal  # a cycle: it knows this frame


def _plan(
    start: datetime,
    end: datetime,
    windows: RetentionWindows,
    *,
    rollups: bool,
    bucket: TimeBucket | None,
    zone: str,
    tagged_since: datetime | None,
) -> Plan:
    if start >= end:
        raise OutOfRetentionError(_refusal(windows, rollups=rollups, tagged_since=tagged_since))
    cuts = edges(bucket, zone, start, end) if bucket else None
    if not rollups or (tagged_since is not None and not _are_half_hours(cuts or Edges())):
        segments = (UsageSegment(Store.CALL, start, end),)
    elif tagged_since is not None:
        segments = _tagged_segments(start, end, cuts, tagged_since)
    else:
        segments = _segments(start, end, cuts, _GRAIN[Store.USAGE_QUARTER])
    if not all(windows.holds(segment) for segment in segments):
        raise OutOfRetentionError(_refusal(windows, rollups=rollups, tagged_since=tagged_since))
    return Plan(segments, start, end, cuts)


def _tagged_segments(start: datetime, end: datetime, cuts: Edges | None, since: datetime) -> tuple[UsageSegment, ...]:
    begin = min(max(start, since), end)
    before = (UsageSegment(Store.CALL, start, begin),)
    return tuple(_merged((*before, *_segments(begin, end, cuts, _HALF_HOUR))))


def _are_half_hours(cuts: Edges) -> bool:
    """Whether sums of half hours lie in one bucket each. The days of three time zones begin at other quarter hours."""
    return all(
        run.first == floor_to(run.first, _HALF_HOUR) and (run.count == 1 or run.step % _HALF_HOUR == _NOTHING)
        for run in cuts.runs
    )


def _refusal(windows: RetentionWindows, *, rollups: bool, tagged_since: datetime | None = None) -> str:
    calls = windows.complete_from(Store.CALL)
    if rollups and tagged_since is not None:
        begin = max(tagged_since, windows.complete_from(Store.USAGE_DAY))
        return (
            f"sums by this tag are there from `{_text(begin)}` on, by UTC days, and single calls from `{_text(calls)}` "
            "on: begin `startedAt` there"
        )
    if not rollups and (users := windows.readable_from()) is not None:
        return (
            f"pseudonyms can be read from `{_text(users)}` on, and this filter asks for users: begin `startedAt` "
            f"there; calls themselves are there from `{_text(windows.calls_from())}` on, without a filter by `user`"
        )
    if not rollups:
        return (
            f"single calls are there from `{_text(calls)}` on, and this filter or grouping needs them: "
            "begin `startedAt` there"
        )
    fine, days = windows.complete_from(Store.USAGE_QUARTER), windows.complete_from(Store.USAGE_DAY)
    return (
        f"whole UTC days are there from `{_text(days)}` on, and anything finer from `{_text(fine)}` on: "
        "begin `startedAt` there; before that, begin and end at UTC midnights and cut buckets by UTC days"
    )


def refuse_unreadable(
    time_range: TimeRange, tier_periods: Iterable[TierPeriod], policy: Policy, store: Store, now: datetime
) -> None:
    """Raise OutOfRetentionError when a list of rows of some users would leave out rows that are there, unreadable.

    A list that says from when it is asked for is held to it, as sums are; one that does not begins where users can be
    told apart.
    """
    start, end = time_range.start or FAR_PAST, time_range.end or FAR_FUTURE
    if start <= FAR_PAST:
        return
    ended: list[datetime] = []
    for period in tier_periods:
        readable = readable_cutoff(policy, period.tier, DataClass.PERSONAL, Store.CALL, now)
        first = max(start, period.start, cutoff(policy, period.tier, store, now))
        if first < min(end, period.end or FAR_FUTURE, readable):
            ended.append(min(readable, period.end or FAR_FUTURE))
    if ended:
        raise OutOfRetentionError(
            f"pseudonyms can be read from `{_text(max(ended))}` on, and this filter asks for users: begin there"
        )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _segments(start: datetime, end: datetime, cuts: Edges | None, fine: timedelta) -> tuple[UsageSegment, ...]:
    segments = tuple(_merged(_cut(start, end, cuts, fine)))
    return segments if len(segments) <= SEGMENTS_MAX else tuple(_merged(_coarser(segments)))


def _cut(start: datetime, end: datetime, cuts: Edges | None, fine: timedelta) -> Iterator[UsageSegment]:
    """The pieces of a range that is cut at `cuts`. Buckets of one run lie alike in the grains of the stores."""
    for run in cuts.inside(start, end) if cuts else ():
        yield from _split(start, run.first, fine)
        alike = tuple(_merged(_split(run.first, run.first + run.step, fine)))
        if len(alike) == 1 and run.step % _GRAIN[alike[0].store] == _NOTHING:
            yield UsageSegment(alike[0].store, run.first, run.last)
        else:
            for first, last in pairwise(run):
                yield from _split(first, last, fine)
        start = run.last
    yield from _split(start, end, fine)


def segments_of(start: datetime, end: datetime) -> tuple[UsageSegment, ...]:
    """What answers for one range that nothing cuts; no pieces when it is empty."""
    return tuple(_merged(_split(start, end, _GRAIN[Store.USAGE_QUARTER])))


def _split(start: datetime, end: datetime, fine: timedelta) -> Iterator[UsageSegment]:
    """One range with nothing to cut inside it: calls, quarter hours (or what is `fine`), days, quarter hours, calls."""
    quarter, day = Store.USAGE_QUARTER, Store.USAGE_DAY
    first, last = ceil_to(start, fine), floor_to(end, fine)
    if first >= last:
        yield UsageSegment(Store.CALL, start, end)
        return
    first_day, last_day = ceil_to(first, _GRAIN[day]), floor_to(last, _GRAIN[day])
    if first_day >= last_day:
        first_day = last_day = last
    yield UsageSegment(Store.CALL, start, first)
    yield UsageSegment(quarter, first, first_day)
    yield UsageSegment(day, first_day, last_day)
    yield UsageSegment(quarter, last_day, last)
    yield UsageSegment(Store.CALL, last, end)


def _merged(segments: Iterable[UsageSegment]) -> Iterator[UsageSegment]:
    """Without the empty ones, neighbours of one store made one."""
    held: UsageSegment | None = None
    for segment in segments:
        if segment.start >= segment.end:
            continue
        if held is not None and held.store is segment.store:
            held = UsageSegment(held.store, held.start, segment.end)
        else:
            if held is not None:
                yield held
            held = segment
    if held is not None:
        yield held


def _coarser(segments: Sequence[UsageSegment]) -> Iterator[UsageSegment]:
    """Quarter hours for the days that lie between quarter hours: more rows, and one segment."""
    positions = [position for position, segment in enumerate(segments) if segment.store is Store.USAGE_QUARTER]
    for position, segment in enumerate(segments):
        between = segment.store is Store.USAGE_DAY and positions and positions[0] < position < positions[-1]
        yield UsageSegment(Store.USAGE_QUARTER, segment.start, segment.end) if between else segment


def floor_to(moment: datetime, grain: timedelta) -> datetime:
    """The last multiple of `grain` since 1970, UTC, that is not after `moment`."""
    return moment - (moment - EPOCH) % grain


def ceil_to(moment: datetime, grain: timedelta) -> datetime:
    """`moment` rounded up to a multiple of `grain` since 1970-01-01 UTC."""
    return moment + (EPOCH - moment) % grain
