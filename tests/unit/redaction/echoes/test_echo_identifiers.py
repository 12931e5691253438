"""What of a report is named in its error and is no echo: tools, fields of schemas, ids, addresses."""
# full-width letters and other scripts are what is looked for

import pytest
from echoing import CHINESE, REDACTOR, masked

from policies.admission.content import gather
from policies.redaction import ContentIndex


def request(**fields: object) -> ContentIndex:
    found = gather(fields)
    return ContentIndex(found.strings, found.identifiers)


TOOL = "get_weather_forecast_for_city"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": TOOL, "description": f"calls {TOOL}"}}]},
        {"tools": [{"name": TOOL, "input_schema": {}}], "messages": [{"role": "user", "content": f"use {TOOL}!"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": TOOL, "arguments": "{}"}}]}]},
        {"messages": [{"role": "tool", "name": TOOL, "content": "sunny"}]},
        {"input": [{"type": "function_call", "name": TOOL, "arguments": "{}"}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": TOOL, "input": {}}]}]},
        {"tool_choice": {"type": "function", "function": {"name": TOOL}}},
    ],
)
def test_the_name_of_a_tool_stays(fields: dict[str, object]) -> None:
    """Which tool's schema is wrong is what one debugs with."""
    text = f"Invalid schema for function '{TOOL}': missing `type`"

    assert REDACTOR.redact(text, content=request(**fields)).masked == text


SCHEMA = {"type": "object", "properties": {TOOL: {"type": "string"}}, "required": [TOOL]}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"functionDeclarations": [{"name": TOOL}]}]},
        {"tools": [{"function_declarations": [{"name": TOOL}]}]},
        {"contents": [{"role": "model", "parts": [{"functionCall": {"name": TOOL, "args": {}}}]}]},
        {"contents": [{"role": "user", "parts": [{"function_response": {"name": TOOL, "response": {}}}]}]},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [TOOL]}}},
        {"toolConfig": {"tools": [{"toolSpec": {"name": TOOL}}], "toolChoice": {"tool": {"name": TOOL}}}},
        {"messages": [{"content": [{"toolUse": {"toolUseId": "x", "name": TOOL, "input": {}}}]}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": TOOL, "schema": {}}}},
        {"text": {"format": {"type": "json_schema", "name": TOOL, "schema": {}}}},
        {"tools": [{"type": "mcp", "server_label": TOOL, "allowed_tools": [TOOL]}]},
        {"mcp_servers": [{"type": "url", "name": TOOL}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "required": [TOOL]}}]},
        {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"properties": {"a": SCHEMA}}}}}]},
        {"response_format": {"json_schema": {"name": "f", "schema": SCHEMA}}},
        {"tools": [{"type": "custom", "custom": {"name": TOOL, "description": "runs code"}}]},
        {"tools": [{"type": "custom", "name": TOOL, "format": {"type": "text"}}]},
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": TOOL, "input": ""}}]}
            ]
        },
        {"choices": [{"message": {"tool_calls": [{"type": "custom", "custom": {"name": TOOL, "input": "x"}}]}}]},
        {"input": [{"type": "custom_tool_call", "call_id": "c", "name": TOOL, "input": "x"}]},
        {"tool_choice": {"type": "custom", "custom": {"name": TOOL}}},
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "custom", "name": TOOL}]}},
        {"tool_choice": {"allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": TOOL}}]}}},
    ],
)
def test_names_of_all_vendors_shapes_stay(fields: dict[str, object]) -> None:
    """Tools, servers, schemas and their fields are named in each vendor's own way; the prompt may name them too."""
    text = f"In context=('properties', '{TOOL}'), extra required key supplied"
    content = request(**fields, prompt=f"please call {TOOL} for me")

    assert REDACTOR.redact(text, content=content).masked == text


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("developer_instructions", {"messages": [{"role": "developer_instructions", "content": "x"}]}),
        ("developerInstructions", {"contents": [{"role": "developerInstructions", "parts": [{"text": "x"}]}]}),
        ("input_image_url_v2", {"messages": [{"role": "user", "content": [{"type": "input_image_url_v2"}]}]}),
        ("web_search_preview_2026", {"tools": [{"type": "web_search_preview_2026"}]}),
        (
            "application/vnd.openxmlformats-officedocument",
            {"parts": [{"inline_data": {"mime_type": "application/vnd.openxmlformats-officedocument"}}]},
        ),
        ("image/x-portable-arbitrarymap", {"input": [{"source": {"media_type": "image/x-portable-arbitrarymap"}}]}),
    ],
)
def test_a_value_that_was_refused_stays(value: str, fields: dict[str, object]) -> None:
    """Which role, type or media type is none of the API's own is what one debugs with."""
    text = f"Invalid value: '{value}'. Supported values are: 'user'"

    assert REDACTOR.redact(text, content=request(**fields)).masked == text


def test_many_fields_of_schemas_push_out_no_tool() -> None:
    """Only so many identifiers are looked for: the names of tools come first."""
    schema = {"properties": {f"field_{number}_of_the_schema": {} for number in range(2_000)}}
    content = request(tools=[{"name": f"{TOOL}_{n}", "parameters": schema} for n in range(3)], prompt=f"use {TOOL}_0")

    assert REDACTOR.redact(f"no such tool: {TOOL}_0", content=content).masked == f"no such tool: {TOOL}_0"


@pytest.mark.parametrize(
    "id_",
    [
        "call_abc123DEF456ghi789JKL0",
        "resp_68a1f0c2d3e44b5a96c7d8e9f0a1b2c3",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
        "toolu_01A09q90qw90lq917835lq9",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_ids_that_programs_made_stay(id_: str) -> None:
    """Ids of calls, responses and messages are no content, though the request names them."""
    text = f"No tool output found for function call {id_}."
    content = request(messages=[{"role": "tool", "tool_call_id": id_, "content": f"see {id_}"}], previous=id_)

    assert REDACTOR.redact(text, content=content).masked == text


@pytest.mark.parametrize(
    "address", ["https://llm-eastus.example", "http://vllm.internal.example:8000/v1/chat/completions"]
)
def test_the_address_of_an_api_stays(address: str) -> None:
    """Which host did not answer is no content, though the request was sent with it."""
    text = f"Connection error: {address} did not answer"

    assert REDACTOR.redact(text, content=request(api_base=address, proxy={"url": address})).masked == text


def test_a_path_of_an_address_is_content() -> None:
    """Only words of an API are known in a path: whatever else somebody writes there is content."""
    address = "https://h.example/my/wife/has/breast/cancer"
    shown = REDACTOR.redact(f"no answer from {address}", content=request(api_base=address)).masked

    assert "cancer" not in shown
    assert shown.startswith("no answer from https://h.example")


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"function": {"name": "my wife has breast cancer"}}]},
        {"tools": [{"function": {"name": "Meine-Frau-hat-Brustkrebs-im-Endstadium" * 2}}]},
        {"tools": [{"function": {"name": CHINESE}}]},
        {"messages": [{"role": "user", "name": "Erika-Mustermann-Aachen-1964", "content": "hello"}]},
        {"tool_choice": {"name": "my_wife_has_breast_cancer"}, "messages": [{"content": "My wife has breast cancer."}]},
        {"model": "my wife has breast cancer", "prompt": "my wife has breast cancer"},
        {"id": "my-wife-has-breast-cancer-since-2019", "input": "x"},
        {"tools": [{"id": "call_mywifehasbreastcancer19"}]},
        {"metadata": {"type": "my wife has breast cancer"}},
        {"metadata": {"type": "Erika_Mustermann_Aachen", "role": "Erika_Mustermann_1964"}},
        {"messages": [{"role": "my wife has breast cancer", "content": [{"type": "she has breast cancer now"}]}]},
        {"messages": [{"role": "my_wife_has_breast_cancer", "content": "My wife has breast cancer."}]},
        {"messages": [{"role": "Jahrhundertwerk"}], "prompt": "Ein Jahrhundertwerk"},
        {"tools": [{"functionDeclarations": [{"name": "my wife has breast cancer"}]}]},
        {"tools": [{"type": "mcp", "server_label": "my wife has breast cancer"}]},
        {"response_format": {"json_schema": {"name": CHINESE}}},
        {"tools": [{"type": "custom", "custom": {"name": "my wife has breast cancer"}}]},
        {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "my wife has breast cancer"}}]},
        {"tools": [{"custom": {"name": "f", "format": {"grammar": {"definition": "my wife has breast cancer"}}}}]},
        {"input_schema": {"type": "object", "properties": {"my wife has breast cancer": {}}, "required": [CHINESE]}},
        {"properties": {"Brustkrebserkrankung": "x"}, "required": ["Brustkrebserkrankung"]},
        {"parts": [{"mime_type": "my/wife/has/breast/cancer"}, {"mime_type": "text/my wife has breast cancer"}]},
    ],
)
def test_content_is_not_smuggled_as_an_identifier(fields: dict[str, object]) -> None:
    """A sentence becomes no identifier by standing where one is expected: its form and the prompt tell."""
    for text in _leaves(fields):
        if len(text) < 16:
            continue
        shown = REDACTOR.redact(f"error near '{text}'", content=request(**fields)).masked
        assert text not in shown, text


def _leaves(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for item in items for leaf in _leaves(item)]


def test_plain_words_of_a_schema_part_no_sentence() -> None:
    """A field that is called `patient`, or a role `assistant`, does not show these words of a prompt."""
    schema = {"type": "object", "properties": {"patient": {"type": "string"}, "daughter": {}}, "required": ["patient"]}
    prompt = "the patient is my daughter"
    content = request(tools=[{"name": "f", "parameters": schema}], messages=[{"role": "patient", "content": prompt}])

    assert REDACTOR.redact(f"bad: {prompt}", content=content).masked == "bad: [redacted:content-echo]"


def test_a_sentence_around_an_identifier_goes() -> None:
    """What stands around a tool's name in an echo is cut, however often the name interrupts it."""
    prompt = f"my sister {TOOL} has {TOOL} an abortion {TOOL} tomorrow"

    shown = masked(f"refused: {prompt}", prompt, identifiers=(TOOL,))

    assert shown == f"refused: {TOOL.join(['[redacted:content-echo]'] * 4)}"


def test_a_tool_calls_id_stays_where_it_stands_as_one() -> None:
    """vLLM's ids, and OpenAI's without a digit among their letters; not what the prompt says in these letters."""
    for id_ in ("chatcmpl-tool-4f2c1e9a8b7d6c5e4f3a2b1c0d9e8f7a", "call_abcdefghijklmnopqrstuvwx"):
        content = request(
            messages=[{"tool_calls": [{"id": id_, "type": "function"}]}, {"role": "tool", "tool_call_id": id_}]
        )
        text = f"No tool output found for function call {id_}."
        assert REDACTOR.redact(text, content=content).masked == text
    id_ = "call_mywifehasbreastcancerxyz"
    content = request(messages=[{"content": "My wife has breast cancer xyz"}, {"tool_call_id": id_}])
    assert "cancer" not in REDACTOR.redact(f"no output for {id_}.", content=content).masked


@pytest.mark.parametrize("name", ["quality", "size", "voice", "tool_choice", "service_tier", "style"])
def test_a_value_out_of_an_apis_list_stays(name: str) -> None:
    """Which value was refused is what one debugs with, and it holds no sentence of the prompt."""
    text = "Invalid value: 'auto_extended_quality'. Supported values are: 'low'"

    assert REDACTOR.redact(text, content=request(**{name: "auto_extended_quality"})).masked == text
    smuggled = request(**{name: "my_wife_has_breast_cancer"}, prompt="My wife has breast cancer.")
    assert "cancer" not in REDACTOR.redact("no 'my_wife_has_breast_cancer'", content=smuggled).masked


def test_the_host_of_an_azure_deployment_stays() -> None:
    """Which deployment did not answer is what one debugs with; a storage account names the operator."""
    text = "Connection refused to https://my-resource-eastus.openai.azure.com/"

    assert masked(text, "hello") == text
    assert "harbourprod" not in masked("PUT https://harbourprod.blob.core.windows.net/batch failed", "hello")
