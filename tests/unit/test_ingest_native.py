"""The native format, row by row."""

import gc
import json
from decimal import Decimal
from typing import Any

import pytest

from policies import Attributes, Report
from service.ingest.formats.native.reader import read_native, read_row
from service.ingest.formats.rejections import CURRENCY_FORM, ERROR_FORM, MOMENT_FORM
from service.ingest.formats.split import Rejection

ROW = {"id": "a", "started_at": "2026-11-22T10:00:00Z", "model": "gpt-4o", "status": "failed"}
ODD_TAG = "one of `tags` must be a short string, a number or a boolean, under a key of 1 to 200 characters"
NO_TIME_OF_ERROR = "`error.occurred_at` must be between `started_at` and 24 hours later"
NOT_FINITE = "is not a finite number: `NaN` and `Infinity` are no amounts"


def read(**facts: Any) -> Report | Rejection:
    return read_row(json.dumps(ROW | facts).encode())


def read_text(text: str) -> Report | Rejection:
    """The row with more fields, as JSON text."""
    return read_row((json.dumps(ROW)[:-1] + "," + text + "}").encode("utf-8", "surrogatepass"))


def report(outcome: Report | Rejection) -> Report:
    assert isinstance(outcome, Report), outcome
    return outcome


def reason(outcome: Report | Rejection) -> str:
    assert isinstance(outcome, Rejection), outcome
    return outcome.reason


@pytest.mark.parametrize("wrong", ["", 5, -1, "x" * 3000, [1], {"a": 1}, "a\0", "\ud800"])
def test_a_row_with_faults_leaves_nothing_to_the_garbage_collector(wrong: Any) -> None:
    """Whatever a field is, and where the row lacks it: an error that knows its own frame is a cycle, and half a million
    of them keep the loop while the collector looks at them.
    """
    facts = ROW | {"amount": "1", "currency": "USD", "tags": {}, "units": {}, "error": {"message": "m"}, "user": "u"}
    rows = [facts | {name: wrong} for name in facts] + [{name: facts[name] for name in facts if name != "id"}]
    texts = [json.dumps(row).encode() for row in rows]

    gc.collect()
    gc.disable()
    try:
        for text in texts:
            read_row(text)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["id", "started_at", "model", "status"])
def test_required_fields(name: str) -> None:
    """Without one of the four required fields a row is rejected by the field's name."""
    row = {key: value for key, value in ROW.items() if key != name}

    assert reason(read_row(json.dumps(row).encode())) == f"`{name}` is required"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"id": ""}, "`id` must be a string of 1 to 512 characters"),
        ({"id": 5}, "`id` must be a string of 1 to 512 characters"),
        ({"id": "x" * 513}, "`id` must be a string of 1 to 512 characters"),
        ({"model": None}, "`model` must be a string of 1 to 512 characters"),
        ({"status": "ok"}, '`status` must be `succeeded` or `failed`, not `"ok"`'),
        ({"status": "x" * 99}, '`status` must be `succeeded` or `failed`, not `"' + "x" * 39 + "...`"),
        ({"started_at": "today"}, "`started_at` must be a time such as `2026-11-22T10:00:00.123Z`, with its offset"),
        ({"started_at": 5}, "`started_at` must be a time such as `2026-11-22T10:00:00.123Z`, with its offset, not `5`"),
        ({"account": 5}, "`account` must be a string of up to 200 characters"),
        ({"corrects": 5}, "`corrects` must be a string of up to 1024 characters"),
        (
            {"corrects": "a", "amount": "x"},
            "`amount` is not a decimal number; a correction needs its amount",
        ),
        (
            {"corrects": "a", "amount": "1", "currency": 5},
            f"`currency` must be {CURRENCY_FORM}, not `5`; a correction needs its amount",
        ),
    ],
)
def test_rejections_name_the_field_and_say_what_it_wants(facts: dict[str, Any], said: str) -> None:
    """Every rejection says field and form, with the input cut short where it cannot be content."""
    assert reason(read(**facts)) == said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"streamed": 1}, "`streamed` must be true or false, not `1`"),
        ({"input_tokens": 2**31}, "`input_tokens` must be an integer from 0 to 2147483647, not `2147483648`"),
        ({"output_tokens": 1.5}, "`output_tokens` must be an integer from 0 to 2147483647, not `1.5`"),
        ({"latency_ms": -1}, "`latency_ms` must be milliseconds, a number from 0 to 2147483647, not `-1`"),
        ({"amount": "-1"}, "`amount` is negative: only a call with `corrects` may take money back"),
        (
            {"amount": "1.0000000000001"},
            "`amount` has more than 12 decimal places, which cannot be kept exactly: round it yourself",
        ),
        ({"amount": True}, "`amount` is not a decimal number"),
        ({"amount": {"value": 1}}, "`amount` is not a decimal number"),
        ({"currency": "us"}, '`currency` must be a code of 3 to 16 letters, such as `USD`, not `"us"`'),
        ({"amount_parts": [{"name": "input"}]}, "`amount_parts[0]` needs `name` and `amount`"),
        ({"tags": {"a": []}}, ODD_TAG),
        ({"tags": ["a"]}, "`tags` must be an object of at most 64 short strings, numbers or booleans"),
        (
            {"input_tokens": 5, "cache_read_tokens": 4, "cache_write_tokens": 2},
            "`input_tokens` is less than cache reads and writes together (`6`)",
        ),
        (
            {"output_tokens": 5, "reasoning_tokens": 6},
            "`output_tokens` is less than `reasoning_tokens`",
        ),
        ({"amount": float("nan")}, f"`amount` {NOT_FINITE}"),
        ({"amount": float("-inf")}, f"`amount` {NOT_FINITE}"),
        ({"amount": "Infinity"}, f"`amount` {NOT_FINITE}"),
        (
            {"input_tokens": float("inf")},
            "`input_tokens` must be an integer from 0 to 2147483647, not `1e999`",
        ),
        ({"amount_parts": [{"name": "input", "amount": float("nan")}]}, f"`amount_parts[0].amount` {NOT_FINITE}"),
        ({"user": ["x"]}, "`user` must be a string of up to 1024 characters"),
        ({"api_key": "a\0b"}, "`api_key` holds a NUL character"),
        ({"error": "text"}, f"`error` must be {ERROR_FORM}"),
        ({"error": {"type": "E", "message": 5}}, "`error.message` must be a string"),
        ({"error": {"occurred_at": "now"}}, f"`error.occurred_at` must be {MOMENT_FORM}"),
        ({"error": {"occurred_at": "2026-11-22T09:59:59.999Z"}}, NO_TIME_OF_ERROR),
        ({"error": {"occurred_at": "2026-11-23T10:00:00.001Z"}}, NO_TIME_OF_ERROR),
    ],
)
def test_what_a_call_can_do_without_is_left_out_and_said(facts: dict[str, Any], said: str) -> None:
    """A figure that cannot be read costs itself and not its call; the row's answer says which, and why."""
    got = report(read(**facts))

    assert got.warnings == (f"{said}: left out",)
    assert got.source_id == "a"
    name = next(iter(facts))
    assert getattr(got, name) in (None, {}) or name in ("error", "input_tokens", "output_tokens")
    assert got.dropped
    assert got.amount_unknown == (
        None if "amount" not in facts else "NEGATIVE" if facts["amount"] == "-1" else "UNREADABLE"
    )


@pytest.mark.parametrize("written", ["usd", "Usd", "USD"])
def test_a_currency_is_kept_in_upper_case(written: str) -> None:
    """However a gateway writes it, alone or beside what it should not send, the amount keeps its currency."""
    for more in ({}, {"unknown": 1}):
        got = report(read(amount="0.5", currency=written, **more))
        assert (got.amount, got.currency, got.warnings) == (Decimal("0.5"), "USD", ())


def test_a_row_with_many_faults_is_taken_without_them() -> None:
    """Each fault is left out by itself, and what is well stays."""
    wrong = {"amount": "-1", "input_tokens": -1, "latency_ms": "long", "tags": 5, "api_key": ["k"]}
    got = report(read(**wrong, output_tokens=7, provider="openai"))

    assert (got.amount, got.input_tokens, got.latency_ms, got.tags, got.api_key) == (None, None, None, {}, None)
    assert (got.output_tokens, got.provider, len(got.warnings)) == (7, "openai", 5)


def test_invalid_utf8_costs_the_field_that_it_is_in() -> None:
    """A name in Latin-1 is left out; in content it is nobody's affair."""
    row = json.dumps(ROW)[:-1].encode()

    assert report(read_row(row + b', "user": "Jos\xe9"}')).warnings == ("`user` is not valid UTF-8: left out",)
    assert report(read_row(row + b', "messages": "Jos\xe9"}')).warnings == ()
    assert reason(read_row(row.replace(b'"a"', b'"\xe9"') + b"}")) == "`id` is not valid UTF-8"


@pytest.mark.parametrize(
    "facts",
    [
        {"id": ["secret prompt"]},
        {"model": {"prompt": "secret prompt"}},
        {"status": {"prompt": "secret prompt"}},
        {"status": "secret\nprompt"},
        {"user": ["secret prompt"]},
        {"tags": {"secret prompt": ["secret prompt"]}},
        {"error": {"message": ["secret prompt"]}},
        {"error": "secret prompt"},
        {"error": {"type": {"secret prompt": 1}}},
        {"amount_parts": ["secret prompt"]},
        {"amount": "secret prompt"},
        {"started_at": "secret prompt"},
    ],
)
def test_rejections_quote_no_content(facts: dict[str, Any]) -> None:
    """Whatever stands where it should not is not said again."""
    outcome = read(**facts)

    assert "secret" not in (" ".join(outcome.warnings) if isinstance(outcome, Report) else outcome.reason)


def test_numbers_are_read_as_text() -> None:
    """An amount never passes through a binary float: digits that a float would lose decide the rounding."""
    assert str(report(read_text('"amount": 1.00000000000000499999999999999999')).amount) == "1"
    assert str(report(read_text('"amount": 100000000000000.5000000000001')).amount) == "100000000000001"


def test_negative_amount_corrects_another_call() -> None:
    """Money is taken back only by a call that says which one it corrects."""
    assert str(report(read(amount="-1.5", corrects="call_x")).amount) == "-1.5"


def test_empty_text_is_not_reported() -> None:
    """An optional field that came empty, or null, is None."""
    got = report(read(account="", api_key=None, provider="", user="", currency="", tags={"a": "", "b": None}))

    assert (got.account, got.api_key, got.provider, got.user, got.currency, got.tags) == (None,) * 5 + ({},)


def test_last_of_equal_keys_counts() -> None:
    """JSON with a key twice is read as most readers read it."""
    assert report(read_text('"input_tokens": 1, "input_tokens": 2')).input_tokens == 2


def test_content_is_dropped_and_counted() -> None:
    """Content fields are counted by name, others as unknown: a client's own names are not repeated."""
    got = report(read(messages=[{"content": "x" * 20}], tools=None, **{"my secret field": 1, "other": 2}))

    assert got.dropped == {"messages": 1, "tools": 1, "unknown": 2}
    assert "x" * 20 not in repr(got)


def test_content_strings_are_kept_for_failed_calls_only() -> None:
    """The strings in which echoes are looked for are gathered where there is error text to look into."""
    content = {"messages": [{"role": "user", "content": "a prompt of some length"}], "error": {"message": "m"}}

    assert report(read(**content)).content == ["a prompt of some length"]
    assert report(read(status="succeeded", **content)).content == []


def test_error_text_goes_when_its_content_cannot_be_read() -> None:
    """Where echoes cannot be looked for, there must be no text that may hold them."""
    unreadable = '"messages": [' + "1" * 5000 + '], "error": {"type": "E", "message": "m", "parameters": {"a": 1}}'

    got = report(read_text(unreadable))

    assert got.error is not None
    assert (got.error.type, got.error.message, got.error.parameters) == ("E", None, {})


def test_error_of_a_success_is_dropped() -> None:
    """A call that succeeded has no error."""
    got = report(read(status="succeeded", error={"type": "E"}))

    assert (got.error, got.dropped) == (None, {"error": 1})


@pytest.mark.parametrize("name", ["id", "model", "account", "corrects"])
def test_nul_characters_are_refused(name: str) -> None:
    """PostgreSQL stores no NUL: a row that holds one where its call is found by is rejected by name."""
    assert reason(read(**{name: "a\0b"})) == f"`{name}` holds a NUL character"


def test_halves_of_surrogate_pairs() -> None:
    """A cut-off emoji in text becomes U+FFFD; in what a call is found by, the row is rejected."""
    assert report(read_text(r'"error": {"message": "cut \ud83d"}')).error.message == "cut \ufffd"
    assert report(read_text(r'"api_key": "\\ud83d \ud83d\ude00 \udc00"')).api_key == "\\ud83d \U0001f600 \ufffd"
    assert reason(read_text(r'"id": "a\ud83d"')) == "`id` holds U+FFFD: characters of it were lost on the way"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"null", "the row is null"),
        (b"[]", "the row must be a JSON object"),
        (b'"x"', "the row must be a JSON object"),
        (b"{", "the row is not valid JSON"),
        (b"{'id': 1}", "the row is not valid JSON"),
        (b'{"id": NaN}', "`id` must be a string of 1 to 512 characters"),
        (b'{"messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "the row is nested too deeply"),
        (b'{"id": "\xff"}', "`id` is not valid UTF-8"),
    ],
)
def test_rows_that_are_no_objects(row: bytes, said: str) -> None:
    """What cannot be read as a JSON object in UTF-8 is rejected with that reason."""
    assert reason(read_row(row)) == said


def test_null_rows_keep_their_place() -> None:
    """An entry that is null is a rejection at its index."""
    kinds = [type(row) for row in read_native(json.dumps([ROW, None, ROW]).encode())]

    assert kinds == [Report, Rejection, Report]


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
