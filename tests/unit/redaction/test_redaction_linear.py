"""No text freezes the redactor: every rule, finder and view over texts that make each of them work hardest.

The texts are made from the rules' own examples, whole and broken off, each repeated to the size cap.
"""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import contextlib
import gc
import time
from collections.abc import Callable, Iterator

import pytest

from policies.redaction import SIZE_CAP_CHARS, RedactionError, Redactor, shipped_rules
from policies.redaction.broken_tokens import rejoined
from policies.redaction.normalization import encode, folded, folded_again, opened_base64, unescaped
from policies.redaction.spans import MARK, neutral
from policies.redaction.text import bounded, plain

NATIONAL = frozenset(rule.id for rule in shipped_rules() if rule.national)
REDACTOR = Redactor(national_ids=NATIONAL)
RATIO_BAR = 2.6
"""Of a doubling: what is linear takes 2, and more where caches end and neighbours work; the square takes 4."""
# For 64 KiB, and as much more as a text is longer. The bar of the benchmark is a fifth of this; CI has neighbours.
LONGEST_S = 1.0
# What grows with the square takes seconds for 64 KiB; of longer texts, which no cap bounds, as much less as they are
# longer: a search to the end from each sign reads memory as fast as it goes, and takes 0.3 s for 256 KiB.
NEGLIGIBLE_S = 0.12

SIGNS = [
    "\\", '\\"', "\\u", "\\x", "%", "&#", "&quot", "'", '"', "`", "(", "[", "{", '{"', "<", ">", "=", ":", "::",
    "/", "//", "-", "_", ".", "*", "•", "…", "@", "a@", "a@b.", "+1", "+1 ", "0 ", "1-", " ", "\t", "\n", "\r\n",
    "\x00", "\x7f", "\u200b", "\U000e0041", "é", "İ", "ſ", "ａ", "😀", "\ud800", "a", "A", "1", "aA1", "ab:",
    "a ", "密",
]  # fmt: skip
OPENERS = [
    "Authorization: ", "Authorization: Bearer ", "authorization: Digest realm=", "set-cookie: ", "Cookie: a=b; ",
    "X-Api-Key: ", "password=", "password:[", 'password={"', "password is ", 'key("', "key, value: ",
    "token for a ", "http://" + "a" * 300 + ":", "http://" + "a" * 100 + ":" + "b" * 100, "http://a:a@", "://a:",
    "ｋｅｙ：", "ｋｅｙ＝ａ１", "密钥:", "余额", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ",
    "eyJhbGciOiJIUzI1NiJ9.", "curl -u ", "machine x login ", "[redacted:", "[redacted:email]", "arn:aws:",
    "projects/", "sk-***", "xxxxxx", "deadbeef-", 'Some("', 'string(9) "', "IDENTIFIED BY '",
    "73 6b 2d ", "73:", "0x73, ", "115, 107 ", "'s', ", "sk-o r-v1 ", "a b ", "ab.", 'sk" + "', 'sk"\n "', "sk<br>",
    "s\x00", "\\u200b", "&shy;", "%u0073", "a\u0301",
    "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs ", "YXBpX2tleT1oNHJib3VyLWxhbnRlcm4tMjI=",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """The collector's rounds grow with what lives, which is not the redactor's doing."""
    gc.disable()
    yield
    gc.enable()


def _seconds(work: Callable[[str], object], text: str, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        with contextlib.suppress(RedactionError):  # a refusal is an answer too; it must not take longer
            work(text)
        best = min(best, time.process_time() - begin)
    return best


def _is_linear(work: Callable[[str], object], unit: str, large: int, doublings: int) -> bool:
    """Whether the time grows in proportion; a neighbour on the machine may spoil one measurement, not three."""
    longer = max(1, large // SIZE_CAP_CHARS)
    for rounds in (1, 3, 5):
        last = _seconds(work, unit * (large // len(unit)), rounds)
        if last < NEGLIGIBLE_S / longer:
            return True
        for doubled in (doublings, doublings - 1):  # a text that leaves the processor's cache takes a step once
            first = _seconds(work, unit * ((large >> doubled) // len(unit)), max(rounds, 2))
            if (last / first) ** (1 / doubled) < RATIO_BAR and last < LONGEST_S * longer:
                return True
    return False


def _redact(text: str) -> object:
    return REDACTOR.redact(text)


@pytest.mark.parametrize("unit", [*SIGNS, *OPENERS])
def test_signs_and_openers(unit: str) -> None:
    """A text of nothing but one sign, or of one beginning over and over, is read in proportion to its length."""
    assert _is_linear(_redact, unit, SIZE_CAP_CHARS, 2)


def test_every_rule() -> None:
    """The first example of each rule, whole or broken off, over and over."""
    units = {}
    for turn, rule in enumerate(shipped_rules()):
        part = (1.0, 0.6, 0.8)[turn % 3]
        example = rule.positives[0]
        units[rule.id] = example + " " if part == 1.0 else example[: max(1, int(len(example) * part))]
    for _ in range(2):  # a neighbour may spoil all measurements of one rule, but not again when the others are done
        units = {id_: unit for id_, unit in units.items() if not _is_linear(_redact, unit, SIZE_CAP_CHARS, 2)}
    assert units == {}


VIEWS: dict[str, Callable[[str], object]] = {
    "folded": lambda text: folded(text).origin(0, 1),
    "unescaped": lambda text: (view := unescaped(encode(text))) and view.origin(0, 1),
    "folded again": lambda text: (view := folded_again(encode(text))) and view.origin(0, 1),
    "rejoined": lambda text: (view := rejoined(encode(text))) and view.origin(0, 1),
    "base64": lambda text: opened_base64(encode(text)),
    "neutral": lambda text: neutral(encode(text), frozenset({b"email"})),
    "marks": lambda text: MARK.sub(b"", encode(text)),
    "plain": plain,
    "bounded": lambda text: bounded(text, 1000),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view(name: str) -> None:
    """Views and cuts over 16 to 256 KiB, for which the redactor's size cap is no excuse."""
    alone = name in ("folded", "folded again", "plain")  # these know single characters alone
    units = [sign for sign in SIGNS if len(sign) == 1] if alone else SIGNS + OPENERS
    slow = [unit for unit in units if not _is_linear(VIEWS[name], unit, 1 << 18, 4)]
    assert slow == []


def test_a_search_to_the_end_from_each_sign_is_found() -> None:
    """The cheapest work that grows with the square is told from what is linear."""
    assert not _is_linear(lambda text: [text.find("\x01", at) for at in range(0, len(text), 4)], "(", 1 << 18, 4)


def test_a_text_over_the_bound_is_cut_before_it_is_read() -> None:
    """Of a text of 64 MiB the part beyond the size cap costs nothing, in `redact` and in `clean`."""
    text = "\\" * (64 << 20)
    begin = time.process_time()
    assert REDACTOR.redact(text).truncated
    assert len(REDACTOR.clean(text, max_chars=100)[0]) <= 100
    assert time.process_time() - begin < LONGEST_S
