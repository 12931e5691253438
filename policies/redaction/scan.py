"""The rules that may find something in a text, each asked for what it takes out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from policies.redaction.checks import CHECKS
from policies.redaction.finders import ENCODED, FINDERS
from policies.redaction.patterns import Pattern
from policies.redaction.randomness import has_entropy
from policies.redaction.rules import Rule
from policies.redaction.sieve import Sieve
from policies.redaction.views import opened_base64


class Found(NamedTuple):
    """A span of bytes that the rule with this rank (its place in the list) takes out."""

    start: int
    end: int
    rank: int


Spans = Iterable[tuple[int, int]]


class Scanner:
    """All rules compiled together. Immutable once made, but for patterns that compile on first use."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._patterns: list[Pattern | None] = [None] * len(self._rules)
        self._sieve = Sieve(self._rules)

    def find(self, data: bytes) -> list[Found]:
        """Every span that a rule takes out of `data`, in no order. Raises RedactionError when out of memory."""
        return [
            Found(start, end, rank)
            for rank in self._sieve.candidates(data)
            for start, end in self._spans(rank, data)
            if end > start
        ]

    def _spans(self, rank: int, data: bytes) -> Spans:
        rule = self._rules[rank]
        pattern = self._patterns[rank]
        if pattern is None:
            pattern = self._patterns[rank] = Pattern(rule.pattern)
        if rule.finder == ENCODED:
            return self._encoded(pattern, data)
        if rule.finder:
            return FINDERS[rule.finder](pattern, data)
        spans = pattern.spans(data, rule.group)
        return _confirmed(rule, spans, data) if spans and (rule.entropy or rule.check) else spans

    def _encoded(self, pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
        """Tokens that are base64 of a text in which a rule that does not guess finds something; one layer deep."""
        for start, end in pattern.spans(data, 0):
            opened = opened_base64(data[start:end])
            if opened is not None and any(True for rank in self._sure(opened) for _ in self._spans(rank, opened)):
                yield start, end

    def _sure(self, data: bytes) -> Iterator[int]:
        for rank in self._sieve.candidates(data):
            if not self._rules[rank].guess and self._rules[rank].finder != ENCODED:
                yield rank


def _confirmed(rule: Rule, spans: Spans, data: bytes) -> Iterator[tuple[int, int]]:
    """Those of `spans` that the rule's floor of entropy and its check leave, as the check delimits them."""
    check = CHECKS[rule.check] if rule.check else None
    for start, end in spans:
        if rule.entropy and not has_entropy(data[start:end], rule.entropy):
            continue
        span = check(data, start, end) if check else (start, end)
        if span is not None:
            yield span
