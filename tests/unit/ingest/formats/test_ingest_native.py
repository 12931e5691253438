"""The native format, row by row."""

import gc
import json
from decimal import Decimal
from typing import Any

import pytest
from bodies import read_native
from native_rows import ODD_TAG, ROW, read, report

from policies import Report
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.rejections import CURRENCY_FORM, ERROR_FORM, MOMENT_FORM
from service.ingest.formats.split import Rejection

NO_TIME_OF_ERROR = "`error.occurred_at` must be between `started_at` and 24 hours later"
NOT_FINITE = "is not a finite number: `NaN` and `Infinity` are no amounts"


def read_text(text: str) -> Report | Rejection:
    """The row with more fields, as JSON text."""
    return read_row((json.dumps(ROW)[:-1] + "," + text + "}").encode("utf-8", "surrogatepass"))


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
        (b'{"messages": ' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}", "the row is nested too deeply"),
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
