"""Laws of the adapters: whatever is sent, the answer is reports and rejections, or a BodyError, and nothing else."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bodies import read_litellm, read_native
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import Report
from service.ingest.errors import BodyError
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.scalars import MoneyError, moment_of_text, money_of_text, plain_money_of_json
from service.ingest.formats.split import Rejection
from service.storage.ids import from_milliseconds

ADAPTERS = st.sampled_from([read_native, read_litellm])
NATIVE = {
    "id": "req-8f2",
    "started_at": "2026-11-22T10:00:00.123Z",
    "account": "acme",
    "api_key": "prod-web",
    "user": "u-17",
    "model": "gpt-4o",
    "status": "failed",
    "streamed": True,
    "input_tokens": 1200,
    "cache_read_tokens": 800,
    "output_tokens": 5,
    "amount": "0.0031",
    "amount_parts": [{"name": "input", "amount": 0.1}],
    "currency": "USD",
    "latency_ms": 812,
    "tags": {"team": "search"},
    "messages": [{"role": "user", "content": "a canary of some length"}],
    "error": {"type": "RateLimitError", "code": "429", "message": "m", "parameters": {"temperature": 0.2}},
}
LITELLM = {
    "id": "chatcmpl-1",
    "litellm_call_id": "c1",
    "call_type": "acompletion",
    "stream": True,
    "response_cost": 0.00022500000000000002,
    "cost_breakdown": {"input_cost": 0.1, "total_cost": 0.2},
    "status": "failure",
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "startTime": 1795341600.25,
    "endTime": 1795341601.5,
    "completionStartTime": 1795341600.5,
    "model": "gpt-4o",
    "model_group": "",
    "metadata": {"user_api_key_hash": "h", "usage_object": {"prompt_tokens_details": {"cached_tokens": 5}}},
    "request_tags": ["a:b"],
    "messages": [{"role": "user", "content": "a canary of some length"}],
    "response": {"a": 1},
    "error_information": {"error_code": "None", "error_class": "E", "error_message": "m"},
    "model_parameters": {"temperature": 0.5},
    "hidden_params": {"usage_object": None},
}
SEEDS = [json.dumps(NATIVE).encode(), json.dumps(LITELLM).encode()]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "None", "\0", "\ud83d", "1e999", "-1", 2**31, 2**64, 10**400, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
BROKEN_TEXT = [b"\\ud800", b"\\u0000", b"\xff", b"\xed\xa0\x80"]
SPLICES = st.sampled_from([*BROKEN_TEXT, b"", b"null", b"1e999999999999999999", b"NaN", b"{", b"]", b'"', b"\n", b"-"])

CALM = settings(deadline=None)
Adapter = Callable[[bytes], Iterator[Report | Rejection]]


def read(adapter: Adapter, body: bytes) -> list[Report | Rejection] | None:
    """Everything that comes of a body; None when it cannot be read as a whole."""
    try:
        return list(adapter(body))
    except BodyError:
        return None


@CALM
@given(ADAPTERS, st.sampled_from(SEEDS), SPLICES, st.data())
def test_any_damage_to_a_body_is_answered(adapter: Adapter, seed: bytes, splice: bytes, data: st.DataObject) -> None:
    """Bytes put in, or put in place of others: reports and rejections, or a BodyError."""
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 8)))

    outcomes = read(adapter, seed[:start] + splice + seed[end:])

    assert outcomes is None or all(isinstance(outcome, Report | Rejection) for outcome in outcomes)


@CALM
@given(ADAPTERS, st.sampled_from([NATIVE, LITELLM]), JSON, st.data())
def test_any_value_in_any_field_is_answered(
    adapter: Adapter, row: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    """One row in, one report or one rejection out, whatever a field holds."""
    field = data.draw(st.sampled_from([*row, "more"]))

    outcomes = read(adapter, json.dumps([row | {field: value}]).encode())

    assert outcomes is not None
    [outcome] = outcomes
    assert isinstance(outcome, Report | Rejection)


@CALM
@given(st.lists(st.sampled_from(SEEDS) | SPLICES.filter(lambda splice: b"\n" not in splice), max_size=5))
def test_neighbours_do_not_matter(lines: list[bytes]) -> None:
    """A call of a longer body comes out as it does alone in a body behind a good one, and what is none is rejected:
    once at least, since broken lines that follow each other may be one broken row that was printed on several.
    A line of brackets and commas alone is no call: it is rejected or passed over by where it stands.
    """
    outcomes = read(read_native, b"\n".join([SEEDS[0], *lines]))

    behind = [read(read_native, SEEDS[0] + b"\n" + line) for line in lines if line.strip()]
    alone = [outcome for pair in behind for outcome in (pair or ())[1:]]
    assert outcomes is not None
    assert _reports(outcomes[1:]) == _reports(alone)
    if not any(line.strip() and not line.strip(b"[], \t\r") for line in lines):
        assert (len(outcomes[1:]) > len(_reports(outcomes[1:]))) is (len(alone) > len(_reports(alone)))


def _reports(outcomes: Sequence[Report | Rejection]) -> list[Report]:
    return [outcome for outcome in outcomes if isinstance(outcome, Report)]


@CALM
@given(SPLICES, st.data())
def test_a_row_without_odd_characters_is_read_as_any_other(splice: bytes, data: st.DataObject) -> None:
    """The short way of a body that holds neither NUL nor U+FFFD leads to what the long way of each row does."""
    start = data.draw(st.integers(0, len(SEEDS[0])))
    row = SEEDS[0][:start] + splice.replace(b"\n", b" ") + SEEDS[0][start:]

    outcomes = read(read_native, b"\n".join([SEEDS[0], row]))

    assert outcomes is not None
    if len(outcomes) == 2:
        assert outcomes[1] == read_row(row)
    else:  # what stands before or behind a whole row on its line is a row of its own
        assert _reports(outcomes) == [outcomes[0], read_row(SEEDS[0])]


@CALM
@given(st.from_regex(r"-?[0-9]{0,16}(\.[0-9]{0,13}0{0,3})?", fullmatch=True))
def test_money_in_a_json_string_is_read_at_once_or_not_at_all(text: str) -> None:
    """What is read straight from JSON has the value and the form that the text has; else it is left to the text."""
    at_once = plain_money_of_json(f'"{text}"'.encode())

    try:
        amount = money_of_text(text)
    except MoneyError:
        assert at_once is None
    else:
        assert at_once is None or at_once.as_tuple() == amount.as_tuple()
        assert at_once is not None or text.startswith("-") or len(text.partition(".")[0]) > 15  # zeros before it


@CALM
@given(st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,12})?", fullmatch=True))
def test_money_in_its_plain_form_is_read_as_in_any_other(text: str) -> None:
    """What is read in one step, for most gateways write it so, has the value and the form of what takes all steps."""
    assert money_of_text(text).as_tuple() == money_of_text(f"+{text}").as_tuple()


@CALM
@given(st.integers(0, 4_102_444_800_000).map(from_milliseconds), st.sampled_from(["Z", "+00:00"]))
def test_a_moment_in_its_plain_form_is_read_as_in_any_other(moment: datetime, offset: str) -> None:
    """What is read in one step equals what takes all steps: in UTC, to the millisecond."""
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")

    read_at_once = moment_of_text(text + offset)

    assert read_at_once == moment_of_text(text.lower() + offset) == moment
    assert read_at_once.tzinfo is UTC
