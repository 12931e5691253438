"""The laws of redaction, on texts that Hypothesis makes up around secrets, structure and marks."""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import textwrap

from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban

from policies.redaction import ContentIndex, Hidden, HiddenKind, RedactionError, Redactor
from policies.redaction.echoes.comparing import LETTER, compared, is_edge, weight
from policies.redaction.echoes.echo import FULL_TEXT_LETTERS, RUN_LETTERS
from policies.redaction.normalization import encode, folded, unescaped
from policies.redaction.spans import MARK
from policies.redaction.validators.checks import CHECKS
from policies.redaction.validators.randomness import entropy, has_entropy

REDACTOR = Redactor()
SECRETS = ["sk-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs", "AKIAQ7XW2LK9ZT4RV8BN", "ghp_q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6HsAbCdEfGhIjKl"]
PIECES = st.sampled_from(
    [
        *SECRETS,
        "password=",
        '"api_key": "',
        "Authorization: Bearer ",
        "[redacted:email]",
        "[redacted:",
        "]",
        "ada@example.com",
        "://a:b@",
        "+1 415 555 0132",
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0",
        "key",
        "=",
        ":",
        '"',
        "'",
        "\\n",
        "\\u0041",
        "%41",
        "&quot;",
        "\u200b",
        "ｋｅｙ",
        "密钥：",
        "�",
        "\x00",
        "{",
        "}",
        "[",
        " ",
        "\n",
        "203.0.113.77",
        "::1",
        "org-",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=14).map("".join)
EVERYTHING = st.text(st.characters(), max_size=200)  # lone surrogates too


def _original(text: str) -> None:
    result = REDACTOR.redact(text)
    rest = text
    clear = [segment if isinstance(segment, str) else segment.text for segment in result.segments]
    for segment in clear:
        if segment is not None:
            assert segment in rest
            rest = rest[rest.index(segment) + len(segment) :]


@settings(max_examples=400, deadline=None)
@given(st.one_of(TEXTS, EVERYTHING))
def test_idempotent(text: str) -> None:
    """Redacting a masked text changes nothing and finds nothing."""
    try:
        masked = REDACTOR.redact(text).masked
    except RedactionError:
        return
    again = REDACTOR.redact(masked)
    assert again.masked == masked
    assert again.counts == {}


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, EVERYTHING))
def test_segments_are_the_text_in_order(text: str) -> None:
    """The clear and personal segments stand in the text in their order; a text without hidden spans is itself."""
    try:
        result = REDACTOR.redact(text)
    except RedactionError:
        return
    _original(text)
    if not result.counts:
        assert result.masked == result.revealed == text
    assert sum(result.counts.values()) == sum(isinstance(s, Hidden) for s in result.segments)


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, EVERYTHING))
def test_only_personal_text_is_kept(text: str) -> None:
    """A hidden span carries text exactly when it is personal."""
    try:
        result = REDACTOR.redact(text)
    except RedactionError:
        return
    for segment in result.segments:
        if isinstance(segment, Hidden):
            assert (segment.text is not None) == (segment.kind is HiddenKind.personal)
            assert MARK.fullmatch(segment.mark.encode())


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(SECRETS), TEXTS)
def test_a_secret_between_blanks_always_goes(before: str, secret: str, after: str) -> None:
    """No surroundings save a secret that stands between blanks."""
    try:
        masked = REDACTOR.redact(f"{before} {secret} {after}").masked
    except RedactionError:
        return
    assert secret not in masked


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=16, max_size=60), st.text(max_size=40), st.text(max_size=40), st.integers(0, 20))
def test_every_echo_goes(echo: str, before: str, after: str, shift: int) -> None:
    """A run of content that says as much as 15 Latin letters is in no masked text, wherever it stood."""
    if weight(compared(echo)) < RUN_LETTERS * LETTER or compared(before + echo) != compared(before) + compared(echo):
        return
    index = ContentIndex(["." * shift + echo])
    try:
        masked = REDACTOR.redact(before + echo + after, content=index).masked
    except RedactionError:
        return
    assert echo not in masked


ALPHABETS = st.sampled_from(
    ["ab", "abc ", "abcdefgh .", "a\u00e9", "ab\xff\x00", "-. ", "a\u6211\u7684 ", "\u0431\u0432a", "\uff41A\u30ab "]
)


def _covered(text: str, strings: list[str]) -> set[int]:
    """Characters of `text` that stand in a run of a string's letters that says enough, or between two such letters."""
    letters = [(at, part) for at, char in enumerate(text) if (part := compared(char))]
    contents = [compared(string) for string in strings]
    covered: set[int] = set()
    for first in range(len(letters)):
        for last in range(first, len(letters)):
            run = b"".join([part for _, part in letters[first : last + 1]])
            if not any(run in content for content in contents):
                break
            start, end = letters[first][0], letters[last][0] + 1
            whole = any(run == content for content in contents) and weight(run) >= FULL_TEXT_LETTERS * LETTER
            alone = (start == 0 or is_edge(text[start - 1], text[start])) and (
                end == len(text) or is_edge(text[end], text[end - 1])
            )
            if weight(run) >= RUN_LETTERS * LETTER or (whole and alone):
                covered.update(range(start, end))
    return covered


@settings(max_examples=400, deadline=None)
@given(ALPHABETS, st.data())
def test_echoes_are_what_a_search_for_every_run_finds(alphabet: str, data: st.DataObject) -> None:
    """The spans cover each run of letters that any string holds and that says enough, and nothing else.

    Content that has fewer blocks than the text goes another way than content that has more.
    """
    text = data.draw(st.text(alphabet, max_size=90))
    parts = st.one_of(st.text(alphabet, max_size=40), st.integers(0, 60).map(lambda at: text[at : at + 24]))
    strings = [
        "".join(some) * data.draw(st.sampled_from([1, 1, 12]))
        for some in data.draw(st.lists(st.lists(parts, max_size=4), max_size=4))
    ]
    covered = {
        byte for at in _covered(text, strings) for byte in range(len(encode(text[:at])), len(encode(text[: at + 1])))
    }
    found = ContentIndex(strings).spans(text)
    assert {byte for start, end in found for byte in range(start, end)} == covered


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["DE", "GB", "NO", "FR", "MT", "XX", "de"]),
    st.text("0123456789AWEST", min_size=10, max_size=28),
    st.sampled_from(["", " ", "-"]),
    st.sampled_from(["", " HELLO", "-ABCD", "XYZ", " \u017fABC"]),
    st.booleans(),
)
def test_account_numbers_are_those_of_the_library(country: str, rest: str, glue: str, after: str, holds: bool) -> None:
    """What is hidden of an account number is the longest prefix that the library takes, without signs at its end."""
    digits = iban.calc_check_digits(f"{country}00{rest}") if holds else "17"
    number = glue.join(textwrap.wrap(f"{country}{digits}{rest}", 4)) + after
    stops = [stop for stop in range(15, len(number) + 1) if iban.is_valid(number[:stop], check_country=False)]
    data = encode(number)
    span = CHECKS["iban"](data, 0, len(data))
    assert span == ((0, len(number[: stops[-1]].rstrip(" -"))) if stops else None)


@settings(max_examples=200, deadline=None)
@given(st.one_of(TEXTS, EVERYTHING), st.integers(1, 80))
def test_clean_is_bounded_and_settled(text: str, max_chars: int) -> None:
    """What stays in clear is within its bound, on one line, and clean once more gives the same."""
    try:
        cleaned, _ = REDACTOR.clean(text, max_chars=max_chars)
    except RedactionError:
        return
    assert len(cleaned) <= max_chars
    assert cleaned.isprintable() or not cleaned
    assert REDACTOR.clean(cleaned, max_chars=max_chars)[0] == cleaned


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, EVERYTHING), st.data())
def test_views_map_back(text: str, data: st.DataObject) -> None:
    """Every span of a view has an origin inside of the text, and the whole view has the whole text."""
    view = folded(text)
    opened = unescaped(view.data)
    for one, base in ((view, encode(text)), (opened, view.data)):
        if one is None or not one.data:
            continue
        start = data.draw(st.integers(0, len(one.data) - 1))
        end = data.draw(st.integers(start + 1, len(one.data)))
        low, high = one.origin(start, end)
        assert 0 <= low < high <= len(base)
        if one.data[start:end] not in base:
            continue
        if not one.starts:
            assert base[low:high] == one.data[start:end]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text("abc01", max_size=60).map(str.encode)), st.floats(0.1, 6.0))
def test_the_floor_of_entropy(token: bytes, floor: float) -> None:
    """What the number of different bytes tells about a token's entropy is what its entropy is."""
    assert has_entropy(token, floor) == (entropy(token) >= floor)
