"""Under whatever name a gateway sends a prompt or an answer, the error's text loses it."""

import json
from typing import Any

import pytest

from policies import Admission, Admitted, Report, load_preset
from policies.admission.segments import masked, unpack_segments
from policies.redaction import Redactor
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.native.reader import read_row

DEFAULT = Admission(load_preset("default"), Redactor())
PROMPT = "my wife has breast cancer"
MESSAGE = f"Invalid input: '{PROMPT}'"
CUT = "Invalid input: '[redacted:content-echo]'"


def native(error: dict[str, Any] | None = None, **fields: Any) -> Admitted:
    row = {
        "id": "req-1", "started_at": "2026-11-22T10:00:00Z", "model": "gpt-4o", "status": "failed",
        "error": {"type": "BadRequest", "message": MESSAGE} | (error or {}),
    }  # fmt: skip
    report = read_row(json.dumps(row | fields).encode())
    assert isinstance(report, Report)
    return DEFAULT.admit(report)


def litellm(**fields: Any) -> Admitted:
    entry = {
        "litellm_call_id": "c-1", "status": "failure", "startTime": 1795000000.0, "model": "gpt-4o", "messages": [],
        "call_type": "acompletion", "error_information": {"error_class": "BadRequest", "error_message": MESSAGE},
    }  # fmt: skip
    report = read_entry(json.dumps(entry | fields).encode())
    assert isinstance(report, Report)
    return DEFAULT.admit(report)


def message_of(admitted: Admitted) -> str:
    assert admitted.error is not None
    assert admitted.error.blob is not None
    return masked(unpack_segments(admitted.error.blob).message or ())


@pytest.mark.parametrize(
    "name",
    ["question", "chat_history", "conversation", "history", "request_body", "raw_request", "context", "data", "payload",
     "texts", "thinking", "reasoning", "transcript", "prediction", "proxy_server_request", "candidates", "x", "notes",
     "standard_built_in_tools_params", "error_input"],
)  # fmt: skip
@pytest.mark.parametrize("value", [PROMPT, [PROMPT], {"a": [{"b": PROMPT}]}, json.dumps({"q": PROMPT})])
def test_a_field_that_nobody_knows_may_hold_the_prompt(name: str, value: Any) -> None:
    """Its text is compared before it is gone, in both formats."""
    assert message_of(native(**{name: value})) == CUT
    assert message_of(litellm(**{name: value})) == CUT


def test_geminis_prompt_and_answer_are_content() -> None:
    """They come as `contents` and `candidates`, in parts; a short prompt is found whole."""
    contents = [{"role": "user", "parts": [{"text": PROMPT}]}]
    short = [{"role": "user", "parts": [{"text": "ich bin krank"}]}]

    assert message_of(native(contents=contents)) == CUT
    assert message_of(litellm(contents=contents)) == CUT
    shown = message_of(native({"message": "cannot answer 'ich bin krank'"}, contents=short))
    assert shown == "cannot answer '[redacted:content-echo]'"


@pytest.mark.parametrize("name", ["metadata", "hidden_params"])
def test_parts_of_litellms_own_objects_may_hold_it(name: str) -> None:
    """What of `metadata` and `hidden_params` is no fact of the call is compared like unknown fields."""
    assert message_of(litellm(**{name: {"note": PROMPT}})) == CUT
    assert message_of(litellm(**{name: {"deep": [{"note": PROMPT}]}})) == CUT


def test_the_request_in_an_error_is_content() -> None:
    """An error that brings the request along does not keep what it echoes of it."""
    for name in ("prompt", "input", "request", "messages", "request_body"):
        assert message_of(native({name: {"x": PROMPT}})) == CUT


@pytest.mark.parametrize(
    "fields",
    [
        {"gateway_request": "gw-eu-west-1-20261122-8f2c7a"},
        {"build": "release/2026.11.22+build.4711"},
        {"hostname": "llm-gateway-7f9c.eu-west-1.internal"},
        {"error_detail": "the gateway timed out at llm-gateway-7f9c.eu-west-1.internal"},
        {"exception": {"args": ["release/2026.11.22+build.4711 timed out"]}},
    ],
)
def test_what_a_gateway_calls_itself_is_no_content(fields: dict[str, Any]) -> None:
    """Ids, hosts and versions under unknown names stay in the message, and so does what says the error again."""
    text = (
        "gw-eu-west-1-20261122-8f2c7a: release/2026.11.22+build.4711 timed out; "
        "the gateway timed out at llm-gateway-7f9c.eu-west-1.internal"
    )
    assert message_of(native({"message": text}, **fields)) == text


def test_a_call_that_succeeded_is_not_walked() -> None:
    """Without an error there is nothing to compare with."""
    row = {"id": "r", "started_at": "2026-11-22T10:00:00Z", "model": "m", "status": "succeeded", "question": PROMPT}
    report = read_row(json.dumps(row).encode())

    assert isinstance(report, Report)
    assert report.content == []


LABELS = {
    "normalized_error": PROMPT, "session_id": PROMPT, "trace_id": PROMPT, "provider_request_id": PROMPT,
    "deployment": PROMPT, "team": PROMPT, "organization": PROMPT, "operation": PROMPT, "served_model": PROMPT,
    "provider": PROMPT, "api_key": PROMPT, "tags": {"team": PROMPT, "project": f"on {PROMPT}"},
}  # fmt: skip


def _shown(admitted: Admitted) -> str:
    values = [getattr(admitted, name) for name in Admitted.__dataclass_fields__ if name not in ("user", "error")]
    return repr(values)


def test_no_name_of_a_failed_call_repeats_its_content() -> None:
    """Labels, tags and what routed the call lose it; ids that join calls are gone whole."""
    admitted = native(messages=[{"role": "user", "content": PROMPT}], **LABELS)

    assert "cancer" not in _shown(admitted)
    assert admitted.tags == {"team": "[redacted:content-echo]", "project": "on [redacted:content-echo]"}
    assert admitted.attributes is not None
    assert (admitted.attributes.session_id, admitted.attributes.trace_id) == (None, None)
    assert admitted.removed["normalized_error"] == 1


def test_a_name_that_reads_as_the_prompt_is_no_name() -> None:
    """A sentence is not saved by being written as one word."""
    admitted = native(question=PROMPT, team="my_wife_has_breast_cancer", deployment="my-wife-has-breast-cancer")

    assert "cancer" not in _shown(admitted)


def test_names_stay_though_the_prompt_holds_them() -> None:
    """What has the form of a name is what one debugs with, whatever the prompt speaks of; so do id, account, model."""
    names: dict[str, Any] = {
        "deployment": "gpt-4o-production-eastus", "team": "customer-success", "served_model": "gpt-4o-2024-08-06",
        "operation": "chat.completions", "tags": {"team": "customer-success-emea"},
    }  # fmt: skip
    prompt = f"{' and '.join(map(str, names.values()))}; account-of-my-own-company gpt-4o"
    admitted = native(messages=[{"content": prompt}], account="account-of-my-own-company", **names)

    assert (admitted.operation, admitted.served_model) == ("chat.completions", "gpt-4o-2024-08-06")
    assert (admitted.tags, admitted.account) == (names["tags"], "account-of-my-own-company")
    assert admitted.attributes is not None
    assert (admitted.attributes.deployment, admitted.attributes.team) == (names["deployment"], names["team"])


def test_without_content_to_compare_only_names_stay() -> None:
    """When the content is too large to be walked, a label that may be text is not kept."""
    parameters = {"unlisted": [[str(number)] for number in range(200_000)]}
    admitted = native({"parameters": parameters}, team=PROMPT, deployment="gpt-4o-eastus")

    assert admitted.attributes is not None
    assert (admitted.attributes.team, admitted.attributes.deployment) == ("[redacted:engine-failure]", "gpt-4o-eastus")


@pytest.mark.parametrize(
    "inside",
    [
        {"body": {"messages": [{"role": "user", "content": PROMPT}]}},
        {"failed_generation": PROMPT},
        {"response": {"request": {"prompt": PROMPT}}},
        {"details": [{"inputs": [PROMPT]}]},
        {"metadata": {"a": {"query": PROMPT}}},
        {"provider_specific_fields": {"messages": [PROMPT]}},
    ],
)
def test_what_an_error_holds_beside_its_text_may_be_the_prompt(inside: dict[str, Any]) -> None:
    """A field of an error under a name of content is compared at any depth; so in LiteLLM's."""
    details = {"error_class": "BadRequest", "error_message": MESSAGE} | inside

    assert message_of(native(error=inside)) == CUT
    assert message_of(litellm(error_information=details)) == CUT


@pytest.mark.parametrize("name", ["exception", "last_error", "error_detail"])
def test_what_tells_of_the_error_once_more_may_hold_the_prompt(name: str) -> None:
    """Its own words are no content, and what stands in it under a name of content is."""
    told = {"message": "Invalid input", "body": {"prompt": PROMPT}}

    assert message_of(native(**{name: told})) == CUT
    assert message_of(litellm(**{name: told})) == CUT


def test_an_error_that_says_its_text_twice_keeps_it() -> None:
    """A body or a detail with the error's own words is not what somebody asked."""
    twice = {"body": {"error": {"message": MESSAGE}}, "detail": MESSAGE, "param": "messages[0].content"}

    assert message_of(native(error=twice)) == MESSAGE


QUOTED = f"Passed completion_response=ModelResponse(choices=[Choices(message=Message(content='{PROMPT}'))])"
FRAMES = (
    'Traceback (most recent call last):\n  File "/app/litellm/main.py", line 12, in acompletion\n'
    "    raise BadRequestError(message=message)\n           ^^^^^^^^^^^^^^^\n"
)
DEBUGGING = [
    ("error_information", "traceback"), ("metadata", "error"), ("response_cost_failure_debug_info", "error_str"),
    ("response_cost_failure_debug_info", "traceback_str"), ("zero_cost_diagnostic", "reason"),
    ("status_fields", "llm_api_status"),
]  # fmt: skip


def debugged(name: str, field: str, value: Any, message: str = MESSAGE) -> str:
    error = {"error_class": "BadRequest", "error_message": message}
    if name == "error_information":
        return message_of(litellm(error_information=error | {field: value}))
    return message_of(litellm(error_information=error, **{name: {field: value}}))


@pytest.mark.parametrize(("name", "field"), DEBUGGING)
@pytest.mark.parametrize(
    "value",
    [PROMPT, QUOTED, FRAMES + PROMPT, f"{FRAMES}openai.BadRequestError: {QUOTED}", [PROMPT],
     [{"role": "user", "content": [{"text": PROMPT}]}], f"{MESSAGE}. {QUOTED}"],
)  # fmt: skip
def test_what_is_written_for_debugging_may_quote_it(name: str, field: str, value: Any) -> None:
    """LiteLLM writes whole answers where it says why it knows no price, and others write them elsewhere."""
    shown = debugged(name, field, value)

    # A run begins wherever both say the same: `content` and `input` end in the same letter.
    assert shown in (CUT, "Invalid inpu[redacted:content-echo]'")


@pytest.mark.parametrize("name", ["response_cost_failure_debug_info", "zero_cost_diagnostic", "user_agent"])
@pytest.mark.parametrize("value", [PROMPT, [{"role": "user", "content": [{"text": PROMPT}]}]])
def test_debug_fields_need_no_form(name: str, value: Any) -> None:
    """Whatever stands in place of the object that LiteLLM writes is looked at too."""
    assert message_of(litellm(**{name: value})) == CUT


@pytest.mark.parametrize(("name", "field"), DEBUGGING)
@pytest.mark.parametrize(
    "value",
    ["{message}", "{core}", FRAMES + "{message}", FRAMES + "{core}\n", FRAMES, "litellm.exceptions.{message}",
     FRAMES + "litellm.BadRequestError", "guardrail_intervened", {"error": {"message": "{half}", "code": "400"}}],
)  # fmt: skip
def test_an_error_that_is_told_again_is_no_content(name: str, field: str, value: Any) -> None:
    """The message stays as it is, though it is written elsewhere too, with the names of classes and with frames."""
    core = "the guardrail_intervened at /app/litellm/main.py in acompletion, raise BadRequestError(message=message)"
    message = f"litellm.BadRequestError: OpenAIException - {core}"
    text = json.loads(
        json.dumps(value).replace("{message}", message).replace("{core}", core).replace("{half}", core[:60])
    )

    assert debugged(name, field, text, message) == message


def test_what_was_raised_before_is_no_content() -> None:
    """A traceback says how the error came about, in words that the message has in part."""
    text = (
        f"{FRAMES}openai.BadRequestError: Error code: 400 - {{'error': {{'message': 'no such model in this region'}}}}"
    )
    message = "litellm.BadRequestError: no such model in this region. Received Model Group=x"

    assert debugged("error_information", "traceback", text, message) == message


@pytest.mark.parametrize("name", ["body", "details", "inner"])
def test_a_message_of_a_conversation_is_content_within_an_error(name: str) -> None:
    """Whatever it stands under: what has a role was said by somebody."""
    value = {name: [{"role": "user", "content": [{"text": PROMPT}]}]}
    information = {"error_class": "BadRequest", "error_message": MESSAGE}

    assert message_of(native(value)) == CUT
    assert message_of(litellm(error_information=information | value)) == CUT


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "custom", "custom": {"name": "run_code", "description": PROMPT}}]},
        {"tools": [{"type": "custom", "name": "run_code", "format": {"type": "grammar", "definition": PROMPT}}]},
        {"tool_calls": [{"type": "custom", "custom": {"name": "run_code", "input": PROMPT}}]},
        {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "run_code", "input": PROMPT}]},
        {"output": [{"type": "custom_tool_call_output", "call_id": "c", "output": PROMPT}]},
        {"response": {"output": [{"type": "custom_tool_call", "name": "run_code", "input": PROMPT}]}},
    ],
)
def test_what_a_custom_tool_is_given_is_content(fields: dict[str, Any]) -> None:
    """OpenAI's custom tools take plain text, which no schema tells of: compared, and gone, in both formats."""
    assert message_of(native(**fields)) == CUT
    assert message_of(litellm(**fields)) == CUT
