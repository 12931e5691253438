"""What of a report may be stored."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies import (
    Admission,
    AmountPart,
    Attributes,
    ErrorReport,
    Report,
    load_preset,
    parse,
    preset_text,
)
from policies.admission.call import REJECTED_ACCOUNT, REJECTED_CURRENCY
from policies.admission.parameters import VALUES_MAX
from policies.admission.segments import Parameter, ParameterAction, masked, revealed, unpack_segments
from policies.redaction import RedactionError, Redactor

REDACTOR = Redactor()
DEFAULT = Admission(load_preset("default"), REDACTOR)
STRICT = Admission(load_preset("strict"), REDACTOR)
BILLING = Admission(load_preset("billing-only"), REDACTOR)
STARTED_AT = datetime(2026, 11, 22, 10, 0, 0, 123_000, tzinfo=UTC)
KEY = "sk-proj-Zx8Qw2Lm9Rt4Vb7Nc1Ks6Yp3Hd5Jf0Ga"
PROMPT = "Please rewrite my letter to the divorce court in Aachen"


def report(**fields: Any) -> Report:
    known: dict[str, Any] = {
        "source": "native",
        "source_id": "req-8f2",
        "started_at": STARTED_AT,
        "account": "acme",
        "api_key": "prod-web",
        "user": "u-17",
        "model": "gpt-4o",
        "failed": False,
    }
    return Report(**known | fields)


def failed(message: str | None = None, *, parameters: Any = None, content: Any = (), **error: Any) -> Report:
    facts = {"type": "RateLimitError", "code": "429", "message": message, "parameters": parameters or {}} | error
    return report(failed=True, error=ErrorReport(**facts), content=list(content))


def message_of(admitted: Any, join: Any = masked) -> str:
    details = unpack_segments(admitted.error.blob)
    assert details.message is not None
    return join(details.message)


def parameters_of(admitted: Any) -> dict[str, Parameter]:
    return dict(unpack_segments(admitted.error.blob).parameters)


def test_a_clean_call_is_admitted_as_it_is() -> None:
    """Nothing of an ordinary report changes, and nothing is removed."""
    parts = [AmountPart("input", Decimal("0.003"), Decimal(1200), Decimal("0.0000025"))]
    reported = report(
        served_model="gpt-4o-2024-11-20", provider="openai", operation="chat", streamed=True, input_tokens=1200,
        output_tokens=0, cache_read_tokens=800, cache_write_tokens=0, reasoning_tokens=0, amount=Decimal("0.0031"),
        currency="USD", amount_source="BILLED", amount_parts=parts, latency_ms=812, time_to_first_token_ms=230,
        tags={"team": "search"}, corrects="req-8f1",
    )  # fmt: skip

    admitted = DEFAULT.admit(reported)

    names = [
        name
        for name in Report.__dataclass_fields__
        if name not in ("error", "content", "dropped", "identifiers", "persons", "warnings", "billed_once")
    ]
    assert {name: getattr(admitted, name) for name in names} == {name: getattr(reported, name) for name in names}
    assert (admitted.removed, admitted.rejected, admitted.error, admitted.error_type) == ({}, None, None, None)


def test_the_report_is_left_as_it_was() -> None:
    """Admission makes new values: a report can be admitted again under another policy."""
    reported = failed("hello", parameters={"stop": "x"}, content=[PROMPT])
    reported.dropped = {"messages": 1}

    DEFAULT.admit(reported)

    assert reported.dropped == {"messages": 1}
    assert reported.content == [PROMPT]


def test_what_the_adapter_dropped_is_counted_too() -> None:
    """The adapter's counts and admission's own are one list."""
    reported = report(tags={"team": "search", "mood": "low", "secret_plan": "x"})
    reported.dropped = {"messages": 2}

    assert DEFAULT.admit(reported).removed == {"messages": 2, "tags": 2}


def test_only_listed_tags_are_kept_and_cleaned() -> None:
    """Tag keys are an allow-list, and their values pass the rules."""
    admitted = DEFAULT.admit(report(tags={"team": f"search {KEY}", "prompt": PROMPT, "env": ""}))

    assert set(admitted.tags) == {"team", "env"}
    assert KEY not in admitted.tags["team"]
    assert admitted.removed == {"tag": 1, "tags": 1}


@pytest.mark.parametrize("field", ["api_key", "served_model", "provider", "operation", "model"])
def test_names_pass_the_rules_and_are_bounded(field: str) -> None:
    """No clear name carries a key or a mail address, and none is longer than its bound."""
    admitted = DEFAULT.admit(report(**{field: f"x {KEY} bob@example.com"}))
    long = DEFAULT.admit(report(**{field: "name " * 5000}))

    assert KEY not in getattr(admitted, field)
    assert "bob@" not in getattr(admitted, field)
    assert admitted.removed == {field: 1}
    assert len(getattr(long, field)) <= 200


def test_lines_and_invisible_characters_do_not_stay() -> None:
    """A clear name is one printable line: no NUL that PostgreSQL refuses, no escape that a terminal obeys."""
    admitted = DEFAULT.admit(report(api_key="prod\x00\n\x1b[31mweb\u202e", provider="open\ud800ai"))

    assert admitted.api_key is not None
    assert admitted.api_key.isprintable()
    assert admitted.provider is not None
    assert admitted.provider.encode()


@pytest.mark.parametrize("account", ["bob@example.com", KEY, "a" * 201, "ac\nme"])
def test_an_account_that_would_change_is_rejected(account: str) -> None:
    """Two accounts must not become one under a masked name: the row is refused, and the reason quotes nothing."""
    admitted = DEFAULT.admit(report(account=account))

    assert admitted.rejected == REJECTED_ACCOUNT
    assert account not in repr(admitted)


def test_a_call_without_an_account_is_not_rejected() -> None:
    """The account may come from the key."""
    assert DEFAULT.admit(report(account=None)).rejected is None


def test_source_ids_that_mask_alike_stay_apart() -> None:
    """A source id that cleaning changes carries the call's milliseconds; nothing of the original, not even a hash."""
    first = DEFAULT.admit(report(source_id="bob@example.com"))
    again = DEFAULT.admit(report(source_id="bob@example.com"))
    other = DEFAULT.admit(report(source_id="eve@example.com", started_at=STARTED_AT.replace(second=1)))

    assert first.source_id == again.source_id != other.source_id
    assert first.source_id == "[redacted:email]~1795341600123"


@pytest.mark.parametrize(
    "source_id",
    ["6f9619ff-8b86-d011-b42d-00cf4fc964ff", "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331", "req-8f2", "12345"],
)
def test_made_ids_stay_as_they_are(source_id: str) -> None:
    """UUIDs, trace and span ids, request ids and counters are found again by sourceId."""
    admitted = DEFAULT.admit(report(source_id=source_id))

    assert admitted.source_id == source_id
    assert admitted.removed == {}


def test_a_correction_of_a_masked_id_corrects_nothing() -> None:
    """A masked id names no call, or the wrong one."""
    assert DEFAULT.admit(report(corrects="bob@example.com")).corrects is None


@pytest.mark.parametrize("currency", [None, "", "usd", "US", "U$D", "USD\n", "\u0415\u0412\u0420\u041e", "A" * 17, KEY])
def test_money_without_a_currency_is_rejected(currency: str | None) -> None:
    """An amount counts only in a currency of 3 to 16 upper-case letters."""
    admitted = DEFAULT.admit(report(amount=Decimal(1), currency=currency))

    assert admitted.rejected == REJECTED_CURRENCY


def test_unknown_meters_are_other() -> None:
    """The meter of a part is one of a closed list."""
    parts = [AmountPart("input", Decimal(1)), AmountPart(PROMPT, Decimal(2))]

    admitted = DEFAULT.admit(report(amount=Decimal(3), currency="USD", amount_parts=parts))

    assert [part.meter for part in admitted.amount_parts or []] == ["input", "other"]


def test_an_error_of_a_succeeded_call_is_not_kept() -> None:
    """Only failed calls have an error record."""
    reported = failed("boom")
    reported.failed = False

    admitted = DEFAULT.admit(reported)

    assert admitted.error is None
    assert admitted.error_type is None
    assert admitted.removed == {"error": 1}


def test_secrets_are_gone_and_personal_spans_are_under_seal() -> None:
    """In the blob a key is gone for good, an address is kept as (rule, text): masked for all, revealed for few."""
    admitted = DEFAULT.admit(failed(f"Incorrect API key provided: {KEY}. Contact bob@example.com"))

    assert "bob@example.com" not in message_of(admitted)
    assert "bob@example.com" in message_of(admitted, revealed)
    assert KEY.encode() not in admitted.error.blob
    assert admitted.error.rules["email"] == 1


def test_strict_keeps_no_personal_span() -> None:
    """Where the policy masks, nothing is left to reveal."""
    admitted = STRICT.admit(failed("Contact bob@example.com", parameters={"model": "bob@example.com"}))

    assert message_of(admitted, revealed) == "Contact [redacted:email]"
    assert b"bob@" not in admitted.error.blob
    assert admitted.user is None
    assert admitted.removed["user"] == 1


def test_billing_only_keeps_that_it_failed() -> None:
    """Without error details a failed call is a failed call, and nothing more."""
    admitted = BILLING.admit(failed("boom", parameters={"temperature": 1}))

    assert (admitted.failed, admitted.error, admitted.error_type, admitted.error_code) == (True, None, None, None)


def test_echoes_of_content_are_gone() -> None:
    """What the message repeats of the report's content is removed, also from revealed text."""
    admitted = DEFAULT.admit(failed(f"Invalid input: '{PROMPT}'", content=[PROMPT]))

    assert message_of(admitted, revealed) == "Invalid input: '[redacted:content-echo]'"


@pytest.mark.parametrize(
    "parameters",
    [
        {"messages": [{"role": "user", "content": PROMPT}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]},
        {"prompt": PROMPT},
        {"extra_body": {"a": [{"b": PROMPT}]}},
        {"tools": [{"type": "function", "function": {"description": PROMPT}}]},
        {"response_format": {"type": "json_schema", "json_schema": {PROMPT: 1}}},
        {PROMPT: 1},
        {"temperature": {"x": PROMPT}},
    ],
)
def test_echoes_of_dropped_parameters_are_gone(parameters: dict[str, Any]) -> None:
    """Content that came as a parameter is neither kept nor echoed, wherever it was hidden."""
    admitted = DEFAULT.admit(failed(f"could not parse {PROMPT}", parameters=parameters))

    assert b"divorce" not in admitted.error.blob
    assert PROMPT not in repr(admitted)


def test_a_type_that_is_text_loses_its_echo() -> None:
    """A type or code that is no mere name is held against the content too."""
    admitted = DEFAULT.admit(failed("m", type=f"Bad: {PROMPT}", code=f"c {PROMPT}", content=[PROMPT]))

    assert "divorce" not in repr(admitted)
    assert admitted.error_type is not None
    assert admitted.error_type.startswith("Bad: [redacted:")


@pytest.mark.parametrize(
    "name", ["AuthenticationError", "litellm.exceptions.RateLimitError", "context_length_exceeded"]
)
def test_a_type_that_is_a_name_survives_its_mention(name: str) -> None:
    """A coding assistant whose prompt mentions the error class still gets its errors grouped."""
    admitted = DEFAULT.admit(failed("m", type=name, content=[f"why do I get {name} here?"]))

    assert admitted.error_type == name
    assert admitted.error is not None
    assert admitted.error.type == name


def test_listed_parameters_are_kept_by_type_and_bound() -> None:
    """What fits is kept; what breaks its type or bound is named and not kept; null is not reported."""
    admitted = DEFAULT.admit(
        failed(
            parameters={
                "temperature": Decimal("0.2"), "max_tokens": 512, "stream": True, "model": "gpt-4o",
                "reasoning_effort": "high", "top_p": 7, "n": "2", "seed": None, "service_tier": PROMPT,
                "timeout": float("nan"), "top_k": True, "response_format": {"type": "json_object", "schema": {}},
                "tools": [{"type": "function"}, {"type": "mcp"}],
            }
        )
    )  # fmt: skip

    kept = {name: masked(entry.value) for name, entry in parameters_of(admitted).items() if entry.value is not None}
    dropped = {name for name, entry in parameters_of(admitted).items() if entry.action is ParameterAction.DROPPED}
    assert kept == {
        "temperature": "0.2",
        "max_tokens": "512",
        "stream": "true",
        "model": '"gpt-4o"',
        "reasoning_effort": '"high"',
        "response_format.type": '"json_object"',
        "tools[].type": '["function","mcp"]',
    }
    assert dropped == {"top_p", "n", "service_tier", "timeout", "top_k"}
    assert admitted.removed == {"parameters": 1}


def test_messages_keep_only_their_shape() -> None:
    """Of messages: how many, whose, how long. A role that is no role is other."""
    messages = [{"role": "system", "content": "x" * 20}, {"role": PROMPT, "content": [{"text": "abc"}]}, "plain"]

    entry = parameters_of(DEFAULT.admit(failed(parameters={"messages": messages})))["messages"]

    assert entry.action is ParameterAction.SHAPED
    assert masked(entry.value or ()) == '{"chars":[20,3,5],"count":3,"roles":["system","other","other"]}'


@pytest.mark.parametrize(
    "parameters",
    [
        {"response_format.type": "text"},
        {"tools[].type": "function"},
        {"tools": {"[]": {"type": "function"}}},
        {"tools": {"type": "function"}},
        {"Temperature": 1},
        {"": 1},
        {"response_format": {"type": {"x": "text"}}},
    ],
)
def test_a_client_cannot_spell_its_way_in(parameters: dict[str, Any]) -> None:
    """Keys that look like paths, steps or near names are dropped: only real structure matches."""
    kept = [entry for entry in parameters_of(DEFAULT.admit(failed(parameters=parameters))).values() if entry.value]

    assert kept == []


def test_free_text_parameters_pass_the_redactor() -> None:
    """A kept text is segments in JSON: masked without the secret, sealed when personal, canonical either way."""
    secret = parameters_of(DEFAULT.admit(failed(parameters={"model": f'a"{KEY}'})))["model"]
    personal = parameters_of(DEFAULT.admit(failed(parameters={"model": 'x "bob@example.com'})))["model"]

    assert secret.action is ParameterAction.MASKED
    assert KEY not in repr(secret)
    assert personal.action is ParameterAction.SEALED
    assert revealed(personal.value or ()) == '"x \\"bob@example.com"'
    assert masked(personal.value or ()) == '"x \\"[redacted:email]"'


def test_a_number_can_be_a_card() -> None:
    """A listed number that the rules know as personal data is not kept."""
    entry = parameters_of(DEFAULT.admit(failed(parameters={"seed": 5500005555555559})))["seed"]

    assert entry == Parameter(ParameterAction.DROPPED)


class Broken(Redactor):
    """An engine that fails on long text, as one out of memory would, and quotes it (as ours never does)."""

    def redact(self, text: str, *, content: Any = None) -> Any:  # noqa: ARG002
        raise RuntimeError(text)


class AllBroken(Broken):
    """An engine that fails on everything."""

    def clean(self, text: str, *, max_chars: int) -> tuple[str, dict[str, int]]:  # noqa: ARG002
        raise RedactionError(text)


def test_a_failing_engine_leaves_the_type() -> None:
    """When redaction fails nothing of message, code and parameters is kept, and the record says why."""
    admitted = Admission(load_preset("default"), Broken()).admit(
        failed("secret text", parameters={"temperature": 1, "model": "gpt-4o"}, content=[PROMPT])
    )

    assert admitted.error is not None
    assert (admitted.error.type, admitted.error.code, admitted.error.blob) == ("RateLimitError", None, None)
    assert admitted.error.rules == {"engine-failure": 1}
    assert b"secret" not in admitted.error.fingerprint_basis


def test_a_failing_engine_keeps_no_clear_text() -> None:
    """When nothing can be cleaned, names are gone and required ones say so; the account is not merged with others."""
    admitted = Admission(load_preset("default"), AllBroken()).admit(
        failed("boom", type=f"is {PROMPT}", content=[PROMPT]),
    )

    assert admitted.model == "[redacted:engine-failure]"
    assert admitted.api_key is None
    assert admitted.error_type == "[redacted:engine-failure]"
    assert admitted.rejected == REJECTED_ACCOUNT
    assert "divorce" not in repr(admitted)


def test_parameters_too_large_to_walk_fail_closed() -> None:
    """More values than can be held against the message leave the type only."""
    admitted = DEFAULT.admit(failed("boom", parameters={"x": [0] * (VALUES_MAX + 1)}))

    assert admitted.error is not None
    assert admitted.error.blob is None


def test_deep_parameters_do_not_overflow() -> None:
    """Nesting costs no recursion."""
    deep: Any = PROMPT
    for _ in range(50_000):
        deep = [deep]

    admitted = DEFAULT.admit(failed(f"echo {PROMPT}", parameters={"messages": deep, "x": deep}))

    assert b"divorce" not in (admitted.error.blob or b"") if admitted.error else False


def test_an_error_without_details_has_an_empty_blob() -> None:
    """Kept but not reported differs from not kept."""
    admitted = DEFAULT.admit(failed(None))

    assert admitted.error is not None
    assert admitted.error.blob is not None
    assert unpack_segments(admitted.error.blob).message is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rate limit: used 1200 of 3000", "Rate limit: used 99,1 of 12"),
        ("request 6f9619ff-8b86-d011-b42d-00cf4fc964ff failed", "request 7f9619ff-8b86-d011-b42d-00cf4fc964ff failed"),
        ("trace deadbeef01", "trace 0123456789abcdef"),
        ("id req_011CSHoEeqs5C35K2UUq failed  twice", "id req_022DTIpFfrt6D46L3VVr failed twice"),
    ],
)
def test_errors_of_one_kind_share_a_fingerprint(one: str, other: str) -> None:
    """Numbers, hexadecimal runs, UUIDs, request ids and spacing do not tell errors apart."""
    bases = {DEFAULT.admit(failed(text)).error.fingerprint_basis for text in (one, other)}  # type: ignore[union-attr]

    assert len(bases) == 1


def test_different_errors_differ() -> None:
    """Type, code and wording tell errors apart, and no field runs into the next."""
    reports = [failed("a b"), failed("a c"), failed("a b", code="500"), failed("a b", type="Timeout"), failed(None)]
    errors = [DEFAULT.admit(reported).error for reported in reports]

    assert len({error.fingerprint_basis for error in errors if error is not None}) == 5


def test_a_dropped_figure_is_not_stored() -> None:
    """What the policy drops of the figures is gone and counted."""
    text = preset_text("default")
    for field in ("inputTokens", "totalTokens", "tokenEfficiency"):
        text = text.replace(f'"Call.{field}" = {{ class = "billing", action = "keep"',
                            f'"Call.{field}" = {{ class = "billing", action = "drop"')  # fmt: skip
    admitted = Admission(parse(text), REDACTOR).admit(report(input_tokens=5, output_tokens=6))

    assert (admitted.input_tokens, admitted.output_tokens) == (None, 6)
    assert admitted.removed == {"input_tokens": 1}


def test_a_masked_name_is_stored_masked() -> None:
    """Under `mask` a clear name is replaced by its class before it is stored."""
    text = preset_text("default").replace('"Call.apiKey" = { class = "operational", action = "keep"',
                                          '"Call.apiKey" = { class = "operational", action = "mask"')  # fmt: skip

    admitted = Admission(parse(text), REDACTOR).admit(report())

    assert admitted.api_key == "[redacted:operational]"


def test_reprs_hold_no_text_of_anybody() -> None:
    """A report or an admitted call that ends up in a traceback shows neither user, message, parameters nor content."""
    reported = failed(f"echo {PROMPT}", parameters={"prompt": PROMPT}, content=[PROMPT])
    reported.user = "jane@example.com"
    reported.tags = {"team": PROMPT}

    assert "divorce" not in repr(reported)
    assert "jane" not in repr(reported) + repr(DEFAULT.admit(reported))


def test_attributes_are_admitted_as_they_are() -> None:
    """Ids, names, flags and units of an ordinary call pass unchanged."""
    attributes = Attributes(
        trace_id="5f" * 16, session_id="3f2b1c9e-0d4a-4b6e-9c1d-2e3f4a5b6c7d", attempt=2, cache_hit=True,
        deployment="eu-1", team="Search & Ads", organization="Acme Inc", normalized_error="429_RATE_LIMIT_EXCEEDED",
        provider_request_id="req_0123456789abcdef", units={"images": Decimal(2)},
    )  # fmt: skip

    admitted = DEFAULT.admit(report(attributes=attributes))

    assert (admitted.attributes, admitted.removed) == (attributes, {})


@pytest.mark.parametrize(
    "word", ["461484280890", "01HF7YAT00ABCDEFGHJKMNPQRS", "key-9c14b990f6b4", "4111111111111111", "a1b2/c3.d4-e5_f6"]
)
def test_the_gateways_word_for_an_error_is_kept(word: str) -> None:
    """It is no less random than an id, and judged as one: neither by randomness nor by a checksum."""
    admitted = DEFAULT.admit(report(attributes=Attributes(normalized_error=word)))

    assert admitted.attributes is not None
    assert (admitted.attributes.normalized_error, admitted.removed) == (word, {})


@pytest.mark.parametrize(
    "text", [KEY, f"blocked {KEY}", "blocked: password is hunter2", "password=hunter2", "for bob@example.com"]
)
def test_the_gateways_word_for_an_error_holds_no_secret(text: str) -> None:
    """A key of a known format goes wherever it stands; what is more than a word is cleaned as free text is."""
    admitted = DEFAULT.admit(report(attributes=Attributes(normalized_error=text)))

    assert admitted.attributes is not None
    assert "[redacted:" in str(admitted.attributes.normalized_error)
    assert admitted.removed == {"normalized_error": 1}


def test_attributes_lose_what_no_name_may_hold() -> None:
    """Half an id would join calls that do not belong together, so it goes whole; names are cleaned; odd units go."""
    units = {"images": Decimal(1), "bob@example.com": Decimal(1), "A b": Decimal(1)}
    attributes = Attributes(trace_id=f"t {KEY}", session_id="bob@example.com", team=f"search {KEY}", units=units)

    admitted = DEFAULT.admit(report(attributes=attributes))

    assert admitted.attributes is not None
    assert (admitted.attributes.trace_id, admitted.attributes.session_id) == (None, None)
    assert KEY not in str(admitted.attributes.team)
    assert admitted.attributes.units == {"images": Decimal(1)}
    assert set(admitted.removed) >= {"trace_id", "session_id", "team", "units"}


def test_attributes_that_the_policy_drops_are_not_kept() -> None:
    """The strict policy keeps no session."""
    admitted = STRICT.admit(report(attributes=Attributes(session_id="s-1")))

    assert admitted.attributes is None
