"""Exact money: decimal text in, decimal with twelve places out."""

from decimal import Decimal

import pytest

from service.ingest.formats.scalars import MoneyError, money_of_number, money_of_text, plain_money_of_json

TOO_FINE = "has more than 12 decimal places, which cannot be kept exactly: round it yourself"
NOT_FINITE = "is not a finite number: `NaN` and `Infinity` are no amounts"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.0031", "0.0031"),
        ("0.000000000001", "0.000000000001"),
        ("999999999999999.999999999999", "999999999999999.999999999999"),
        ("123456789012345.123456789012", "123456789012345.123456789012"),
        ("0.1000000000000000", "0.1"),
        ("1e3", "1000"),
        ("-1.5", "-1.5"),
        ("-0", "0"),
        ("0e5000", "0"),
        ("+2", "2"),
        ("100", "100"),
        ("0.100", "0.1"),
        ("000.000", "0"),
        ("007.10", "7.1"),
    ],
)
def test_string_is_taken_as_it_is(text: str, amount: str) -> None:
    """A string keeps every digit; zeros at its end say nothing."""
    assert f"{money_of_text(text):f}" == amount


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0000000000001", TOO_FINE),
        ("123456789012345.12345678901200000000000000000000000000000001", TOO_FINE),
        ("1e-9999", TOO_FINE),
        ("1e15", "must be below 10^15"),
        ("-1000000000000000", "must be below 10^15"),
        ("9" * 1200, "must be below 10^15"),
        ("9" * 2000, "is not a decimal number"),
        *((text, NOT_FINITE) for text in ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999"]),
        *((text, "is not a decimal number") for text in ["", " 1", "1 ", "1_0", "\u0661", "0x1", "1,5", ".5"]),
    ],
)
def test_string_that_is_no_amount_is_refused(text: str, reason: str) -> None:
    """What Decimal itself would take, and we could not store exactly, is refused with a reason."""
    with pytest.raises(MoneyError) as refused:
        money_of_text(text)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    "raw", [b"0.1", b"null", b'""', b'"1."', b'".5"', b'"1e3"', b'"-1"', b'"\\u0031"', b'"0.%b"' % (b"0" * 1300)]
)
def test_only_a_plain_string_is_read_straight_from_json(raw: bytes) -> None:
    """Numbers, and strings that want a closer look, are left to those who look."""
    assert plain_money_of_json(raw) is None


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.00022500000000000002", "0.000225"),
        ("5.549999999999999e-06", "0.00000555"),
        ("0.1", "0.1"),
        ("0.1000000000000000055511151231257827021181583404541015625", "0.1"),
        ("0.1234567890125", "0.123456789012"),
        ("0.1234567890135", "0.123456789014"),
        ("1.00000000000000050000000000000000001", "1"),
        ("123456789012.3456", "123456789012.346"),
        ("1e-400", "0"),
        ("12E2", "1200"),
    ],
)
def test_number_loses_the_noise_of_floats_and_nothing_else(text: str, amount: str) -> None:
    """A JSON number is rounded half even to 15 significant digits, then to twelve places."""
    assert money_of_number(text) == Decimal(amount)


def test_number_that_rounds_up_to_the_bound_is_refused() -> None:
    """The bound holds after rounding."""
    with pytest.raises(MoneyError):
        money_of_number("999999999999999.9")
