"""What is compared of a text leads back to the characters that it is of, in every script."""

from collections.abc import Callable

import pytest

from policies.redaction.echoes.comparing import aligned, clusters, compared, opened_readings
from policies.redaction.echoes.persons import Persons
from policies.redaction.echoes.spellings import letters

TEXTS = [
    "",
    "plain text, 3 words",
    "用户额度不足, 剩余额度: \uff040.12 of jane",
    "e\u0301te\u0301 of Zoe\u0308",
    "カタカナ\uff8a\uff9e\uff76\uff9e か\u3099",
    "\ufb01le \u2116 7 \u33a1",
    "\u1100\u1161\u11a8 \uac00 \U0001f600",
    "\u0301 begins with a mark",
]


@pytest.mark.parametrize("form", [compared, letters])
@pytest.mark.parametrize("text", TEXTS)
def test_each_byte_is_of_the_characters_that_it_was_made_of(text: str, form: Callable[[str], bytes]) -> None:
    """A mark is one with its letter; what has several letters is each of them."""
    data = form(text)
    starts, ends = aligned(text, form, len(data))
    parts = [(start, end, form(text[start:end])) for start, end in clusters(text)]
    assert "".join(text[start:end] for start, end, _ in parts) == text
    if sum(len(part) for _, _, part in parts) == len(data):
        assert starts == [start for start, _, part in parts for _ in part]
        assert ends == [end for _, end, part in parts for _ in part]
    else:
        assert (starts, ends) == ([0] * len(data), [len(text)] * len(data))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("用户 jane-doe 额度不足", "jane-doe"),
        ("用户 \uff2a\uff21\uff2e\uff25-doe 额度不足", "\uff2a\uff21\uff2e\uff25-doe"),
        ("用户 ja\u200bne-doe 额度", "ja\u200bne-doe"),
        ("\ufb01le of jane-doe", "jane-doe"),
        ("e\u0301te\u0301 of jane-doe", "jane-doe"),
        ("status_code=403, 用户 jane-doe, user%3Djane-doe", "jane-doe"),
    ],
)
def test_a_person_is_found_where_it_stands(text: str, named: str) -> None:
    """Whatever is folded or opened before it and behind it."""
    spans = Persons(["jane-doe"]).spans(text)
    assert [text[start:end] for start, end in spans] == [named] * len(spans)
    assert len(spans) == text.count(named)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        *((one, one) for one in ("status_code=403, 用户 jane", "HTTP status=404", "statusCode=400.")),
        ("(status=404) '{status=409}'; status=401: no", "(status=404) '{status=409}'; status=401: no"),
        ("jane=40example.com", "jane@example.com"),
        ("jane=40163.com", "jane@163.com"),
        ("status=403.example.com", "status@3.example.com"),
        ("status=403-mail.example", "status@3-mail.example"),
        ("status=403\u00admail.example", "status@3\u00admail.example"),
        ("status=403=\nmail.example", "status@3mail.example"),
        ("barcode=403, zip.status=403, my-status=403", "barcode@3, zip.status@3, my-status@3"),
        ("my_status_code=403 status==403", "my_status_code@3 status=@3"),
        ("jane=403, of status_code=403", "jane@3, of status_code=403"),
    ],
)
def test_a_status_is_no_escape(text: str, last: str) -> None:
    """Mail writes `@` as `=40`; so do errors begin that name a status of HTTP, and these are read once."""
    assert [reading.text for reading in opened_readings(text)] == list(dict.fromkeys([text, last]))


def test_who_has_an_address_that_looks_like_a_status_is_found() -> None:
    """Whatever the mail's writer put behind the figure, that is no part of a word."""
    for text in ("of barcode=403\u00admail.example", "of barcode=403=\nmail.example", "of barcode=403mail.example"):
        assert [text[slice(*span)] for span in Persons(["barcode@3mail.example"]).spans(text)] == [text[3:]]


def test_each_reading_knows_where_it_is_from() -> None:
    """However often it is asked: three escapes, the second within what the first stands for."""
    text = "a %41 b %2541 c \\u00e9 d"
    for reading in opened_readings(text):
        for word in "abcd":
            at = reading.text.index(word)
            for _ in range(2):
                start, end = reading.origin(at, at + 1)
                assert text[start:end] == word
