"""Rows of other gateways' tables and exports: what is read of each, and what a wrong one costs."""

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from gateway_rows import ALL_READERS, CANARY, READERS, litellm_pairs, reports_of, rows_of
from msgspec import Raw, Struct

from policies import Report
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.litellm.spend_log import read_spend_log
from service.ingest.formats.split import Rejection
from service.storage.sources import SOURCE_NUMBERS

# sample: model, how it ended, tokens in and out, of the cache, amount, latency, user
EXPECTED: dict[str, list[tuple[Any, ...] | str]] = {
    "langfuse_blob.ndjson": [
        ("gpt-4o", "succeeded", 1000, 50, 900, "0.001875", 2500, "user-7"),
        "the observation is no call to a model",
        ("claude-sonnet-4-5", "failed", None, None, None, "0", 1000, None),
    ],
    "langfuse_ui.csv": [("gpt-4o-mini", "succeeded", 12, 34, None, "0.0000222", 1000, "user-7")],
    "openrouter_activity.csv": [
        ("openai/gpt-4o-2024-11-20", "succeeded", 1200, 80, 900, "0.00125475", 2150, "user-7"),
        ("deepseek/deepseek-chat-v3:free", "succeeded", 300, 12, 0, "0", 900, None),
        ("anthropic/claude-4.5-sonnet", "failed", 50, 0, 0, "0", 120, "user-8"),
    ],
    "openrouter_generation.ndjson": [("sao10k/l3-stheno-8b", "succeeded", 11, 26, 3, "0.0015", 1200, "user-123")],
    "helicone.jsonl": [
        ("claude-sonnet-4-5", "succeeded", 1100, 80, 1000, "0.0018", 1777, "user-7"),
        ("gpt-4o", "failed", None, None, None, "0", 500, None),
    ],
    "helicone.csv": [("gpt-4o-mini", "succeeded", 12, 34, None, "0.0000222", 1000, "user-9")],
    "cloudflare_logpush.ndjson": [
        ("gpt-4o", "succeeded", 1000, 120, None, "0.0042", 1234, None),
        ("gpt-4o", "succeeded", None, None, None, "0", 12, None),
        ("gpt-4o", "failed", None, None, None, "0", 40, None),
    ],
    "cloudflare_api.ndjson": [
        ("@cf/meta/llama-3.1-8b-instruct", "succeeded", 27, 94, None, "0.0000137", 812, "jane"),
    ],
    "portkey.jsonl": [
        ("gpt-4o", "succeeded", 1000, 100, None, "0.0035", 1500, "user-7"),
        ("gpt-4o", "failed", 0, 0, None, "0", 90, None),
    ],
    "bifrost_logs.ndjson": [
        ("gpt-4o", "succeeded", 1000, 120, 800, "0.00325", 1433, "user-7"),
        ("claude-sonnet-4-5", "failed", None, None, None, None, 88, None),
        "the call had not ended: import it again later",
    ],
    "agentgateway.ndjson": [
        ("gpt-4o", "succeeded", 1000, 120, 800, "0.00325", 1477, "user-7"),
        ("claude-sonnet-4-5", "failed", None, None, None, None, 90, "user-8"),
        "the request is no call to a model",
    ],
}


def told(row: Report | Rejection) -> tuple[Any, ...] | str:
    if isinstance(row, Rejection):
        return row.reason
    ended, amount = "failed" if row.failed else "succeeded", None if row.amount is None else f"{row.amount:f}"
    return (
        row.model,
        ended,
        row.input_tokens,
        row.output_tokens,
        row.cache_read_tokens,
        amount,
        row.latency_ms,
        row.user,
    )


@pytest.mark.parametrize("name", list(READERS))
def test_what_is_read_of_a_sample(name: str) -> None:
    """Model, ending, tokens with the cache in them, exact amount, latency and user of each row; the rest is skipped."""
    assert [told(READERS[name](row)) for row in rows_of(name)] == EXPECTED[name]


@pytest.mark.parametrize("name", list(READERS))
def test_content_is_nowhere_but_where_echoes_are_looked_for(name: str) -> None:
    """No text of a report that may be stored holds what stood in a content field, but for an error's message."""
    for report in reports_of(name):
        report.content, report.identifiers = [], ()
        if report.error is not None:
            report.error.message = None
        assert CANARY not in repr(report) + repr(report.tags) + repr(report.user) + repr(report.persons)
        assert report.error is None or CANARY not in repr(report.error.parameters)


@pytest.mark.parametrize("name", ["langfuse_blob.ndjson", "helicone.jsonl", "portkey.jsonl", "bifrost_logs.ndjson"])
def test_the_content_of_a_failed_call_is_remembered_for_its_echoes(name: str) -> None:
    """What the error's text repeats of the prompt can be cut out of it, for the prompt is at hand."""
    [failed] = [report for report in reports_of(name) if report.failed]
    assert failed.error is not None and CANARY in (failed.error.message or "")
    assert any(f"{CANARY} asks for the recipe of the house" in text for text in failed.content)


@pytest.mark.parametrize("name", list(READERS))
def test_ids_are_the_same_again(name: str) -> None:
    """A row that is read again has the id and the start that it had, and no two rows of a sample have the same."""
    ids = [(report.source_id, report.started_at) for report in reports_of(name)]
    assert ids == [(report.source_id, report.started_at) for report in reports_of(name)]
    assert len(set(ids)) == len(ids)
    assert {report.source for report in reports_of(name)} <= SOURCE_NUMBERS.keys()


def test_a_row_of_litellms_table_is_the_call_that_its_callback_reported() -> None:
    """Rows that LiteLLM itself made of what it gave its callback are the same calls, errors and all."""
    for pair in litellm_pairs():
        reported, imported = (
            read_entry(json.dumps(pair["callback"]).encode()),
            read_spend_log(json.dumps(pair["row"]).encode()),
        )
        assert isinstance(reported, Report) and isinstance(imported, Report)
        for same in (reported, imported):
            same.content, same.identifiers, same.dropped, same.persons = [], (), {}, ()
            if same.error is not None:
                same.error.parameters = {}
        assert imported.error == reported.error
        assert (imported.tags, imported.user) == (reported.tags, reported.user)
        assert imported == reported


def test_litellms_table_from_csv() -> None:
    """Cells of text, as `COPY ... CSV` writes them, are read as the values that they were."""
    for pair in litellm_pairs():
        row = pair["row"]
        cells = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in row.items()
            if value not in (None, "")
        }
        cells["startTime"] = cells["startTime"].replace("T", " ").removesuffix("+00:00")
        whole, text = read_spend_log(json.dumps(row).encode()), read_spend_log(json.dumps(cells).encode())
        assert isinstance(whole, Report) and text == whole


GARBAGE = {
    "nothing": b"",
    "no JSON": b"{",
    "an array": b'["a"]',
    "a number": b"5",
    "null": b"null",
    "no UTF-8": b'{"id":"\xff\xfe"}',
    "deep": b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "an empty object": b"{}",
}


@pytest.mark.parametrize("reader", list(ALL_READERS))
@pytest.mark.parametrize("what", list(GARBAGE))
def test_garbage_is_a_rejection(reader: str, what: str) -> None:
    """What is no row is refused or skipped, in words that do not quote it."""
    answer = ALL_READERS[reader](GARBAGE[what])
    assert isinstance(answer, Rejection) and answer.reason and "\xff" not in answer.reason


ODD = [True, -1, 10**30, 1e300, "", "NaN", [], {}, [[1]], {"a": {"b": 1}}, "x" * 5000, "\u0000", "1969-01-01T00:00:00Z"]


@pytest.mark.parametrize("name", list(READERS))
def test_a_value_of_another_type_costs_itself_or_its_row(name: str) -> None:
    """Each field of a row by each odd value: a report or a rejection comes of it, and never an exception."""
    for row in rows_of(name):
        fields = json.loads(row)
        for field in fields:
            for value in ODD:
                answer = READERS[name](json.dumps(fields | {field: value}).encode())
                assert isinstance(answer, Report | Rejection)
                if isinstance(answer, Report):
                    assert answer.amount is None or (answer.amount >= 0 and answer.currency is not None)
        assert isinstance(READERS[name](row.replace(b"}", b',"id":NaN}', 1)), Report | Rejection)


def test_a_cost_that_is_none_is_unknown_and_says_why() -> None:
    """What is no amount, or one below zero, leaves the amount unknown, with the reason, and the call is taken."""
    row = json.loads(rows_of("helicone.jsonl")[0])
    for cost, why in (("NaN", "UNREADABLE"), (-1, "NEGATIVE"), (None, None), (0, None), ([1], "UNREADABLE")):
        report = READERS["helicone.jsonl"](json.dumps(row | {"cost": cost, "costUSD": None}).encode())
        assert isinstance(report, Report)
        assert (report.amount, report.amount_unknown) == (None, why)


def test_noise_of_binary_floats_is_removed() -> None:
    """A cost that a binary float was printed as, in JSON or in CSV, is the decimal that it stands for."""
    row = json.loads(rows_of("openrouter_activity.csv")[0])
    for printed in ("0.00022500000000000002", 0.00022500000000000002, "2.2500000000000002e-04"):
        report = READERS["openrouter_activity.csv"](json.dumps(row | {"cost_total": printed}).encode())
        assert isinstance(report, Report) and report.amount == Decimal("0.000225")


def test_a_summary_by_day_is_refused_with_the_way_out() -> None:
    """OpenRouter's summary has no calls: it is refused, and the reason names what reads it."""
    answer = ALL_READERS["openrouter"](b'{"date":"2026-11-20","model":"openai/gpt-4.1","usage":0.015,"requests":5}')
    assert isinstance(answer, Rejection) and "reconcile" in answer.reason


def test_readers_go_to_the_process_of_long_rows() -> None:
    """Every reader can be pickled: a row of 64 KiB or more is read by another process."""
    for reader in ALL_READERS.values():
        assert pickle.loads(pickle.dumps(reader)) is reader


class OneBody(Struct):
    """A gateway that has content in one field."""

    body: Raw = NOTHING


@pytest.mark.parametrize("content", [(), ("body",)])
def test_a_gateway_may_have_one_content_field_or_none(content: tuple[str, ...]) -> None:
    """However many fields are named as content, what is in them is counted as left out."""
    report = reports_of("portkey.jsonl")[0]
    report.dropped.clear()

    drop(Cells(), report, OneBody(Raw(b'"a text"')), content, {})

    assert report.dropped == dict.fromkeys(content, 1)
