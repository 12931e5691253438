"""Echoes of a report's content in its error's text: what is one, however it is written, and what is none."""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import html
import json
import random
import time
from threading import Thread
from urllib.parse import quote, quote_plus

import pytest

from policies.admission.content import gather
from policies.redaction import ContentIndex, Redactor

REDACTOR = Redactor()
PROMPT = "My wife has cancer, what now?"
CHINESE = "我的妻子得了乳腺癌应该怎么治疗"


def masked(text: str, *content: str, identifiers: tuple[str, ...] = ()) -> str:
    return REDACTOR.redact(text, content=ContentIndex(content, identifiers)).masked


@pytest.mark.parametrize(
    "prompt",
    [
        "I have HIV now",
        "am I pregnant?",
        "fired by Nestor",
        "chlamydia",
        "我怀孕了怎么办",
        "乳腺癌",
        "老板骚扰我",
        "私は癌ですか",
        "うつ病です",
        "우울증이에요",
        "임신했어요",
        "ผมเป็นมะเร็ง",
        "у меня рак",
        "έχω καρκίνο",
        "אני בהריון",
        CHINESE,
    ],
)
def test_a_short_prompt_is_found_whole(prompt: str) -> None:
    """What is short in characters may say a lot: the whole prompt goes, whatever stands around it."""
    for text in (f"Invalid input: '{prompt}' (400)", f'{{"prompt": "{prompt}"}} was refused'):
        result = REDACTOR.redact(text, content=ContentIndex([prompt]))
        assert prompt not in result.masked
        assert result.counts == {"content-echo": 1}


@pytest.mark.parametrize(
    "written",
    [
        PROMPT,
        PROMPT.upper(),
        PROMPT.replace(" ", "  "),
        PROMPT.replace(" ", "\n"),
        PROMPT.replace(" ", "\\n"),
        quote(PROMPT),
        quote_plus(PROMPT),
        quote(quote(PROMPT)),
        html.escape("My wife has <b>cancer</b>, what now?").replace("&lt;b&gt;", "").replace("&lt;/b&gt;", ""),
        "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else "\u3000" for char in PROMPT),
        "".join(f"\\u{ord(char):04x}" for char in PROMPT),
        "".join(f"&#{ord(char)};" for char in PROMPT),
        "".join(f"&#x{ord(char):x};" for char in PROMPT),
        "\u200b".join(PROMPT),
        "My wife has **cancer**, what now?",
        json.dumps(json.dumps(PROMPT)),
    ],
)
def test_the_way_it_is_written_saves_no_echo(written: str) -> None:
    """Case, blanks, line breaks, width, invisible characters and escapes tell no two texts apart."""
    shown = masked(f"400: <{written}> is not allowed", PROMPT)

    assert shown.startswith("400: <")
    assert "[redacted:content-echo]" in shown
    assert shown.rstrip('?&3;<>\\"% ').endswith("is not allowed")
    assert "wife" not in shown.casefold()
    assert "cancer" not in shown.casefold()


@pytest.mark.parametrize(
    "written",
    [
        quote(CHINESE),
        json.dumps(CHINESE),
        repr(CHINESE.encode()),
        "\n".join(CHINESE),
        " ".join(CHINESE),
        CHINESE[3:9],
        f"…{CHINESE[:6]}…",
    ],
)
def test_chinese_is_measured_by_what_it_says(written: str) -> None:
    """Six Han characters of a prompt are an echo, escaped or not."""
    assert "[redacted:content-echo]" in masked(f"error: {written} !", CHINESE)


def test_escapes_in_the_content_are_opened_too() -> None:
    """Arguments of a tool are JSON inside of a string: their escapes are another way to write the same."""
    arguments = json.dumps({"note": "Müller hat Krebs im Endstadium"})

    assert "Endstadium" not in masked("cannot parse: Müller hat Krebs im Endstadium", arguments)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Rate limit reached for requests", "What is the rate of tax?"),
        ("请求参数错误", "请求"),
        ("Internal error", "Interna"),
        ("invalid role: user", "user"),
        ("messages with role 'assistant' need content", "hi"),
        ("14 letters: abcdefg hijklmn", "abcdefg hijklmnopq rstuv"),
    ],
)
def test_what_says_little_is_no_echo(text: str, content: str) -> None:
    """A few letters that two texts share are chance, and so is a part of a word."""
    assert masked(text, content) == text


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


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("ab" * 32_768, "ab" * 262_144),
        ("\\" * 65_536, "\\" * 262_144),
        ("%25" * 21_000, "%25" * 200_000),
        ("\ufdfa" * 65_536, "\ufdfa" * 10_000),
        ("我的妻子" * 16_384, "我的妻子得" * 30_000),
        ("&amp;" * 13_000, "&amp;" * 100_000),
        ("abcdefgh1" * 7_000, "abcdefgh2" * 50_000),
    ],
)
def test_no_text_takes_long(text: str, content: str) -> None:
    """Time is linear: four times the text and the content take at most some six times as long."""
    quarter = _seconds(text[: len(text) // 4], content[: len(content) // 4])

    assert _seconds(text, content) < max(8 * quarter, 0.25)


def _seconds(text: str, content: str) -> float:
    best = 1e9
    for _ in range(3):
        before = time.process_time()
        ContentIndex([content]).spans(text)
        best = min(best, time.process_time() - before)
    return best


def test_a_long_comparison_lets_other_threads_run() -> None:
    """Han characters of the longest text, which the content says eight times: no step works at all of them."""
    text = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FA5), k=65_536)))
    thread = Thread(target=ContentIndex([text * 8]).spans, args=(text,))

    begun = time.process_time()
    thread.start()
    waits: list[float] = []
    while thread.is_alive():
        before = time.process_time()
        time.sleep(0.0005)
        waits.append(time.process_time() - before)

    whole = time.process_time() - begun
    assert sum(wait for wait in waits if wait > whole / 30) < whole / 4


def test_many_short_strings_are_looked_for_at_once() -> None:
    """A hundred thousand short strings cost no search each."""
    strings = [f"word{number:07d}" for number in range(100_000)]

    before = time.process_time()
    found = ContentIndex(strings).spans("word0099999 " + "x" * 60_000)

    assert found == [(0, 11)]
    assert time.process_time() - before < 2


RUSSIAN = "Моя жена больна раком"
KOREAN = "내 아내가 유방암에 걸렸어요"


def _in_backslashes(text: str) -> str:
    return json.dumps(text)[1:-1]


@pytest.mark.parametrize("tail", ["...", "… [truncated]", "", "'", "[truncated]", " is bad"])
@pytest.mark.parametrize(
    ("written", "prompt"),
    [
        (quote(RUSSIAN[:7]), RUSSIAN),
        (quote(RUSSIAN[:8]), RUSSIAN),
        (quote(RUSSIAN[:8])[:-1], RUSSIAN),
        (quote(RUSSIAN[:8])[:-2], RUSSIAN),
        (quote(quote(RUSSIAN[:9])), RUSSIAN),
        (quote(quote(RUSSIAN[:9]))[:-3], RUSSIAN),
        (_in_backslashes(RUSSIAN[:7]), RUSSIAN),
        (_in_backslashes(RUSSIAN[:9])[:-2], RUSSIAN),
        (_in_backslashes(KOREAN[:7]) + "\\", KOREAN),
        (quote("我的妻子"), CHINESE.replace(CHINESE, "我的妻子得了乳腺癌")),
        ("".join(f"%{ord(char):02X}" for char in "my wife has"), "my wife has breast cancer"),
        ("".join(f"&#{ord(char)};" for char in RUSSIAN[:8]), RUSSIAN),
    ],
)
def test_a_beginning_that_is_escaped_and_cut_off_is_an_echo(written: str, prompt: str, tail: str) -> None:
    """What it says is judged by the letters that it stands for, and half an escape at its end is none."""
    shown = masked(f"bad input: {written}{tail}", prompt)

    assert shown.startswith("bad input: [redacted:content-echo]")
    assert written not in shown


@pytest.mark.parametrize("tail", ["...", "…", " [truncated 300 characters]", "(cut)", "<...>"])
def test_a_beginning_that_is_cut_off_is_an_echo(tail: str) -> None:
    """In plain letters too, where the message says that it was cut there."""
    assert masked(f"bad input: {RUSSIAN[:7]}{tail}", RUSSIAN) == f"bad input: [redacted:content-echo]{tail}"
    assert masked(f"bad input: my wife ha{tail}", "My wife has cancer").startswith("bad input: [redacted:content-echo]")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Failed to establish a new connection", "connection pooling in Python"),
        ("retrying the connection...", "how does a connection pool work"),
        ("Rate limit...", "Rate my poem"),
        ("expected 'connection', got 50% of it", "connection pooling in Python"),
        ("at C:\\temp\\connection", "Connections in Python"),
    ],
)
def test_the_last_word_of_a_message_is_no_beginning(text: str, content: str) -> None:
    """Where nothing says that a quotation was cut, a word that begins the prompt is a word."""
    assert masked(text, content) == text


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


def test_a_letter_that_is_a_parameters_name_parts_no_run() -> None:
    """`n` is the name of a parameter and a letter of any prompt: a run goes on across it."""
    assert (
        masked("bad: n abcdefg hijklmn", "in n abcdefg hijklmn o", identifiers=("n",)) == "bad: [redacted:content-echo]"
    )


PICTURES = "😀😃😄😁😆😅🤣😂🙂🙃"


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (PICTURES, f"bad input: {PICTURES} (400)"),
        (f"I feel {PICTURES} today", f"bad input: {PICTURES[1:]} (400)"),
        (PICTURES, f"bad input: {json.dumps(PICTURES)} (400)"),
        (PICTURES, f"bad input: {' '.join(PICTURES)} (400)"),
        ("🔪💀🩸🚑", "bad input: 🔪💀🩸🚑 (400)"),
    ],
)
def test_pictures_alone_are_an_echo(prompt: str, text: str) -> None:
    """What is said in pictures is said: a row of eight, or a whole prompt of four."""
    shown = masked(text, prompt)

    assert "[redacted:content-echo]" in shown
    assert not set(prompt) & set(shown) - set("I feel today")


def test_pictures_among_words_tell_no_texts_apart_and_few_are_no_echo() -> None:
    """Letters are compared without the pictures between them, and a sign of an error is no prompt's."""
    assert "cancer" not in masked("400: my wife has cancer now", "my wife 😀 has 😃 cancer now")
    assert masked("✅ ok ❌ failed", "ok ✅ and ❌") == "✅ ok ❌ failed"


@pytest.mark.parametrize("written", ["カードノバンゴウ", "かーどのばんごう", "ｶｰﾄﾞﾉﾊﾞﾝｺﾞｳ"])
@pytest.mark.parametrize("prompt", ["カードノバンゴウ", "かーどのばんごう"])
def test_katakana_and_hiragana_are_one(prompt: str, written: str) -> None:
    """The same sounds in the other kana are the same words."""
    assert masked(f"400: {written} x", prompt) == "400: [redacted:content-echo] x"
