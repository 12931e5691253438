"""The attributes of a native row: tags, units, parts of an amount."""

import json
from decimal import Decimal
from typing import Any

import pytest
from bodies import read_native
from native_rows import ODD_TAG, ROW, read, report

from policies import Attributes, Report
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.split import Rejection


def test_part_of_an_amount_goes_by_name_or_meter() -> None:
    """`name` is the documented field; `meter`, GraphQL's word, means the same."""
    parts = [{"name": "input", "amount": "1"}, {"meter": "output", "amount": 2, "quantity": 3}]
    got = report(read(amount="3.0", amount_parts=parts))

    assert got.amount_parts is not None
    assert [(part.meter, str(part.amount)) for part in got.amount_parts] == [("input", "1"), ("output", "2")]


@pytest.mark.parametrize("amount", [None, "0", "3.000000000001", "-3"])
def test_parts_that_do_not_sum_to_the_amount_are_left_out(amount: str | None) -> None:
    """The call is taken, its parts are not, and the answer counts them."""
    got = report(read(amount=amount, corrects="b", amount_parts=[{"name": "input", "amount": "3"}]))

    assert (got.amount_parts, got.dropped) == (None, {"amount_parts": 1})
    assert got.amount == (None if amount is None else Decimal(amount))


def test_attributes_are_read() -> None:
    """What few gateways report comes as attributes; empty text is none, and without any there are none."""
    given = {
        "trace_id": "t", "session_id": "s", "attempt": 2, "cache_hit": False, "deployment": "d", "team": "a",
        "team_id": "ti", "organization": "o", "organization_id": "oi", "normalized_error": "n",
        "provider_request_id": "p",
    }  # fmt: skip

    assert report(read(**given)).attributes == Attributes(**given)  # pyright: ignore[reportArgumentType]
    assert report(read(**dict.fromkeys([*given, "units"]))).attributes is None
    assert report(read(trace_id="", units={})).attributes is None


def test_units_are_exact_and_one_that_cannot_be_read_is_left_out() -> None:
    """Numbers and decimal strings; what is none, or below zero, is counted and costs nothing else."""
    units = {"images": 2, "seconds": "12.50", "pages": -1, "searches": "many", "characters": None, "hours": 0.1}
    got = report(read(units=units))

    assert got.attributes is not None
    assert got.attributes.units == {"images": 2, "seconds": Decimal("12.5"), "hours": Decimal("0.1")}
    assert got.dropped == {"units": 3}


@pytest.mark.parametrize("attempt", [0, -1, 32768, "1", 1.5])
def test_an_attempt_is_counted_from_one(attempt: Any) -> None:
    """What is no count of attempts is left out, with the form that it wants."""
    assert report(read(attempt=attempt)).warnings[0].startswith("`attempt` must be an integer from 1 to 32767")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"b": []}, ODD_TAG),
        ({"b": {"c": 1}, "": "x"}, ODD_TAG),
        ({"b": "x" * 1025}, ODD_TAG),
        ({"b" * 201: "x"}, ODD_TAG),
        ({"b": "x\0"}, "one of `tags` holds a NUL character"),
        ({"b\0": "x"}, "one of `tags` holds a NUL character"),
    ],
)
def test_an_odd_tag_costs_no_other(odd: dict[str, Any], said: str) -> None:
    """What cannot be read of the tags is left out alone, and said."""
    got = report(read(tags={"team": "search"} | odd, amount="1"))

    assert (got.tags, got.amount) == ({"team": "search"}, Decimal(1))
    assert (got.warnings, got.dropped) == ((f"{said}: left out",), {"tags": 1})


def test_the_first_tags_of_too_many_are_kept() -> None:
    """Beyond the limit tags are left out, and the call keeps those before."""
    got = report(read(tags={f"k{number}": "x" for number in range(70)}))

    assert list(got.tags) == [f"k{number}" for number in range(64)]
    assert got.warnings == ("`tags` has more than 64: the others: left out",)


def test_the_time_of_an_error_that_cannot_be_is_left_out_alone() -> None:
    """The rest of the error, and the call, are kept."""
    got = report(read(error={"type": "E", "message": "m", "occurred_at": "2026-11-20T10:00:00Z"}))

    assert got.error is not None
    assert (got.error.type, got.error.message, got.error.occurred_at) == ("E", "m", None)
    assert got.dropped == {"error.occurred_at": 1}


def test_tags_become_text() -> None:
    """Numbers and booleans are written as JSON writes them."""
    assert report(read(tags={"a": 1, "b": True, "c": 1.5, "d": "x"})).tags == {
        "a": "1",
        "b": "true",
        "c": "1.5",
        "d": "x",
    }


@pytest.mark.parametrize("odd", ["\\ufffd", "\\uFFFD", "\\uFfFd", "\ufffd", "\\u0000", "\\ud800"])
def test_one_odd_row_of_many_is_found(odd: str) -> None:
    """A row that lost characters, or holds a NUL, is rejected among others that are as they should be."""
    good = json.dumps(ROW)
    body = "\n".join([good, good.replace(json.dumps(ROW["id"]), f'"r{odd}"'), good]).encode()

    kinds = [type(row) for row in read_native(body)]

    assert kinds == [Report, Rejection, Report]


@pytest.mark.parametrize(
    ("quantity", "unit_price", "kept"), [("10", "5", False), ("10", "0.1", True), ("3", "0.3333", True)]
)
def test_a_part_is_its_quantity_times_its_unit_price(quantity: str, unit_price: str, kept: bool) -> None:
    """A part that says otherwise is left out with the others, and why; what a gateway has rounded stays."""
    part = {"name": "input", "quantity": quantity, "unit_price": unit_price, "amount": "1"}
    report = read_row(json.dumps(ROW | {"amount": "1", "amount_parts": [part]}).encode())

    assert isinstance(report, Report)
    assert (report.amount_parts is not None) is kept
    assert bool(report.warnings) is not kept
