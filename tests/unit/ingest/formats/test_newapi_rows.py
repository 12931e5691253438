"""Rows of `logs` become calls: exact money, tokens by OpenTelemetry's rule, errors, refunds, and what is no call."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from newapi import CANARY, consumed, failed

from policies import AmountPart, Report
from service.ingest.formats.newapi.adapter import read_log_row
from service.ingest.formats.newapi.log_row import LogSettings, _known_ratio
from service.ingest.formats.newapi.names import _known_operation
from service.ingest.formats.split import Rejection
from service.ingest.refusals import Refusal

NEW_API = LogSettings("new-api")
ONE_API = LogSettings("one-api")


def read(row: Any, settings: LogSettings = NEW_API) -> Report | Rejection:
    return read_log_row(row if isinstance(row, bytes) else json.dumps(row).encode(), settings=settings)


def taken(row: Any, settings: LogSettings = NEW_API) -> Report:
    report = read(row, settings)
    assert isinstance(report, Report), report
    return report


def refused(row: Any, settings: LogSettings = NEW_API) -> Rejection:
    rejection = read(row, settings)
    assert isinstance(rejection, Rejection), rejection
    return rejection


def test_a_call_keeps_what_the_log_page_shows() -> None:
    """Each column of the log page is a fact of the call, or is counted as left out."""
    report = taken(consumed(7))
    ended = datetime.fromtimestamp(consumed(7)["created_at"], UTC)
    assert (report.source, report.source_id, report.failed) == ("new-api", "log-7", False)
    assert (report.started_at, report.latency_ms, report.time_to_first_token_ms) == (
        ended - timedelta(seconds=3),
        3000,
        812,
    )
    assert (report.api_key, report.user, report.model, report.streamed) == ("prod-web", "jane-of-acme", "gpt-4o", True)
    assert (report.input_tokens, report.output_tokens, report.cache_read_tokens) == (1200, 80, 234)
    assert (report.amount, report.currency, report.amount_source) == (Decimal("0.003508"), "USD", "ROUNDED")
    attributes = report.attributes
    assert attributes is not None
    assert (attributes.deployment, attributes.team, attributes.attempt) == ("channel-12", "vip", 2)
    assert (attributes.trace_id, attributes.provider_request_id) == ("20261130102030000000007aB3xY9zQ", "req_00000007")
    assert report.operation == "chat"
    assert report.dropped == {"content": 1, "ip": 1}
    assert report.warnings == ()


def test_parts_are_the_amount() -> None:
    """Unit prices come of the ratios, and what the gateway rounded to a whole quota stands apart."""
    parts = taken(consumed(7)).amount_parts
    assert parts == [
        AmountPart("input", Decimal("0.002415"), Decimal(966), Decimal("0.0000025")),
        AmountPart("cache_read", Decimal("0.0002925"), Decimal(234), Decimal("0.00000125")),
        AmountPart("output", Decimal("0.0008"), Decimal(80), Decimal("0.00001")),
        AmountPart("other", Decimal("0.0000005")),
    ]


@pytest.mark.parametrize(
    ("other", "quota"),
    [
        ({"group_ratio": 2}, 1_754),
        ({"audio": True}, 1_754),
        ({"group_ratio": None}, 1_754),
        ({"model_ratio": "nonsense"}, 1_754),
    ],
    ids=["other ratios", "audio", "no ratio", "no number"],
)
def test_parts_that_are_not_the_amount_are_none(other: dict[str, Any], quota: int) -> None:
    """Where ratios do not make up the quota, the amount stands alone; it is the quota all the same."""
    report = taken(consumed(7, other=other, quota=quota))
    assert (report.amount, report.amount_parts) == (Decimal("0.003508"), None)


@pytest.mark.parametrize(
    ("other", "quota", "meters"),
    [
        ({"model_price": 0.02, "group_ratio": 1.5}, 15_000, {"request": "0.03"}),
        (
            {"tool_surcharges": [{"name": "web_search", "count": 2, "price": 10}]},
            11_754,
            {"input": "0.002415", "cache_read": "0.0002925", "output": "0.0008", "tools": "0.02", "other": "0.0000005"},
        ),
        (
            {"web_search": True, "web_search_call_count": 2, "web_search_price": 10},
            11_754,
            {"input": "0.002415", "cache_read": "0.0002925", "output": "0.0008", "tools": "0.02", "other": "0.0000005"},
        ),
    ],
    ids=["for each request", "tools", "searches of an older version"],
)
def test_other_ways_to_charge(other: dict[str, Any], quota: int, meters: dict[str, str]) -> None:
    """A price for each request and prices of tools are parts as well."""
    parts = taken(consumed(7, other=other, quota=quota)).amount_parts
    assert parts is not None
    assert {part.meter: part.amount for part in parts} == {name: Decimal(text) for name, text in meters.items()}


def test_claude_counts_its_prompt_without_the_cache() -> None:
    """Input is then the sum, writes of both lifetimes included; a prompt with the cache in it is not added to."""
    other = {
        "claude": True,
        "cache_tokens": 1_000,
        "cache_ratio": 0.1,
        "cache_creation_tokens": 500,
        "cache_creation_tokens_5m": 300,
        "cache_creation_tokens_1h": 200,
        "cache_creation_ratio": 1.25,
        "cache_creation_ratio_5m": 1.25,
        "cache_creation_ratio_1h": 2,
    }
    report = taken(consumed(7, prompt_tokens=50, other=other, quota=1_556))
    assert (report.input_tokens, report.cache_read_tokens, report.cache_write_tokens) == (1_550, 1_000, 500)
    # (50 + 100 + 375 + 400 + 320) x 1.25 = 1,556.25
    assert report.amount_parts is not None
    assert sum(part.amount for part in report.amount_parts) == report.amount == Decimal("0.003112")
    assert [part.meter for part in report.amount_parts] == ["input", "cache_read", "cache_write", "output", "other"]


@pytest.mark.parametrize(
    ("prompt", "read_", "written", "expected"),
    [
        (1_200, 1_000, 100, (1_200, 1_000, 100)),
        (50, 1_000, 0, (1_050, 1_000, None)),
        (1_200, 1_000, 900, (1_200, 1_000, None)),
        (0, 0, 0, (0, None, None)),
    ],
    ids=["fits in", "read without the prompt", "overlapping writes", "nothing"],
)
def test_cached_tokens_never_exceed_the_input(prompt: int, read_: int, written: int, expected: tuple[Any, ...]) -> None:
    """Whatever a row says, input is at least what was read and written, and never less than it says."""
    other = {"cache_tokens": read_, "cache_creation_tokens": written}
    report = taken(consumed(7, prompt_tokens=prompt, other=other))
    assert (report.input_tokens, report.cache_read_tokens, report.cache_write_tokens) == expected


def test_quota_is_money_by_the_setting() -> None:
    """Any quota per unit, in any currency, to twelve places; of a large one no digit is lost."""
    assert taken(consumed(1, quota=1), LogSettings("new-api", Decimal(3), "CNY")).amount == Decimal("0.333333333333")
    large = taken(consumed(1, quota=2**31 - 1), LogSettings("new-api", Decimal(500_000), "CNY"))
    assert (large.amount, large.currency) == (Decimal("4294.967294"), "CNY")
    assert taken(consumed(1, quota=0)).amount == 0
    assert taken(consumed(1, quota="50000000")).amount == Decimal(100)


def test_a_failed_attempt_is_an_error() -> None:
    """Type, status and Chinese text; the address of its user is a person's, and is looked for in the text."""
    report = taken(failed(7))
    assert report.failed
    error = report.error
    assert error is not None
    assert (error.type, error.code) == ("openai_error", "403")
    assert error.message is not None
    assert error.message.startswith("status_code=403, 用户额度不足")
    assert "203.0.113.77" in report.persons
    assert report.attributes is not None
    assert report.attributes.normalized_error == "insufficient_user_quota"
    assert "content" not in report.dropped


def test_a_refund_corrects_its_task() -> None:
    """The task's own row has the task's id; what is refunded or charged later is a correction of it."""
    task = taken(consumed(7, other={"is_task": True, "task_id": "task_abc"}))
    assert (task.source_id, task.corrects) == ("task_abc", None)
    refund = taken(consumed(8, type=6, quota=400, content="", other={"task_id": "task_abc", "reason": "失败"}))
    assert (refund.source_id, refund.corrects, refund.amount) == ("log-8", "task_abc", Decimal("-0.0008"))
    more = taken(consumed(9, quota=100, other={"task_id": "task_abc", "actual_quota": 1_854}))
    assert (more.source_id, more.corrects, more.amount) == ("log-9", "task_abc", Decimal("0.0002"))
    assert (refund.input_tokens, refund.attributes, refund.amount_parts) == (None, None, None)
    lost = refused(consumed(8, type=6, quota=400, other={}))
    assert (lost.code, lost.reason) == (Refusal.CORRECTION_INVALID, "the refund names no request (`other.task_id`)")


@pytest.mark.parametrize(("settings", "types"), [(NEW_API, (0, 1, 3, 4, 7)), (ONE_API, (0, 1, 3, 4, 5))])
def test_rows_that_are_no_calls_are_skipped(settings: LogSettings, types: tuple[int, ...]) -> None:
    """Top-ups, acts of administrators, notes and logins are counted with their kind, and not as refused."""
    for type_ in types:
        skipped = refused(consumed(1, type=type_), settings)
        assert skipped.code is None
        assert "no call" in skipped.reason


def test_one_api_says_less() -> None:
    """Milliseconds, a request's id, and the ratios in words; where they are exact they are parts."""
    row = {
        "id": 5,
        "user_id": 1,
        "created_at": 1_770_000_000,
        "type": 2,
        "content": "倍率\uff1a15.00 \u00d7 1.00 \u00d7 2.00",
        "username": "root",
        "token_name": "t",
        "model_name": "gpt-4",
        "quota": 1_560,
        "prompt_tokens": 24,
        "completion_tokens": 40,
        "channel": 3,
        "request_id": "2026abc",
        "elapsed_time": 1_234,
        "is_stream": False,
        "system_prompt_reset": False,
    }
    report = taken(row, ONE_API)
    assert (report.source, report.latency_ms, report.amount) == ("one-api", 1_234, Decimal("0.00312"))
    assert report.started_at == datetime.fromtimestamp(1_770_000_000 - 1.234, UTC)
    assert report.amount_parts == [
        AmountPart("input", Decimal("0.00072"), Decimal(24), Decimal("0.00003")),
        AmountPart("output", Decimal("0.0024"), Decimal(40), Decimal("0.00006")),
    ]


def test_every_way_is_one_call() -> None:
    """The row of the database, of the administrator's API and of a CSV file is the same call, with the same facts."""
    row = consumed(7)
    api = {("channel" if name == "channel_id" else name): value for name, value in row.items()} | {"channel_name": "a"}
    csv = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in row.items()}
    mysql = row | {"is_stream": 1}
    first, *others = [taken(one) for one in (row, api, csv, mysql, row | {"other": json.loads(row["other"])})]
    first.dropped = {}
    for report in others:
        report.dropped = {}
        assert report == first


def test_a_user_s_page_has_ids_of_its_own() -> None:
    """Without the row's id the request's and a digest tell rows apart; equal rows of one second by their number."""
    row = consumed(7)
    del row["id"]
    first, same = taken(row), taken(row)
    assert first.source_id == same.source_id
    assert first.source_id.startswith("20261130102030000000007aB3xY9zQ-")
    assert taken(row | {"occurrence": 1}).source_id != first.source_id
    assert taken(row | {"quota": 1}).source_id != first.source_id


def test_the_account_is_a_column_if_asked() -> None:
    """By username, group or token, or the setting of the import."""
    for column, name in (("username", "jane-of-acme"), ("group", "vip"), ("token_name", "prod-web")):
        assert taken(consumed(1), LogSettings("new-api", account_by=column)).account == name
    assert taken(consumed(1)).account is None


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (b"\xff\xfe", Refusal.ROW_UNREADABLE, "JSON"),
        (b"[1]", Refusal.ROW_UNREADABLE, "object"),
        (b'{"type": 2', Refusal.ROW_UNREADABLE, "JSON"),
        (b'{"a":' * 5_000, Refusal.ROW_UNREADABLE, ""),
        (consumed(1, created_at=None), Refusal.FIELD_MISSING, "`created_at`"),
        (consumed(1, created_at="yesterday"), Refusal.FIELD_INVALID, "`created_at`"),
        (consumed(1, created_at=10**15), Refusal.FIELD_INVALID, "`created_at`"),
        (consumed(1, type=None), Refusal.FIELD_MISSING, "`type`"),
        (consumed(1, type=77), Refusal.FIELD_INVALID, "`77`"),
        (consumed(1, quota="a lot"), Refusal.FIELD_INVALID, "`quota`"),
        (consumed(1, quota=10**40), Refusal.FIELD_INVALID, "`quota`"),
        (consumed(1, id="a\0b"), Refusal.FIELD_INVALID, "`id`"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(row: Any, code: Refusal, words: str) -> None:
    """The field and what it must be, and nothing of what else the row holds."""
    rejection = refused(row)
    assert rejection.code is code
    assert words in rejection.reason
    assert CANARY not in rejection.reason


@pytest.mark.parametrize(
    "more",
    [
        {"other": {"cache_tokens": "many"}},
        {"other": {"cache_tokens": -5}},
        {"prompt_tokens": -1},
        {"is_stream": "perhaps"},
        {"use_time": 2.5},
        {"token_name": "x" * 5_000},
        {"other": {"frt": -1_700_000_000_000}},
    ],
    ids=str,
)
def test_what_cannot_be_read_costs_itself(more: dict[str, Any]) -> None:
    """A figure that is none is left out with a warning; the call and its money stay."""
    report = taken(consumed(7, **more))
    assert report.amount == Decimal("0.003508")
    assert report.warnings or more == {"other": {"frt": -1_700_000_000_000}}


def test_broken_other_is_left_out() -> None:
    """Where `other` is no JSON, as when it was cut, its call is taken without it."""
    report = taken(consumed(7) | {"other": '{"model_ratio": 1.2'})
    assert (report.amount, report.cache_read_tokens, report.amount_parts) == (Decimal("0.003508"), None, None)
    assert any("`other`" in warning for warning in report.warnings)


def test_content_of_unknown_columns_is_looked_for_in_the_error() -> None:
    """A fork's column with the prompt is never kept, and its echo in the error's text is found by it."""
    report = taken(failed(7) | {"prompt_text": f"please say {CANARY} to everybody in this room"})
    assert report.dropped["unknown"] == 1
    assert any(CANARY in text for text in report.content)


def test_no_long_value_of_a_row_is_remembered() -> None:
    """A path or a ratio may be as long as its row: it is read as ever, and does not stay in memory behind it."""
    taken(consumed(7))
    remembered = _known_operation.cache_info(), _known_ratio.cache_info().currsize
    long = json.dumps(consumed(8, other={"request_path": "/v1/embeddings?" + "x" * 100_000, "cache_ratio": "RATIO"}))
    report = taken(long.replace(r"\"RATIO\"", "0.5" + "0" * 100_000 + "1").encode())
    assert (report.operation, report.amount_parts) == ("embeddings", taken(consumed(7)).amount_parts)
    assert _known_ratio.cache_info().currsize == remembered[1]
    assert _known_operation.cache_info().misses == remembered[0].misses
