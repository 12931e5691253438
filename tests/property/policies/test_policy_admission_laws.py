"""Laws of admission: nothing of content or secrets stays, whatever a report looks like."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from policies import Admission, AmountPart, Attributes, ErrorReport, Report, load_preset
from policies.admission import parameters
from policies.admission.report import Json
from policies.admission.segments import masked, revealed, unpack_segments
from policies.redaction import RedactionError, Redactor

RUN = 16
POLICY = load_preset("default")
ADMISSION = Admission(POLICY, Redactor())
# Prose of several words, as prompts are; mixed scripts, so that offsets in bytes and in characters differ.
WORDS = st.text(st.sampled_from("abcdefghij klmno pqrst äöü 我们的 \U0001f600"), min_size=24, max_size=80)
CONTENT = WORDS.filter(lambda text: " " in text.strip()[4:RUN] and len(text.strip()) >= 24)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SECRETS = st.text(st.sampled_from(ALPHABET), min_size=48, max_size=48).map(lambda body: f"sk-proj-{body}")
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def json_with(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(
        ["messages", "content", "prompt", "tools", "type", "temperature", "[]", "response_format", "x"]
    )
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def failed(message: str, **rest: Any) -> Report:
    error = ErrorReport(
        type=rest.pop("type", "BadRequestError"),
        code=rest.pop("code", None),
        message=message,
        parameters=rest.pop("parameters", {}),
    )
    started_at = datetime(2026, 11, 22, 10, tzinfo=UTC)
    return Report("native", "req-1", started_at, "gpt-4o", True, account="acme", error=error, **rest)


def everything(admitted: Any) -> str:
    """All that would be stored, in one text: clear columns, tags, and both readings of the blob."""
    clear = [repr(getattr(admitted, field.name)) for field in fields(admitted) if field.name not in ("error", "user")]
    record = admitted.error
    if record is not None:
        clear += [repr((record.type, record.code, record.rules)), record.fingerprint_basis.decode()]
        if record.blob is not None:
            details = unpack_segments(record.blob)
            texts = [details.message, *(entry.value for entry in details.parameters.values())]
            clear += [join(text) for text in texts if text is not None for join in (masked, revealed)]
    return "\n".join(clear)


def runs(text: str) -> set[str]:
    return {text[at : at + RUN] for at in range(len(text) - RUN + 1)}


@SLOW
@given(CONTENT, st.text(max_size=30), st.integers(0, 8), st.data())
def test_no_content_stays_after_admission(content: str, around: str, cut: int, data: st.DataObject) -> None:
    """No run of 16 characters of the content is in anything that would be stored, wherever the error repeats it."""
    piece = content[cut : len(content) - data.draw(st.integers(0, 4))]
    parameters = data.draw(st.dictionaries(st.text(max_size=5), json_with(st.just(piece)), max_size=3))
    report = failed(
        f"{around} {piece} {around}",
        type=data.draw(st.sampled_from(["BadRequestError", f"Bad {piece}"])),
        code=data.draw(st.sampled_from([None, "400", f"E {piece}"])),
        parameters=parameters | {"model": piece, "messages": [piece]},
        content=[content],
    )

    kept = everything(ADMISSION.admit(report))

    # A run that is all separators says nothing, and is not counted as an echo.
    assert not {run for run in runs(piece) if any(map(str.isalnum, run))} & runs(kept)


@SLOW
@given(SECRETS, st.sampled_from(["{}", "key={}", "Bearer {}", '{{"api_key": "{}"}}', "?key={}&x=1", "与{}错误"]))
def test_no_secret_stays_after_admission(secret: str, around: str) -> None:
    """A credential is in no clear field, in neither reading of the blob, and not in what is fingerprinted."""
    text = around.format(secret)
    report = failed(f"denied: {text}", type=f"Denied: {text}", code=text, parameters={"model": text, "n": text})
    report.api_key = report.provider = report.served_model = report.operation = text
    report.source_id = report.model = text
    report.tags = {"team": text, text: "x"}

    assert secret not in everything(ADMISSION.admit(report))


@SLOW
@given(json_with(st.text(max_size=8) | st.integers() | st.floats() | st.none() | st.booleans()), st.text(max_size=12))
def test_unknown_parameters_never_pass(value: Any, key: str) -> None:
    """Only names of the allow-list are in the blob, whatever a client sends."""
    admitted = ADMISSION.admit(failed("boom", parameters={key: value, "extra_body": value, "tools": value}))

    assert admitted.error is not None
    assert admitted.error.blob is not None
    assert set(unpack_segments(admitted.error.blob).parameters) <= set(POLICY.parameters)


@SLOW
@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=5))
def test_unknown_tags_never_pass(tags: dict[str, str]) -> None:
    """Only tag keys of the allow-list are kept, and all the others are counted."""
    report = failed("boom")
    report.tags = tags

    admitted = ADMISSION.admit(report)

    assert set(admitted.tags) <= POLICY.tag_keys
    assert admitted.removed.get("tags", 0) == len(set(tags) - POLICY.tag_keys)


class Failing(Redactor):
    """Fails on what the test chooses, with the text in its error."""

    def __init__(self, fails_on: str) -> None:
        super().__init__()
        self.fails_on = fails_on

    def redact(self, text: str, *, content: Any = None) -> Any:
        if self.fails_on in text:
            raise RedactionError(text)
        return super().redact(text, content=content)

    def clean(self, text: str, *, max_chars: int) -> tuple[str, dict[str, int]]:
        if self.fails_on in text:
            raise MemoryError(text)
        return super().clean(text, max_chars=max_chars)


FAILING = Admission(POLICY, Failing("canary"))


@SLOW
@given(st.sets(st.sampled_from(["message", "type", "code", "model", "api_key", "source_id", "tag", "parameter"])))
def test_a_failing_engine_keeps_nothing_that_it_failed_on(places: set[str]) -> None:
    """Wherever redaction fails, the text is not stored and no exception leaves; details are all or nothing."""

    def text(place: str) -> str:
        return "the canary sings" if place in places else "fine"

    report = failed(text("message"), type=text("type"), code=text("code"), parameters={"model": text("parameter")})
    report.model, report.api_key, report.source_id = text("model"), text("api_key"), text("source_id")
    report.tags = {"team": text("tag")}

    admitted = FAILING.admit(report)

    assert "canary" not in everything(admitted)
    assert admitted.error is not None
    failed_details = places & {"message", "code", "type", "parameter"}
    assert (admitted.error.blob is None) == bool(failed_details)


NAMES = st.none() | st.sampled_from(
    ["", "acme", "gpt-4o", "bob@example.com", "a\nb", "sk-proj-" + "Zx8Qw2Lm9R" * 4, "n" * 300]
)
MADE_IDS = st.sampled_from([None, "req-8f2", "chatcmpl-9", "bob@example.com", "5f" * 16])
ATTRIBUTES = st.builds(
    Attributes,
    trace_id=MADE_IDS,
    session_id=MADE_IDS,
    attempt=st.none() | st.integers(1, 3),
    cache_hit=st.none() | st.booleans(),
    deployment=NAMES,
    team=NAMES,
    organization=st.sampled_from([None, "Acme"]),
    normalized_error=st.sampled_from([None, "429_RATE_LIMIT_EXCEEDED"]),
    provider_request_id=MADE_IDS,
    units=st.none() | st.dictionaries(st.sampled_from(["images", "bob@example.com"]), st.just(Decimal(2)), min_size=1),
).filter(Attributes().__ne__)
REPORTS = st.builds(
    Report,
    source=st.sampled_from(["native", "litellm"]),
    source_id=st.sampled_from(["req-8f2", "12345", "bob@example.com", "", "free text", "x" * 300]),
    started_at=st.just(datetime(2026, 11, 22, 10, tzinfo=UTC)),
    model=NAMES.map(lambda name: name or ""),
    failed=st.sampled_from([False, False, False, True]),
    account=NAMES,
    api_key=NAMES,
    user=st.sampled_from([None, "", "u-17"]),
    served_model=NAMES,
    provider=NAMES,
    operation=NAMES,
    streamed=st.none() | st.booleans(),
    input_tokens=st.none() | st.integers(0, 9),
    amount=st.none() | st.just(Decimal("0.5")),
    currency=st.sampled_from([None, "USD", "EUR", "", "usd"]),
    amount_source=st.sampled_from([None, "BILLED"]),
    amount_parts=st.sampled_from([None, [], [AmountPart("input", Decimal(1))], [AmountPart("x", Decimal(1))]]),
    corrects=st.sampled_from([None, "", "req-1", "bob@example.com"]),
    latency_ms=st.none() | st.integers(0, 9),
    tags=st.dictionaries(
        st.sampled_from(["team", "env", "prompt"]), st.sampled_from(["", "search", "bob@example.com"]), max_size=2
    ),
    error=st.none() | st.just(ErrorReport("RateLimitError")),
    dropped=st.sampled_from([{}, {"messages": 2}]),
    attributes=st.none() | ATTRIBUTES,
)
PLAIN_NAMES = st.none() | st.sampled_from(["acme", "gpt-4o", "bob@example.com"])
PARTS = [None, [], [AmountPart("input", Decimal("0.5"))], [AmountPart("other", Decimal("0.5"))]]
# Of such reports many pass whole.
PLAIN_REPORTS = st.builds(
    lambda report, priced: replace(report, **priced),
    st.builds(
        Report,
        source=st.just("litellm"),
        source_id=st.just("req-8f2"),
        started_at=st.just(datetime(2026, 11, 22, 10, tzinfo=UTC)),
        model=st.sampled_from(["gpt-4o", "claude"]),
        failed=st.just(False),
        api_key=PLAIN_NAMES,
        user=st.sampled_from([None, "u-17"]),
        tags=st.sampled_from(
            [{}, {"team": "search"}, {"team": "search", "unheard": "of"}, {"unheard": "of", "as": "x"}]
        ),
        attributes=st.none() | ATTRIBUTES,
    ),
    st.fixed_dictionaries(
        {
            "amount": st.just(Decimal("0.5")),
            "currency": st.just("USD"),
            "amount_source": st.sampled_from(["BILLED", "ESTIMATED"]),
            "amount_parts": st.sampled_from([*PARTS, [AmountPart("x", Decimal("0.5"))]]),
        }
    )
    | st.just({}),
)
ADMISSIONS = [ADMISSION, *(Admission(load_preset(name), Redactor()) for name in ("strict", "billing-only"))]
_NOT_STORED = {"error", "content", "dropped", "identifiers", "persons", "warnings", "billed_once", "within"}
ALIKE = [name for name in Report.__struct_fields__ if name not in _NOT_STORED]


@settings(SLOW, max_examples=300)
@given(st.lists(REPORTS | PLAIN_REPORTS, min_size=1, max_size=4), st.sampled_from([*ADMISSIONS, ADMISSION]))
def test_a_whole_report_is_what_admission_makes_of_it(reports: list[Report], admission: Admission) -> None:
    """Whatever was admitted before: a report passes whole only where `admit` takes nothing but tags that are not kept,
    and changes nothing.
    """
    for report in reports:
        before = admission.unchanged(report)
        admitted = admission.admit(report)
        for whole in (before, admission.unchanged(report)):
            if whole is None:
                continue
            assert replace(whole, tags=report.tags) == report
            assert [getattr(admitted, name) for name in ALIKE] == [getattr(whole, name) for name in ALIKE]
            others = len(report.tags) - len(whole.tags)
            removed = report.dropped | ({"tags": report.dropped.get("tags", 0) + others} if others else {})
            assert (admitted.removed, admitted.rejected) == (removed, None)
            assert (admitted.error, admitted.error_type, admitted.error_code) == (None, None, None)


def test_an_ordinary_call_passes_whole_from_the_second_time_on() -> None:
    """Names that were admitted together are known; another name among them is not."""
    admission = Admission(POLICY, Redactor())
    call = Report("native", "req-1", datetime(2026, 11, 22, 10, tzinfo=UTC), "gpt-4o", False, tags={"team": "search"})

    assert admission.unchanged(call) is None
    admission.admit(call)
    assert admission.unchanged(call) is call
    assert admission.unchanged(replace(call, model="gpt-4.1")) is None
    assert admission.unchanged(replace(call, tags={"team": "growth"})) is None
    assert admission.unchanged(replace(call, failed=True)) is None


def test_a_tag_that_is_not_kept_takes_nobody_the_long_way() -> None:
    """Gateways tag every call with more than a policy keeps: such calls pass without those tags, and are left as they
    were.
    """
    admission = Admission(POLICY, Redactor())
    tags = {"team": "search", "User-Agent": "OpenAI/Python 2.6"}
    call = Report("litellm", "req-1", datetime(2026, 11, 22, 10, tzinfo=UTC), "gpt-4o", False, tags=dict(tags))
    admission.admit(call)

    whole = admission.unchanged(replace(call, source_id="req-2"))

    assert whole is not None
    assert (whole.tags, whole.source_id, call.tags) == ({"team": "search"}, "req-2", tags)
    assert admission.unchanged(replace(call, tags=tags | {"team": "growth"})) is None


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_a_parameter_is_written_as_json_writes_it(value: Json) -> None:
    """The short way for numbers gives the same text as the encoder."""
    assert parameters._json(value) == json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parameter_that_is_no_json_is_refused(value: float) -> None:
    """What JSON cannot write fails, and so costs the details, as every failure does."""
    with pytest.raises(ValueError):
        parameters._json(value)
