"""Which rules may find something in a text that was never seen before, at the cost of a few automata.

One automaton over all rules would be the product of all of them: every random token leads it to states where it never
was, and building a state costs more than reading the text. So the rules are sifted in two ways.
A rule is asked when the text holds a literal that its pattern cannot do without; RE2 derives the literals.
Rules without such a literal belong to families (`rules.FAMILIES`), each with an automaton small enough to be complete
after some thousand texts; a rule that would multiply its states stands there with a hint in place of its pattern.
"""

from collections.abc import Mapping, Sequence

import re2

from policies.redaction.errors import RedactionError
from policies.redaction.rules.loader import Rule
from policies.redaction.validators.patterns import options

# RE2 answers "nothing" both for no match and for no memory; what is in every text tells them apart.
ALWAYS = b"\x7falways\x7f"
# In a set it stands for the end alone: what is true everywhere would be noted at every byte.
AT_END = r"\z"


class Sieve:
    """Narrows the rules down to those that may find something. Immutable, and safe to share between threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        families: dict[str, dict[int, str]] = {}
        for rank, rule in enumerate(rules):
            families.setdefault(rule.family, {})[rank] = rule.hint or rule.pattern
        self._literals = _Literals(families.pop("", {}))
        self._families = [_Family(patterns) for patterns in families.values()]

    def candidates(self, data: bytes) -> list[int]:
        """Ranks of all rules whose pattern is in `data`, and of some more. Raises RedactionError when out of memory."""
        return self.by_literal(data) + self.by_family(data)

    def by_literal(self, data: bytes) -> list[int]:
        """Those that a literal may give away."""
        return self._literals.candidates(data)

    def by_family(self, data: bytes) -> list[int]:
        """Those of the families."""
        return [rank for family in self._families for rank in family.candidates(data)]


class _Literals:
    """Patterns by rank, passed over when the text lacks their literals. One without any literal is always passed on."""

    def __init__(self, patterns: Mapping[int, str]) -> None:
        self._ranks = tuple(patterns)
        self._filter = re2.Filter()
        for pattern in patterns.values():
            self._filter.Add(pattern, options())
        self._filter.Add(ALWAYS, options())
        self._filter.Compile()

    def candidates(self, data: bytes) -> list[int]:
        """Ranks of the patterns whose literals are in `data`."""
        return _ranks(self._ranks, self._filter.Match(data + ALWAYS, potential=True))


class _Family:
    """Patterns (or hints) by rank that one automaton reads together; it tells exactly which of them are in the text."""

    def __init__(self, patterns: Mapping[int, str]) -> None:
        self._ranks = tuple(patterns)
        self._set = re2.Set.SearchSet(options())
        for pattern in (*patterns.values(), AT_END):
            self._set.Add(pattern)
        self._set.Compile()

    def candidates(self, data: bytes) -> list[int]:
        """Ranks of the patterns that match somewhere in `data`."""
        return _ranks(self._ranks, self._set.Match(data))


def _ranks(ranks: Sequence[int], positions: list[int] | None) -> list[int]:
    """The ranks at `positions`, without the last position, which is that of the pattern that is in every text."""
    always = len(ranks)
    if not positions or always not in positions:
        raise RedactionError("the patterns ran out of memory")
    if len(positions) == 1:
        return []  # as for most texts in most families
    return [ranks[position] for position in positions if position != always]
