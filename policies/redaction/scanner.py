"""The rules that may find something in a text, each asked for what it takes out."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from policies.redaction.matchers import ENCODED, FINDERS
from policies.redaction.model import HiddenKind
from policies.redaction.normalization import opened_base64
from policies.redaction.rules.loader import Rule
from policies.redaction.rules.prefilter import Sieve
from policies.redaction.scan_state import ScanState
from policies.redaction.spans import Cut, Reason
from policies.redaction.validators.checks import CHECKS, Check
from policies.redaction.validators.patterns import Pattern
from policies.redaction.validators.randomness import has_entropy

Spans = Iterable[tuple[int, int]]
_ENCODED_BYTES_MIN = 24
# What is left of a token behind the form of a key in it; nobody could tell afterwards what that was.
_TAIL = re.compile(rb"[A-Za-z0-9_]++")


class Scanner:
    """All rules compiled together. Immutable once made, but for patterns that compile on first use."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._patterns: dict[str, Pattern] = {}
        self._asked: dict[int, Callable[[ScanState], Spans]] = {}
        self._sieve = Sieve(self._rules)
        self._reasons = [Reason.of(rule.id, rule.kind, rank, guess=rule.guess) for rank, rule in enumerate(rules)]
        self._turns = _turns(self._reasons)
        self._shows = [
            not (rule.family or rule.guess or rule.finder == ENCODED or rule.kind is HiddenKind.personal)
            for rule in rules
        ]

    def known(self, data: bytes) -> tuple[list[Cut], list[int]]:
        """The spans that are gone for good and that their own form shows, and the ranks of other rules to be asked.

        The latter are those that a literal gives away. Raises RedactionError when out of memory.
        """
        ranks = self._sieve.by_literal(data)
        known = [rank for rank in ranks if self._shows[rank]]
        if not known:
            return [], ranks
        cuts = [Cut(start, _token_end(data, end), reason) for start, end, reason in self._cuts(data, known)]
        return cuts, [rank for rank in ranks if not self._shows[rank]]

    def find(self, data: bytes, ranks: list[int] | None = None) -> list[Cut]:
        """The spans that rules take out of `data`, but for some that `spans.joined` would drop.

        `ranks`, when given, are the rules to be asked but for those of the families.
        Raises RedactionError when out of memory.
        """
        return self._cuts(data, self._sieve.candidates(data) if ranks is None else ranks + self._sieve.by_family(data))

    def _cuts(self, data: bytes, ranks: list[int]) -> list[Cut]:
        found: list[Cut] = []
        reading = ScanState(data)
        ranks.sort(key=self._turns.__getitem__)
        for rank in ranks:
            spans = [span for span in self._spans(rank, reading) if span[1] > span[0]]
            if spans:
                reason = self._reasons[rank]
                found += [Cut(start, end, reason) for start, end in spans]
                if not reason.guess:
                    reading.take(spans)
        return found

    def _spans(self, rank: int, reading: ScanState) -> Spans:
        asked = self._asked.get(rank)
        if asked is None:
            asked = self._asked[rank] = self._asking(self._rules[rank])
        return asked(reading)

    def _asking(self, rule: Rule) -> Callable[[ScanState], Spans]:
        """What gives the spans of one rule. It is worked out once: most rules that are asked find nothing."""
        pattern = self._patterns.get(rule.pattern)
        if pattern is None:
            pattern = self._patterns[rule.pattern] = Pattern(rule.pattern)
        if rule.finder == ENCODED:
            return partial(self._encoded, pattern)
        if rule.finder:
            return partial(FINDERS[rule.finder], pattern)
        if rule.entropy or rule.check:
            return partial(_confirmed, rule, CHECKS[rule.check] if rule.check else None, pattern)
        return lambda reading: pattern.spans(reading.data, rule.group)

    def _encoded(self, pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
        """Tokens that are base64 of a text in which a rule that does not guess finds something; one layer deep."""
        for start, end in reading.spans(pattern):
            token = reading.data[start:end].rstrip(b"=")
            if len(token) < _ENCODED_BYTES_MIN or reading.is_taken(start, end):
                continue
            opened = opened_base64(token)
            if opened is not None and self._holds_secret(opened):
                yield start, end

    def _holds_secret(self, data: bytes) -> bool:
        reading = ScanState(data)
        return any(True for rank in self._sure(data) for _ in self._spans(rank, reading))

    def _sure(self, data: bytes) -> Iterator[int]:
        for rank in self._sieve.candidates(data):
            if not self._rules[rank].guess and self._rules[rank].finder != ENCODED:
                yield rank


def _token_end(data: bytes, at: int) -> int:
    tail = _TAIL.match(data, at)
    return tail.end() if tail else at


def _turns(reasons: Sequence[Reason]) -> list[int]:
    """When the rule of each rank is asked: after all whose reason outranks its own."""
    turns = [0] * len(reasons)
    for turn, reason in enumerate(sorted(reasons)):
        turns[reason.rank] = turn
    return turns


def _confirmed(rule: Rule, check: Check | None, pattern: Pattern, reading: ScanState) -> Spans:
    """The spans of the pattern that the rule's floor of entropy and its check leave, as the check delimits them."""
    data = reading.data
    found: list[tuple[int, int]] = []
    for start, end in pattern.spans(data, rule.group):
        if reading.is_taken(start, end if rule.check != "email" else start + 1):
            continue  # the name before an `@` that is taken out leaves the name of a host, which stays
        if rule.entropy and not has_entropy(data[start:end], rule.entropy):
            continue
        span = check(data, start, end) if check else (start, end)
        if span is not None:
            found.append(span)
    return found
