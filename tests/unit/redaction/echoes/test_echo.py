"""Echoes of a report's content in its error's text: what is one, however it is written, and what is none."""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import html
import json
import random
import time
from threading import Thread
from urllib.parse import quote, quote_plus

import pytest
from echoing import CHINESE, REDACTOR, masked

from policies.redaction import ContentIndex

PROMPT = "My wife has cancer, what now?"


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
        "".join(f"\\u{{{ord(char):x}}}" for char in CHINESE),
        "".join(f"\\U{ord(char):08x}" for char in CHINESE),
        "".join(f"\\{byte:03o}" for byte in CHINESE.encode()),
        "".join(f"%u{ord(char):04x}" for char in CHINESE),
        "".join(f"={byte:02X}" for byte in f"{CHINESE[:8]} {CHINESE[8:]}".encode()),
        "".join(f"<b>{char}</b>" for char in CHINESE),
        "".join(f"\x1b[31m{char}" for char in CHINESE),
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
