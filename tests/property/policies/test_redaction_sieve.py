"""The sieve changes the speed and nothing else: what is found is what all patterns in one automaton find."""
# ruff: noqa: RUF001  # letters that fold to ASCII ones are what is looked for

import base64
import gzip
import json
import re
from pathlib import Path

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.redaction import Rule, shipped_rules
from policies.redaction.normalization import encode, folded, unescaped
from policies.redaction.rules.prefilter import Sieve
from policies.redaction.scan_state import ScanState
from policies.redaction.scanner import Scanner
from policies.redaction.spans import Cut, joined
from policies.redaction.validators.patterns import options

CASES = Path(__file__).resolve().parents[4] / "shared" / "redaction-cases"
RULES = shipped_rules()  # those that a policy may choose by country too
EXAMPLES = [text for rule in RULES for text in (*rule.positives, *rule.negatives)]
_ORACLE_MEMORY_BYTES = 64 << 20


class WholeSet:
    """Every pattern in one automaton, which answers exactly, however long building its states takes."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        chosen = options()
        chosen.max_mem = _ORACLE_MEMORY_BYTES
        self._set = re2.Set.SearchSet(chosen)
        for rule in rules:
            self._set.Add(rule.pattern)
        self._always = self._set.Add("")
        self._set.Compile()

    def candidates(self, data: bytes) -> list[int]:
        ranks = self._set.Match(data)
        assert ranks and self._always in ranks
        return [rank for rank in ranks if rank != self._always]


def gone_of(spans: list[Cut]) -> set[int]:
    """The bytes that secrets take out, as joined spans; what is only masked gives way to them, here or there."""
    secrets = [span for span in spans if not span.reason.kept]
    return {place for span in joined(secrets) for place in range(span.start, span.end)}


SCANNER, ORACLE = Scanner(RULES), Scanner(RULES)
ORACLE._sieve = WholeSet(RULES)  # type: ignore[assignment]


def everything(data: bytes) -> list[Cut]:
    """What every rule takes out of `data` in a reading of its own, in which nothing is taken yet."""
    return [
        Cut(start, end, ORACLE._reasons[rank])
        for rank in ORACLE._sieve.candidates(data)
        for start, end in ORACLE._spans(rank, ScanState(data))
        if end > start
    ]


def same(text: str) -> None:
    """Both find the same spans by the same rules in `text`, folded, and in what its escapes hide.

    And secrets take out the bytes that the secrets of all rules take out: what nobody confirms would change nothing.
    """
    data = folded(text).data
    opened = unescaped(data)
    for view in {encode(text), data, opened.data if opened else b""}:
        found = SCANNER.find(view)
        assert sorted(found) == sorted(ORACLE.find(view)), view
        assert gone_of(found) == gone_of(everything(view)), view


def test_examples() -> None:
    """The same spans in every example of every rule, as it stands, in capitals, percent-encoded and as base64."""
    for text in EXAMPLES:
        same(text)
        same(text.upper())
        same(text.lower())
        same("".join(f"%{byte:02x}" for byte in encode(text)))
        same("trace " + base64.b64encode(encode(text)).decode())


def test_a_long_text() -> None:
    """The same spans in a text of all examples, longer than the size cap."""
    same("\n".join(EXAMPLES))


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no folder of redaction cases at {CASES.name}")
def test_cases() -> None:
    """The same spans in every text that other projects wrote."""
    for path in sorted(CASES.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                same(json.loads(line)["text"])


# U+212A and U+017F are the letters beyond ASCII that fold to `k` and `s`.
FOLDINGS = str.maketrans({"k": "\u212a", "K": "\u212a", "s": "\u017f", "S": "\u017f"})
PIECES = st.sampled_from(EXAMPLES).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda cut: text[min(cut) : max(cut)]
    )
)
CHANGED = st.tuples(PIECES, st.sampled_from((str, str.upper, str.swapcase, lambda text: text.translate(FOLDINGS)))).map(
    lambda pair: pair[1](pair[0])
)
GLUE = st.sampled_from(["", " ", "=", ": ", '"', "\\n", "%22", "&quot;", "\n", "-", "\x00", "\x7f", "ｋ", "\ud800"])


@settings(max_examples=600, deadline=None)
@given(st.lists(st.one_of(CHANGED, st.sampled_from(EXAMPLES), GLUE, st.text(max_size=8)), max_size=10).map("".join))
def test_made_up_texts(text: str) -> None:
    """The same spans in texts made of pieces of examples, in other cases and with letters that fold to ASCII."""
    same(text)


HINTED = [rule for rule in RULES if rule.hint]
# RE2's escapes for characters beyond ASCII, as Python writes them
WIDE = re.compile(r"\\x\{([0-9a-f]+)\}")


@pytest.mark.parametrize("rule", HINTED, ids=lambda rule: rule.id)
def test_hints(rule: Rule) -> None:
    """A rule's hint is in every text in which its pattern is, whatever way the pattern can be met."""
    pattern, hint = re2.compile(rule.pattern, options()), re2.compile(rule.hint, options())

    @settings(max_examples=200, deadline=None)
    @given(st.from_regex(WIDE.sub(lambda code: rf"\u{int(code[1], 16):04x}", rule.pattern)))
    def holds(text: str) -> None:
        if pattern.search(text):
            assert hint.search(text)

    holds()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_text(data: bytes) -> None:
    """Every rule whose pattern is in the bytes is a candidate, UTF-8 or not."""
    assert set(ORACLE._sieve.candidates(data)) <= set(SCANNER._sieve.candidates(data))


def test_a_sieve_without_rules() -> None:
    """No rules, no candidates; rules of one kind alone stand by themselves."""
    assert Sieve(()).candidates(b"sk-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs") == []
    tokens = tuple(rule for rule in RULES if rule.family == "tokens")
    assert Sieve(tokens).candidates(b"AKIAQ7XW2LK9ZT4RV8BN") == [
        rank for rank, rule in enumerate(tokens) if rule.id == "aws-access-key-id"
    ]
