"""One pass over the text for all rules at once, then the few rules that answered, one by one."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import re2

from policies.redaction.checks import CHECKS
from policies.redaction.errors import RedactionError
from policies.redaction.finders import ENCODED, FINDERS
from policies.redaction.patterns import Pattern, options
from policies.redaction.randomness import entropy
from policies.redaction.rules import Rule
from policies.redaction.views import opened_base64

_SET_MEMORY_BYTES = 32 << 20


class Found(NamedTuple):
    """A span of bytes that the rule with this rank (its place in the list) takes out."""

    start: int
    end: int
    rank: int


class Scanner:
    """All rules compiled together. Immutable once made, but for patterns that compile on first use."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._patterns: list[Pattern | None] = [None] * len(self._rules)
        chosen = options()
        chosen.max_mem = _SET_MEMORY_BYTES
        self._set = re2.Set.SearchSet(chosen)
        for rule in self._rules:
            self._set.Add(rule.pattern)
        # RE2 answers "nothing" both for no match and for no memory; a pattern that is in every text tells them apart.
        self._always = self._set.Add("")
        self._set.Compile()

    def find(self, data: bytes) -> list[Found]:
        """Every span that a rule takes out of `data`, in no order. Raises RedactionError when out of memory."""
        ranks = self._set.Match(data)
        if not ranks or self._always not in ranks:
            raise RedactionError("the pattern set ran out of memory")
        if len(ranks) == 1:
            return []
        found: list[Found] = []
        for rank in ranks:
            if rank != self._always:
                found.extend([Found(start, end, rank) for start, end in self._spans(rank, data) if end > start])
        return found

    def _encoded(self, pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
        """Tokens that are base64 of a text in which a rule that does not guess finds something; one layer deep."""
        for start, end in pattern.spans(data, 0):
            opened = opened_base64(data[start:end])
            if opened is not None and any(True for rank in self._sure(opened) for _ in self._spans(rank, opened)):
                yield start, end

    def _sure(self, data: bytes) -> Iterator[int]:
        for rank in self._set.Match(data) or ():
            if rank != self._always and not self._rules[rank].guess and self._rules[rank].finder != ENCODED:
                yield rank

    def _spans(self, rank: int, data: bytes) -> Iterator[tuple[int, int]]:
        rule = self._rules[rank]
        pattern = self._patterns[rank]
        if pattern is None:
            pattern = self._patterns[rank] = Pattern(rule.pattern)
        if rule.finder == ENCODED:
            yield from self._encoded(pattern, data)
            return
        if rule.finder:
            yield from FINDERS[rule.finder](pattern, data)
            return
        check = CHECKS[rule.check] if rule.check else None
        group, floor = rule.group, rule.entropy
        spans = pattern.spans(data, group)
        if not (floor or check):
            yield from spans
            return
        for start, end in spans:
            if floor and entropy(data[start:end]) < floor:
                continue
            span = check(data, start, end) if check else (start, end)
            if span is not None:
                yield span
