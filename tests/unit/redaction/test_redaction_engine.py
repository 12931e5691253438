"""The redactor on texts as gateways write them: what goes, what stays, and what an attacker would try."""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import base64
import json
import threading
from pathlib import Path

import pytest

from policies.redaction import ContentIndex, Hidden, HiddenKind, RedactionError, Redactor
from policies.redaction.rules.prefilter import ALWAYS
from policies.redaction.validators.patterns import Pattern

REDACTOR = Redactor()
KEY = "sk-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs"
CLEAN = (Path(__file__).parent / "redaction_clean.txt").read_text("utf-8").splitlines()


def masked(text: str) -> str:
    return REDACTOR.redact(text).masked


@pytest.mark.parametrize("text", CLEAN)
def test_clean_gateway_errors_stay(text: str) -> None:
    """An error message without secrets or personal data comes out unchanged."""
    assert masked(text) == text


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "key:{}",
        "密钥{}无效",
        "ключ {} неверен",
        "“{}”",
        "({})",
        "\\n{}\\n",
        "{}.",
        "{}…",
        "<b>{}</b>",
        "?k={}&x=1",
        "error=%22{}%22",
        '{{"a": "{}"}}',
        "{{'a': ['{}']}}",
        "line one\r\n{}\r\nline two",
        "\u200b{}\u200b",
        "\ud800{}\udfff",
        "\x00{}\x00",
    ],
)
def test_a_key_goes_wherever_it_stands(form: str) -> None:
    """A key goes beside any punctuation, script, escape, control character or lone surrogate."""
    assert KEY not in masked(form.format(KEY))
    assert "q7Xw2Lk9" not in masked(form.format(KEY))


@pytest.mark.parametrize(
    "disguised",
    [
        "ｓｋ－ｐｒｏｊ－ｑ７Ｘｗ２Ｌｋ９Ｚｔ４Ｒｖ８Ｂｎ５Ｍｃ１Ｐｄ６Ｈｓ",
        "sk-\u200bproj-q7Xw2Lk9\u200dZt4Rv8Bn5Mc1Pd6Hs",
        "%73k-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs",
        "\\u0073k-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs",
        base64.b64encode(f"the key is {KEY}".encode()).decode(),
        "Bearer " + base64.urlsafe_b64encode(KEY.encode()).decode(),
    ],
)
def test_disguises_are_opened(disguised: str) -> None:
    """Compatibility forms, invisible characters and one layer of escapes or base64 do not save a key."""
    assert disguised not in masked(f"refused {disguised} today")
    assert "Lk9Zt4Rv8Bn5Mc1" not in masked(f"refused {disguised} today")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ('{"api_key": "hunter2", "n": 1}', "hunter2"),
        ("{'password': 'p w with blanks', 'ok': True}", "p w with blanks"),
        ('{"headers": {"Authorization": "Basic aGFyYm91cjpsYW50ZXJu"}}', "aGFyYm91cjpsYW50ZXJu"),
        ('{\\"client_secret\\": \\"lantern-22\\"}', "lantern-22"),
        ("GET /v1?api_key=lantern22&x=1", "lantern22"),
        ("password = lantern", "lantern"),
        # how far an optional opening (`Str(`) reaches is given back when it is none
        ("Data Source=db;Pwd=Str0ng,Lantern;", "Str"),
        ("PGPASSWORD=lantern psql", "lantern"),
        ("Cookie: session=ab12; theme=dark", "session=ab12"),
        ('"passwords": ["lantern", "harbour"]', "harbour"),
        ("--api-key lantern22xyz99aa", "lantern22xyz99aa"),
        ("https://user:lantern@example.com/", "lantern"),
        ("https://bucket.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c3d4e5f&x=1", "0a1b2c3d4e5f"),
        ("x-goog-api-key: AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v", "AIzaSy"),
    ],
)
def test_structure_is_walked_by_key(text: str, gone: str) -> None:
    """A field that names a credential loses its value in whatever syntax it stands, and the syntax stays."""
    assert gone not in masked(text)
    assert len(masked(text)) > len("[redacted:assigned-credential]")


def test_a_private_key_goes_even_when_it_is_cut_off() -> None:
    """A PEM private key goes with and without its end, with real and with escaped newlines."""
    body = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDndJt7NaG8T64k"] * 4)
    whole = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    for text in (whole, whole[:150], json.dumps({"k": whole}), json.dumps({"k": whole})[:150], repr(whole)):
        assert "MIIEvQIBADANBgkq" not in masked(text)
        assert "NaG8T64k" not in masked(text)


def test_what_is_gone_has_no_text_and_what_is_personal_has() -> None:
    """Only personal spans carry their text, and only the revealed reading shows it."""
    result = REDACTOR.redact(f"user ada@example.com of org-Xy7Lq2Tz9Rw4Vb8N sent {KEY}")

    hidden = [segment for segment in result.segments if isinstance(segment, Hidden)]
    assert [(h.rule, h.kind, h.text) for h in hidden] == [
        ("email", HiddenKind.personal, "ada@example.com"),
        ("organisation-id", HiddenKind.provider, None),
        ("openai-key", HiddenKind.secret, None),
    ]
    assert result.counts == {"email": 1, "organisation-id": 1, "openai-key": 1}
    assert "ada@example.com" in result.revealed
    assert KEY not in result.revealed
    assert result.masked == "user [redacted:email] of [redacted:organisation-id] sent [redacted:openai-key]"


def test_a_password_that_is_an_address_is_a_secret() -> None:
    """Where a personal span and a secret one meet, the secret wins and nothing is kept."""
    result = REDACTOR.redact("password=ada@example.com")
    assert all(not isinstance(s, Hidden) or s.text is None for s in result.segments)


def test_the_size_cap_cuts_at_a_token_and_says_so() -> None:
    """A text over the cap is cut before the token that the cap would split, so the token cannot stay in part."""
    text = "word " * 13106 + KEY + " tail " * 100
    assert len("word " * 13106) < 64 * 1024 < len("word " * 13106) + len(KEY)

    result = REDACTOR.redact(text)
    assert result.truncated
    assert "sk-proj" not in result.masked
    assert not REDACTOR.redact("short").truncated


def test_marks_in_the_input_survive() -> None:
    """Text that was redacted before stays as it is, counts nothing and gains no second mark."""
    text = "password=[redacted:assigned-credential] for [redacted:email], key [redacted:openai-key]"
    result = REDACTOR.redact(text)
    assert result.masked == text
    assert result.counts == {}


def test_a_mark_does_not_hide_what_stands_beside_it() -> None:
    """A forged mark shields nothing: the secret that it touches still goes."""
    assert KEY not in masked(f"[redacted:x1]{KEY}[redacted:email]")
    assert "lantern22" not in masked('password="[redacted:email]lantern22"')


@pytest.mark.parametrize("text", [f"password={KEY * 4}\u0800", f"{KEY} or ({KEY}), password={KEY * 4}x!9"])
def test_a_masked_text_is_masked_for_good(text: str) -> None:
    """What is left beside a key that is longer than its mark is found when the key is, and not by the next reading."""
    assert masked(masked(text)) == masked(text)


def test_the_words_of_a_mark_are_no_key() -> None:
    """What follows a mark is not taken for the value of the field that the mark's name sounds like."""
    text = '{"x-api-key": "q7Xw2Lk9Zt4Rv8Bn", "host": "api", "path": "v1"}'
    assert masked(text) == '{"x-api-key": "[redacted:assigned-credential]", "host": "api", "path": "v1"}'


def test_failure_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside, the caller gets a RedactionError that carries none of the text and no cause."""
    redactor = Redactor()
    monkeypatch.setattr(redactor, "_scanner", None)
    with pytest.raises(RedactionError) as caught:
        redactor.redact(f"leak {KEY}")
    assert KEY not in str(caught.value)
    assert caught.value.__suppress_context__


class Silent:
    """RE2 without memory: what it says then is what it says when nothing matches."""

    def Match(self, _data: bytes, **_how: bool) -> None:
        return None


@pytest.mark.parametrize("part", range(4))
def test_no_memory_is_a_failure_and_not_a_clean_text(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No part of the sieve that gives no answer at all passes for one that found nothing, in opened base64 either."""
    redactor = Redactor()
    sieve = redactor._scanner._sieve
    names = {len(sieve._families): (sieve._literals, "_filter")}
    silenced, name = names.get(part) or (sieve._families[part], "_set")
    monkeypatch.setattr(silenced, name, Silent())  # other redactors have it too
    with pytest.raises(RedactionError, match="memory"):
        redactor.redact("anything")
    with pytest.raises(RedactionError, match="memory"):
        list(redactor._scanner._sure(b"operator:lantern22"))


def test_what_is_in_every_text_is_looked_for_in_every_text() -> None:
    """Each part of the sieve notices its own pattern that always matches, in the empty text and in any other."""
    sieve = Redactor()._scanner._sieve
    for data in (b"", b"\x00", b"\xff" * 40, "\u212aey \u017fecret".encode()):
        for part, matches in ((sieve._literals, sieve._literals._filter.Match(data + ALWAYS, potential=True)),
                              *((family, family._set.Match(data)) for family in sieve._families)):  # fmt: skip
            assert len(part._ranks) in matches


def test_threads_share_a_redactor() -> None:
    """One redactor gives the same answers to many threads at once."""
    redactor, texts = Redactor(), [f"{KEY} number {n} for ada{n}@example.com" for n in range(40)]
    expected = [redactor.redact(text).masked for text in texts]
    answers: dict[int, list[str]] = {}

    def work(number: int) -> None:
        answers[number] = [redactor.redact(text).masked for text in texts]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers[number] == expected for number in range(8))


@pytest.mark.parametrize(
    "echo",
    [
        "Once upon a midnight dreary",
        'say "quoted words" to them',
        "zeile eins\nzeile zwei",
        "größe und weite der welt",
        "春眠不觉晓处处闻啼鸟夜来风雨声花落知多少",
    ],
)
def test_echoes_of_content_go(echo: str) -> None:
    """A run of 16 characters of the report's content goes, plain, JSON-escaped or as a Python literal."""
    index = ContentIndex(["padding before " * 9 + echo + " and after it"])
    for form in (echo, json.dumps(echo), json.dumps(echo, ensure_ascii=False), repr(echo), ascii(echo)):
        result = REDACTOR.redact(f"bad request: <<{form}>> is too long", content=index)
        assert echo not in result.masked, form
        assert "content-echo" in result.counts, form
        assert result.masked.startswith("bad request: ")
    assert masked("bad request: fifteen chars ok") == "bad request: fifteen chars ok"


def test_fifteen_characters_are_no_echo() -> None:
    """The shortest echo has 16 characters, wherever the run begins in the content."""
    for shift in range(17):
        index = ContentIndex(["#" * shift + "abcdefg hijklmnop qrs"])
        assert REDACTOR.redact("<abcdefg hijklmn>", content=index).counts == {}
        assert REDACTOR.redact("<abcdefg hijklmno>", content=index).counts == {"content-echo": 1}


def test_clean_bounds_text_that_stays() -> None:
    """Free text in clear is one line without invisible characters, bounded, masked, the same from the cache."""
    text = f"team\u202e \x1b[31msearch\x00\n{KEY} \u200bx"
    for _ in range(2):
        result, counts = REDACTOR.clean(text, max_chars=64)
        assert result == "team [31msearch [redacted:openai-key] x"
        assert counts == {"openai-key": 1}
        counts.clear()
    for bound in range(4, 60):
        assert len(REDACTOR.clean(f"aaa {KEY} bbb {KEY}", max_chars=bound)[0]) <= bound
        assert "[redacted" not in REDACTOR.clean(f"aaa {KEY} bbb", max_chars=bound)[0].replace(
            "[redacted:openai-key]", ""
        )


@pytest.mark.parametrize("word", ["invalid", "paid", "plaid", "rapid", "android"])
def test_words_that_merely_end_like_an_id(word: str) -> None:
    """A word that ends in the letters of `id` does not make what follows it an identifier."""
    assert "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs" not in REDACTOR.redact(f"{word}: q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs").masked


@pytest.mark.parametrize("scheme", ["Basic", "Bearer", "basic", "BEARER"])
def test_schemes_that_begin_like_a_bytes_literal(scheme: str) -> None:
    """The letter with which a scheme begins is not taken for the prefix of a literal."""
    assert "dXNlcjpwYXNz" not in REDACTOR.redact(f"Authorization: {scheme} dXNlcjpwYXNz").masked


def test_a_refused_key_is_refused_by_its_surroundings_only() -> None:
    """Keys that are refused hundreds of times do not hide a later one whose value differs beyond blanks."""
    text = "key=word " * 400 + "key=" + " " * 300 + "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs" + " and key=word" * 400
    assert "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs" not in REDACTOR.redact(text).masked


def test_matches_are_the_library_s() -> None:
    """The quick walk over matches gives what the library's own does, empty matches included."""
    for text in (r"a*", r"(a)(b)?", r"\bx", r"(?:ab|a)(b?)"):
        pattern = Pattern(text)
        for data in (b"", b"aab", b"xab ab x", b"baaab\xff"):
            own = [list(groups) for groups in pattern.matches(data)]
            theirs = [list(groups) for groups in pattern._matches(data)]
            assert own == theirs
            assert pattern.spans(data, 0) == [groups[0] for groups in theirs]


def test_a_piece_is_tied_to_a_token_on_its_own_line_only() -> None:
    """A piece of hex before a colon goes with the token after it; on the line before, it stays whole."""
    assert masked("a deadbeefcafe12:q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs") == "a [redacted:generated-token]"
    assert masked("a deadbeefcafe12:\nq7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs") == "a deadbeefcafe12:\n[redacted:generated-token]"
