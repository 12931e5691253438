"""What of a report may be stored."""

from decimal import Decimal

import pytest
from admitting import DEFAULT, KEY, PROMPT, REDACTOR, STARTED_AT, STRICT, failed, report

from policies import (
    Admission,
    AmountPart,
    Attributes,
    Report,
    parse,
    preset_text,
)
from policies.admission.call import REJECTED_ACCOUNT, REJECTED_CURRENCY


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
        for name in Report.__struct_fields__
        if name not in ("error", "content", "dropped", "identifiers", "persons", "warnings", "billed_once", "within")
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
