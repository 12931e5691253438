"""What of an error may be stored: its text, its parameters and its fingerprint."""

from decimal import Decimal
from typing import Any

import pytest
from admitting import DEFAULT, KEY, PROMPT, REDACTOR, STRICT, failed

from policies import (
    Admission,
    load_preset,
)
from policies.admission.call import REJECTED_ACCOUNT
from policies.admission.parameters import VALUES_MAX
from policies.admission.segments import Parameter, ParameterAction, masked, revealed, unpack_segments
from policies.redaction import RedactionError, Redactor

BILLING = Admission(load_preset("billing-only"), REDACTOR)


def message_of(admitted: Any, join: Any = masked) -> str:
    details = unpack_segments(admitted.error.blob)
    assert details.message is not None
    return join(details.message)


def parameters_of(admitted: Any) -> dict[str, Parameter]:
    return dict(unpack_segments(admitted.error.blob).parameters)


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
