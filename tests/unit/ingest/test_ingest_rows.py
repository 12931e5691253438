"""A body's rows: found whatever is wrong with one of them, and never in a user's own text."""

import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from service.ingest.errors import BodyError
from service.ingest.formats.row_repair import repair_numbers, repair_surrogates
from service.ingest.formats.split import is_json, split_rows, splitting

SIZE = 2**18


def row(name: str) -> bytes:
    """A row as gateways send them, with text that looks like the end of one."""
    content = [{"role": "user", "content": 'a "quoted" }, {"id": "x"'}, {"parts": [1, {"n": []}]}]
    return json.dumps({"id": name, "messages": content, "tags": {}}).encode()


def rows(body: bytes) -> list[bytes]:
    return [bytes(found) for found in split_rows(body)]


BROKEN = [
    b'{"id": oops}',
    b'{"id": "cut off',
    b'{"id": "cut off"',
    b'{"id": "cut off", "messages": [{"role": "user"}',
    b'{"id": "unquoted, "messages": [{"role": "user"}, {"id": "nested"}]}',
    b'{"id": "x", "messages": [{"role": "user"}, {"id": "nested"}}',
    b'{"messages": [{"role": "user"}, {"id": "nested"}], "cut',
    b'{"id": NaN}',
    b'{"a": [1}',
    b'{"a": 1]}',
    b'{"a": "b" "c"}',
    b"{",
    b"garbage",
    b'{"a": "\xff\xfe"}',
    b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_row_of_an_array_costs_itself(broken: bytes) -> None:
    """Its neighbours come out whole, and it comes out as one row, for its own rejection."""
    good = [row("a"), row("b"), row("c"), row("d")]

    assert rows(b"[" + b", ".join([*good[:2], broken, *good[2:]]) + b"]") == [*good[:2], broken, *good[2:]]


@pytest.mark.parametrize("broken", [line for line in BROKEN if b"\n" not in line], ids=range(len(BROKEN)))
def test_a_broken_line_costs_itself(broken: bytes) -> None:
    """NDJSON is cut at its lines, also when the first one is the broken one."""
    assert rows(b"\n".join([broken, row("a"), b"", row("b")])) == [broken, row("a"), row("b")]


def test_two_broken_rows_cost_themselves() -> None:
    """After one broken row another is found, and what stands between them."""
    parts = [row("a"), BROKEN[4], row("b"), BROKEN[1], row("c")]

    assert rows(b"[" + b",".join(parts) + b"]") == parts


def test_nothing_inside_of_a_broken_row_becomes_one() -> None:
    """An object that a user may have written into a row is no row, although the row around it is broken."""
    nested = b'[{"id":"evil"},{"id":"evil"}]'
    for broken in (b'{"id": "x, "m": ' + nested + b"}", b'{"m": ' + nested + b', "x": oops"}', b'{"m": ' + nested):
        found = rows(b"[" + b",".join([row("a"), broken, row("b")]) + b"]")
        assert not [one for one in found if one.startswith(b'{"id":"evil"')], broken
        assert rows(b"[" + row("a") + b"," + broken)[0] == row("a")


@pytest.mark.parametrize("size", [1, 100, 3000])
def test_arrays_of_any_size_are_split_alike(size: int) -> None:
    """Large arrays are read in windows, and broken or not the rows are the same."""
    names = [f"r{n}" for n in range(size)]
    good = [row(name) for name in names]
    for separator in (b",", b", ", b",\n  "):
        assert rows(b"[" + separator.join(good) + b"]\n") == good
    broken = [*good[: size // 2], b'{"id": NaN}', *good[size // 2 :]]
    assert rows(b"[" + b",".join(broken) + b"]") == broken


@pytest.mark.parametrize("body", [b"", b" \n ", b"[", b"[oops]", b"{oops}", b"no\nrows", b'"text"', b"NaN", b"[1,"])
def test_a_body_in_no_form_is_refused(body: bytes) -> None:
    """Where no row can be made out the body is refused as a whole."""
    with pytest.raises(BodyError):
        split_rows(body)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), [float("nan")], {"x": float("inf")}])
def test_what_python_writes_can_be_read(value: Any) -> None:
    """Numbers that are none become numbers beyond all bounds; strings that spell them stay."""
    text = 'NaN, -Infinity "Infinity" \\'

    read = json.loads(repair_numbers(json.dumps({"a": value, "NaN": text, "b": [1, -2]}).encode()))

    assert read["NaN"] == text
    assert read["b"] == [1, -2]
    assert "inf" in str(read["a"])


def test_halves_of_pairs_are_told_from_pairs_and_from_text() -> None:
    """Escaped backslashes before `u` are text."""
    halves = rb'"\ud800 \\ud800 \ud83d\ude00 \udc00 \\\ud800 \ud800\ud83d\ude00\ude00"'

    assert repair_surrogates(halves) == rb'"\ufffd \\ud800 \ud83d\ude00 \ufffd \\\ufffd \ufffd\ud83d\ude00\ufffd"'


HOSTILE = {
    "empty arrays": b"[" + b"[]," * (SIZE // 3) + b"1]",
    "opened": b"[" * SIZE,
    "opened objects": b"[" + b'{"x":[' * (SIZE // 6),
    "escapes": b'["' + b'\\"' * (SIZE // 2),
    "quotes": b"[" + b'"' * SIZE,
    "no ends": b"[" + b'{"a":1,' * (SIZE // 7),
    "mismatches": b"[" + b'{"a":,{"b":[1}},' * (SIZE // 16) + b"]",
    "beginnings": b'[{"a' + b',{"' * (SIZE // 3),
    "nested beginnings": b'[{"a' + b',{"":[' * (SIZE // 6),
    "objects in a broken row": b'[{"x, "m":[' + b'{"a":1},' * (SIZE // 8) + b"]",
    "blanks": b'[{"a":' + b" " * SIZE + b"{",
    "blank lines": b"{" + b"\n" * SIZE + b"x",
    "broken lines": b'{"x":1 \n' * (SIZE // 8),
    "commas": b'[{"a' + b", " * (SIZE // 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_splitting_is_linear_and_in_short_steps(name: str) -> None:
    """Four times the body takes about four times as long, and no step of it holds the others up."""

    def took(body: bytes) -> tuple[float, float]:
        begun = last = time.process_time()
        longest, steps = 0.0, splitting(body)
        try:
            while True:
                next(steps)
                now = time.process_time()
                longest, last = max(longest, now - last), now
        except (StopIteration, BodyError):
            return time.process_time() - begun, longest

    body = HOSTILE[name]
    quarter = took(body[: len(body) // 4])[0]
    whole, longest = took(body)

    assert whole < 8 * quarter + 0.2
    assert longest < 0.1


@pytest.mark.parametrize("broken", [b'{"a": [1}', b'{"a": "', b'{"a": 1', b'{"a": NaN, "b": [}'])
def test_a_broken_first_line_costs_itself_whatever_follows(broken: bytes) -> None:
    """Lines are judged one by one also in a large body, of which the first one looks like a part of an object."""
    good = [row(f"r{number}") for number in range(4_000)]

    assert rows(b"\n".join([broken, *good])) == [broken, *good]


@pytest.mark.parametrize(
    "made",
    [
        lambda: b"[" * 2**24,
        lambda: b"[" + b'{"a":' * 2**22,
        lambda: b"[" + b"[{}" * 2**22,
        lambda: b"[" + b'{"id":"a"},' * 10 + b"[" * 2**24,
        lambda: b"[" + (b"[" * 1001 + b',{"a":1}') * 10_000,
    ],
    ids=range(5),
)
def test_what_is_nested_too_deeply_is_not_looked_into(made: Callable[[], bytes]) -> None:
    """Megabytes of brackets are passed over, and not followed one by one: that took more than a second a megabyte."""
    body = made()
    begun = time.process_time()

    with suppress(BodyError):
        split_rows(body)

    assert time.process_time() - begun < 1.5


@pytest.mark.parametrize(
    "made",
    [
        lambda: b'{\n"a": "' + b"x" * 2**24 + b'"\n}',
        lambda: b'{"a": "' + b"x" * 2**24 + b'"}\n{}',
        lambda: b'[{"a": "' + b"x" * 2**24 + b'"}]',
        lambda: b"{}, [" + b"[" * 2**24,
        lambda: b"[{}, " + b"[" * 2**24 + b"\n]",
        lambda: b'{\n"a": ' + b"\n" * 2**24 + b"{}}",
    ],
    ids=range(6),
)
def test_a_long_row_is_not_copied(made: Callable[[], bytes]) -> None:
    """A row of megabytes is a part of the body: to copy it would be one long step."""
    body = made()
    tracemalloc.start()
    try:
        with suppress(BodyError):
            split_rows(body)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def pretty(id_: str) -> bytes:
    return json.dumps(json.loads(row(id_)), indent=2).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"[" + row("a") + b"," + row("b") + b"]\n[" + row("c") + b"]",
        b"[" + row("a") + b"," + row("b") + b"],\r\n[" + row("c") + b"],\r\n",
        b"[" + row("a") + b"]\r[" + row("b") + b"," + row("c") + b"]\r",
        row("a") + b"\n[" + row("b") + b"," + row("c") + b"]\n",
        b",\n".join([row("a"), row("b"), row("c")]) + b",\n",
        b",\r\n".join([row("a"), row("b"), row("c")]) + b",\r\n",
        b"\r".join([row("a"), row("b"), row("c")]) + b"\r",
        b",\r".join([row("a"), row("b"), row("c")]),
        b"\n".join([pretty("a"), pretty("b"), pretty("c")]) + b"\n",
        b",\n".join([pretty("a"), row("b"), pretty("c")]),
        b"".join([row("a"), row("b"), row("c")]),
        pretty("a") + b"\n[" + pretty("b") + b"]\n[" + pretty("c") + b"]",
    ],
)
def test_odd_lines_are_rows(body: bytes) -> None:
    """Arrays on lines, commas behind lines, CR alone as their end and printed objects: each row comes out by itself."""
    assert [json.loads(found)["id"] for found in rows(body)] == ["a", "b", "c"]


@pytest.mark.parametrize("broken", [b'{\n  "id": "x",\n}', b"garbage", b'{"id": "x"', b"[1, 2"])
@pytest.mark.parametrize("between", [b"\n", b",\n", b"\n\n"])
def test_a_broken_one_among_odd_lines_costs_itself(broken: bytes, between: bytes) -> None:
    """Printed objects and arrays around what is broken are rows, and what is broken is one for its own rejection."""
    found = rows(between.join([pretty("a"), broken, b"[" + row("b") + b"]", row("c")]) + b"\n")
    readable = [one for one in found if is_json(one)]
    assert [json.loads(one)["id"] for one in readable] == ["a", "b", "c"]
    assert len(found) == 4


def test_objects_that_begin_like_rows_do_not_end_windows() -> None:
    """LiteLLM's payloads and the answers in them begin alike: a large array of them is still read in windows, which
    makes rows of msgspec's, and not bracket by bracket, which takes several times as long.
    """
    payload = {"id": "a", "response": {"id": "b", "tool_calls": [{"id": 1}, {"id": 2}, {"id": 3}]}, "x": "y" * 9000}
    body = json.dumps([payload] * 100).encode()

    found = split_rows(body)

    assert [json.loads(bytes(row)) for row in found] == [payload] * 100
    assert all(isinstance(row, msgspec.Raw) for row in found)
