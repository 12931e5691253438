"""Scalars take one strict form and give one."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.types.scalars import (
    base64_text,
    counted,
    decimal_text,
    moment_text,
    parse_base64,
    parse_big_int,
    parse_decimal,
    parse_moment,
    parse_zone,
)
from service.query.rendering.functions import UnsupportedValueError, count


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22t10:00:00.5z", datetime(2026, 11, 22, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22T10:00:00.123456000+05:30", datetime(2026, 11, 22, 4, 30, 0, 123_456, tzinfo=UTC)),
        ("0001-01-02T00:00:00+00:00", datetime(1, 1, 2, tzinfo=UTC)),
    ],
)
def test_moments_are_rfc_3339(text: str, moment: datetime) -> None:
    """Any offset is taken, and the moment is kept in UTC."""
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00Z",
        "2026-11-22T24:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00.1234567Z",
        "2026-11-22T10:00:00.Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-11-22T10:00:00Z",
        "2026-11-22T10:00:00Z\n",
        "",
        20261122,
        None,
        True,
    ],
)
def test_anything_else_is_no_moment(text: object) -> None:
    """Dates, local times, leap seconds, finer than microseconds, other digits: refused."""
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text)


NAIVE = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 30))  # noqa: DTZ001 - the test adds it


@given(NAIVE, st.integers(-1439, 1439))
def test_a_moment_comes_back_in_utc(naive: datetime, minutes: int) -> None:
    """What is written with any offset is answered as the same moment, in UTC, with milliseconds."""
    moment = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    text = moment_text(moment)
    assert text.endswith("Z")
    if moment.astimezone(UTC).year >= 1000:
        assert parse_moment(text) == moment


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20), max_value=10**20))
def test_decimals_come_back_exactly(value: Decimal) -> None:
    """Twelve places travel without loss and without an exponent."""
    text = decimal_text(value)
    assert "E" not in text
    assert parse_decimal(text) == value


@pytest.mark.parametrize(
    "wrong", [0.1, True, "1e3", "NaN", "Infinity", "1.0000000000001", "", "1,5", " 1", "٣", None, []]
)
def test_no_other_form_is_a_decimal(wrong: object) -> None:
    """Floats, exponents, more than twelve places and other digits are refused."""
    with pytest.raises(ValueError, match=r".+"):
        parse_decimal(wrong)


def test_big_integers_fit_64_bits() -> None:
    """Strings and whole numbers up to 64 bits."""
    assert parse_big_int("9223372036854775807") == 2**63 - 1
    for wrong in ("9223372036854775808", "1.0", "", 1.0, True, "0x1", "-"):
        with pytest.raises(ValueError, match=r".+"):
            parse_big_int(wrong)


def test_zones_are_iana_names() -> None:
    """Only names of the database that bucket edges are computed from."""
    assert parse_zone("Asia/Kolkata") == "Asia/Kolkata"
    for wrong in ("+05:30", "Mars/Olympus", "../../etc/passwd", "", "europe/berlin\x00", 1):
        with pytest.raises(ValueError, match=r".+"):
            parse_zone(wrong)


def test_base64_has_one_text() -> None:
    """Bytes come back from their text, and no other text is taken for them: url-safe, unpadded, with other bits."""
    for data in (b"", b"\0", b"\xfb\xff\xfe", bytes(range(256))):
        assert parse_base64(base64_text(data)) == data
    for wrong in ("-_8=", "AA", "AB==", "AA==\n", " AA==", "AA===", "A", None, 5, b"AA==", ["AA=="]):
        with pytest.raises(ValueError, match="canonical"):
            parse_base64(wrong)


def test_a_count_is_a_number_of_53_bits() -> None:
    """On both paths a count that JSON numbers hold exactly is answered, and none beyond or below."""
    for answered in (counted, count):
        assert answered(2**31) == 2**31
        assert answered(2**53 - 1) == 2**53 - 1
    for wrong in (2**53, -1):
        with pytest.raises(ValueError, match="a Count"):
            counted(wrong)
        with pytest.raises(UnsupportedValueError):
            count(wrong)
