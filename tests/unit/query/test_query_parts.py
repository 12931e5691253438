"""The small pure parts of reading: slices, cursors, parameters, buckets of cost."""

import base64
import secrets
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from policies.policy.document import load_preset
from service.api.execution.limits import Bucket, Buckets
from service.query.filters.to_sql import Branch, Where, fingerprint_text, form_and_values, parse_fingerprint
from service.query.model.catalog import CALLS
from service.query.model.parameters import Params, storable
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch, TimeRange, canonical
from service.query.records.ordering import KEY, CursorError, Cursors, ordering_of
from service.query.records.page_sealing import LENGTH, PageSealing
from service.query.scan import statements
from service.query.scan.ranges import WITHOUT_ACCOUNT, Density, ScanRange, time_windows, values_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = load_preset("default")
MOMENTS = st.integers(-500 * 24, 500 * 24).map(lambda hours: NOW + timedelta(hours=hours))


@given(MOMENTS, MOMENTS, st.booleans(), st.booleans())
def test_slices_make_up_the_range(start: datetime, end: datetime, newest_first: bool, ordered: bool) -> None:
    """Adjoining, without gap or overlap, from the asked end to the other, and only a few."""
    spans = list(time_windows(start, end, NOW, newest_first=newest_first, density=None if ordered else Density()))
    if start >= end:
        assert spans == []
        return
    in_time = spans[::-1] if newest_first else spans
    assert (in_time[0].start, in_time[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in pairwise(in_time))
    assert all(span.start < span.end for span in spans)
    assert len(spans) <= 11


def test_the_first_slice_is_as_wide_as_the_last_page_was() -> None:
    """From where most rows lay, twice as far as the page spread; rows of the future widen nothing."""
    density = Density()
    density.observe_page(timedelta(minutes=5), timedelta(minutes=5, seconds=2))
    assert next(density.widths()) == timedelta(minutes=5, seconds=8)
    density.observe_page(timedelta(days=-300), timedelta(seconds=2))
    assert next(density.widths()) == timedelta(seconds=8)
    density.observe_unfilled(timedelta(days=1))
    assert next(density.widths()) == timedelta(hours=1)


def test_slices_grow_behind_a_time_without_rows() -> None:
    """After a night without a call the evening is not read whole: finely from where rows were, and never back."""
    density = Density()
    density.observe_page(timedelta(hours=8), timedelta(hours=8, seconds=30))
    widths = list(density.widths())
    assert widths[:4] == [*WITHOUT_ACCOUNT[:2], timedelta(hours=8, minutes=2), timedelta(hours=8, minutes=16)]
    assert widths == sorted(set(widths))
    assert widths[-4:] == list(WITHOUT_ACCOUNT[2:])
    assert len(widths) <= 11


def test_a_page_up_to_a_browsers_now_is_a_newest_one() -> None:
    """A frontend names the end of its time by its own clock; the end of another time says nothing of newest rows."""
    assert [Density.is_newest(NOW + timedelta(seconds=ago), NOW) for ago in (5, 0, -40, -90)] == [True] * 3 + [False]


CURSORS = Cursors(bytes(32))
POSITIONS = st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.text(max_size=12)), max_size=4).map(tuple)


@given(POSITIONS, st.binary(min_size=1, max_size=40))
def test_cursors_open_where_they_were_made(position: tuple[object, ...], binding: bytes) -> None:
    """The same position and binding give the same cursor, which opens to the same position and nowhere else."""
    cursor = CURSORS.seal(position, binding)  # type: ignore[arg-type]
    assert cursor == CURSORS.seal(position, binding)  # type: ignore[arg-type]
    assert CURSORS.open(cursor, binding) == position
    with pytest.raises(CursorError):
        CURSORS.open(cursor, binding + b"x")
    with pytest.raises(CursorError):
        Cursors(secrets.token_bytes(32)).open(cursor, binding)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_place_in_time_is_one_cursor(moment: datetime, id_: UUID) -> None:
    """Whether a row has its time and id as values or as the bytes that PostgreSQL writes, it has the same cursor, which
    opens to where it stands; and so does one that holds the place as JSON.
    """
    since_2000 = (moment - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    ordering = ordering_of(CALLS, ())
    rows = [
        {"started_at": moment, "id": str(id_)},
        {KEY: since_2000.to_bytes(8, "big", signed=True) + id_.bytes},
    ]
    cursors = CURSORS.seal_all([ordering.written(row) for row in rows], b"list")  # type: ignore[arg-type]
    assert cursors[0] == cursors[1]
    position = CURSORS.open(cursors[0], b"list")
    assert position == ordering.position(rows[0]) == ordering.position(rows[1])  # type: ignore[arg-type]
    assert ordering.time_of(position) == moment
    assert CURSORS.open(CURSORS.seal(position, b"list"), b"list") == position


@given(
    st.binary(min_size=64, max_size=64),
    st.lists(st.binary(min_size=LENGTH, max_size=LENGTH), min_size=1, max_size=9),
    st.binary(min_size=1, max_size=49),
)
def test_a_page_is_sealed_as_the_library_seals_each_position(key: bytes, texts: list[bytes], binding: bytes) -> None:
    """All positions at once give the bytes of AES-SIV by `cryptography`, whatever the key and the associated data."""
    alone = [base64.urlsafe_b64encode(AESSIV(key).encrypt(text, [binding])).decode().rstrip("=") for text in texts]
    assert PageSealing(key).seal_all(texts, binding) == alone


@given(st.text(max_size=100))
def test_what_was_not_sealed_does_not_open(text: str) -> None:
    """Any other text is refused with the caller's error, and no other."""
    with pytest.raises(CursorError):
        CURSORS.open(text, b"binding")


def test_bindings_tell_filters_apart() -> None:
    """Values that print alike are still told apart."""
    assert len({Cursors.binding(*parts) for parts in ((1,), ("1",), (True,), ((1,),), (1, None), ("1, None",))}) == 6


def test_parameters_are_bound_once_by_value_and_type() -> None:
    """Equal values of different types never share a placeholder."""
    params = Params()
    assert params.bind(1, "integer") == params.bind(1, "integer") == "$1::integer"
    assert params.bind(True, "boolean") == "$2::boolean"
    assert params.bind(1, "bigint") == "$3::bigint"
    assert params.bind(True, "integer") != params.bind(1, "integer")
    assert params.values[:3] == [1, True, 1]


def test_what_postgresql_cannot_hold_is_known() -> None:
    """NUL and lone surrogates are not text to a database; everything else is."""
    assert not storable("a\x00")
    assert not storable("\ud800")
    assert storable("😀\u202e\x01")


@given(st.integers(-(2**63), 2**63 - 1))
def test_fingerprints_come_back(number: int) -> None:
    """Sixteen digits, one form."""
    assert parse_fingerprint(fingerprint_text(number)) == number


async def test_a_bucket_gives_what_it_has() -> None:
    """Cost is taken once, given back to the brim at most; what is larger than the bucket waits for a full one."""
    bucket = Bucket(60)
    assert await bucket.take(50)
    assert not await bucket.take(20)
    assert bucket.seconds_until(20) > 0
    bucket.give_back(500)
    assert bucket.available == 60
    assert await bucket.take(1000)
    assert not await bucket.take(1)
    assert all([await Bucket(0).take(10**9) for _ in range(3)])


async def test_buckets_are_a_key_s_own_and_bounded() -> None:
    """One key's spending is not another's, and keys that come and go do not fill the memory."""
    buckets = Buckets(100)
    assert await buckets.of("a").take(100)
    assert await buckets.of("b").take(100)
    assert not await buckets.of("a").take(1)
    for number in range(10_100):
        buckets.of(str(number))
    assert len(buckets._buckets) <= 10_000


@pytest.mark.parametrize("accounts", [None, (7,), (7, 9), ()])
@pytest.mark.parametrize("start", [None, datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)])
def test_a_scan_range_s_values_are_those_of_its_statement(
    accounts: tuple[int, ...] | None, start: datetime | None
) -> None:
    """A text that was put together for one scan range serves every other: values stand where its own stood."""
    cutoff, end = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
    scan_range, span, params = ScanRange(1, accounts, cutoff, cutoff, POLICY), TimeRange(start, end), Params()

    statements.page(CALLS, [scan_range], span, lambda _: {"id": "id"}, [], "started_at DESC", 51, params)

    assert params.values == values_of(scan_range, span, 51)


COMPARED = st.one_of(
    *(
        st.builds(Compare, st.just(field), st.sampled_from(operators), values)
        for field, operators, values in (
            ("model", ("eq", "ne", "contains", "startsWith"), st.text(st.characters(codec="utf-8"), max_size=3)),
            ("inputTokens", ("eq", "lt", "gte"), st.integers(0, 3)),
            ("amount", ("eq", "lte"), st.decimals(0, 2, places=1)),
            ("recordedAt", ("ne", "gt"), MOMENTS),
            ("status", ("eq", "ne"), st.sampled_from(("FAILED", "SUCCEEDED"))),
        )
    )
)


@given(st.lists(COMPARED, max_size=4), st.lists(COMPARED, max_size=4))
def test_a_filter_s_form_says_its_text(one: list[Compare], other: list[Compare]) -> None:
    """Filters of one form are one text, whatever their values, and bind what is said to be bound; others are not."""
    found = []
    for parts in (one, other):
        params, branch = Params(apart=True), Branch(1, lambda: NOW, {}, {}, ())
        text = Where(CALLS.filters, params, branch).render(And(tuple(parts)))
        form_and_bound = form_and_values(CALLS.filters, And(tuple(parts)))
        if form_and_bound is None:  # a NUL is in no row: the text is another
            assert any("\0" in str(part.value) for part in parts)
            return
        assert params.values == form_and_bound[1]
        found.append((form_and_bound[0], text))
    assert (found[0][0] == found[1][0]) == (found[0][1] == found[1][1])


@pytest.mark.parametrize(
    "predicate",
    [
        Or((Compare("model", "eq", "a"), Compare("model", "eq", "b"))),
        Not(Compare("model", "eq", "a")),
        Compare("model", "in", ("a",)),
        Compare("model", "isNull", True),
        Compare("user", "in", ("a",)),
        Compare("id", "eq", "a"),
        Compare("account", "ne", "a"),
        Compare("model", "eq", "a\0"),
        TagMatch("team", ()),
    ],
)
def test_other_filters_have_no_form(predicate: Predicate) -> None:
    """What is bound for them, or their text, is known with their values only."""
    assert form_and_values(CALLS.filters, And((Compare("status", "eq", "FAILED"), predicate))) is None


def test_an_unlike_scan_range_has_another_text() -> None:
    """Texts are told apart by the number of accounts: none, one, or several."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    texts = {
        statements.page(
            CALLS,
            [ScanRange(1, accounts, moment, moment, POLICY)],
            TimeRange(moment, moment),
            lambda _: {"id": "id"},
            [],
            "id",
            1,
            Params(),
        )
        for accounts in (None, (1,), (1, 2), (3, 4, 5))
    }
    assert len(texts) == 3


VALUES = st.one_of(st.text(max_size=6), st.integers(), st.booleans(), MOMENTS, st.tuples(st.text(max_size=3)))
COMPARES = st.builds(Compare, st.sampled_from(["model", "user"]), st.sampled_from(["eq", "in"]), VALUES)
PREDICATES = st.recursive(
    COMPARES | st.builds(TagMatch, st.text(max_size=4), st.lists(COMPARES, max_size=2).map(tuple)),
    lambda parts: (
        st.builds(And, st.lists(parts, max_size=3).map(tuple))
        | st.builds(Or, st.lists(parts, max_size=3).map(tuple))
        | st.builds(Not, parts)
    ),
    max_leaves=5,
)


@given(PREDICATES, PREDICATES)
def test_another_predicate_has_another_text(one: Predicate, other: Predicate) -> None:
    """A cursor is tied to a filter by its text: two filters never share one."""
    assert (canonical(one) == canonical(other)) is (repr(one) == repr(other))
