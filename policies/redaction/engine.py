"""The redactor: views, one scan of each, echoes, spans, and a second look that must find nothing."""

from collections.abc import Iterable, Sequence
from copy import copy
from functools import lru_cache

from policies.redaction.broken_tokens import rejoined
from policies.redaction.echoes.echo import ContentIndex
from policies.redaction.echoes.persons import PERSON_RULE
from policies.redaction.errors import RedactionError, RuleError
from policies.redaction.model import HiddenKind, Redaction
from policies.redaction.normalization import NormalizedText, decode, encode, folded, folded_again, unescaped
from policies.redaction.rules.loader import Rule, checked, shipped_rules
from policies.redaction.rules.named_formats import identifier_rules
from policies.redaction.scanner import Scanner
from policies.redaction.spans import (
    Cut,
    Reason,
    has_substance,
    joined,
    masked,
    neutral,
    outside_marks,
    repeated,
    segments,
    without,
)
from policies.redaction.text import bounded, plain

SIZE_CAP_CHARS = 64 * 1024
_LOOKS_MAX = 5
_LAYERS_OF_ESCAPES = 2
_CLEAN_CACHE_ENTRIES = 4096
_ECHO = Reason.of("content-echo", HiddenKind.content, -1)
_PERSON = Reason.of(PERSON_RULE, HiddenKind.personal, -1)
# To compile all rules takes a tenth of a second, and most policies have the same.
_scanner_of = lru_cache(maxsize=8)(Scanner)


class Redactor:
    """Takes credentials, personal data, provider identifiers and echoes of content out of text. Thread-safe.

    `national_ids` names the national identity numbers to look for (`gb-nhs`, `pl-pesel`, ...; see `national.NATIONAL`).
    Every failure of the engine is a RedactionError: the caller then keeps nothing of the text.
    """

    def __init__(
        self,
        rules: Iterable[Rule] | None = None,
        *,
        national_ids: frozenset[str] = frozenset(),
        size_cap: int = SIZE_CAP_CHARS,
    ) -> None:
        given = shipped_rules() if rules is None else checked(rules)
        known = {rule.id for rule in given if rule.national}
        unknown = sorted(national_ids - known)
        if unknown:
            raise RuleError(f"`{unknown[0]}` is no known national id; known are {', '.join(sorted(known))}")
        self.rules = tuple(rule for rule in given if not rule.national or rule.id in national_ids)
        self._scanner = _scanner_of(self.rules)
        self._marks = frozenset(
            rule_id.encode() for rule_id in (_ECHO.gone.rule, PERSON_RULE, *(rule.id for rule in given))
        )
        self._forms = frozenset(rule.id for rule in self.rules if rule.kind is HiddenKind.secret and _is_form(rule))
        self._size_cap = size_cap
        self._clean = lru_cache(maxsize=_CLEAN_CACHE_ENTRIES)(self._cleaned)

    def for_identifiers(self) -> "Redactor":
        """One for names and ids, which takes out credentials of a named format and e-mail addresses alone."""
        other = copy(self)
        other.rules = identifier_rules(self.rules)
        other._scanner = _scanner_of(other.rules)
        other._clean = lru_cache(maxsize=_CLEAN_CACHE_ENTRIES)(other._cleaned)
        return other

    def redact(self, text: str, *, content: ContentIndex | None = None) -> Redaction:
        """`text` in segments; longer texts are cut at the size cap first. Raises RedactionError, and nothing else."""
        try:
            return self._redact(text, content)
        except RedactionError:
            raise
        except Exception as error:  # whatever it is, it must not carry the text any further
            raise RedactionError(f"redaction failed ({type(error).__name__})") from None

    def clean(self, text: str, *, max_chars: int) -> tuple[str, dict[str, int]]:
        """Free text that stays in clear: one line, no invisible characters, at most `max_chars`, masked. Memoised."""
        try:
            masked, counts = self._clean(text, max_chars)
        except RedactionError:
            raise
        except Exception as error:
            raise RedactionError(f"redaction failed ({type(error).__name__})") from None
        return masked, dict(counts)

    def _cleaned(self, text: str, max_chars: int) -> tuple[str, dict[str, int]]:
        result = self._redact(plain(text[: self._size_cap]), None)
        masked, counts = result.masked, result.counts
        chars_left = max_chars
        while len(masked) > max_chars:
            # the cut may end a token early and so make it look like another: look again
            masked = self._redact(bounded(masked, chars_left), None).masked
            chars_left -= 1  # a mark may have made it longer than it was
        return masked, dict(counts)

    def _redact(self, text: str, content: ContentIndex | None) -> Redaction:
        kept, truncated = self._capped(text)
        spans, found = self._find(kept)
        if content is not None:
            found += [Cut(start, end, _ECHO) for start, end in content.spans(kept)]
            found += [Cut(start, end, _PERSON) for start, end in content.person_spans(kept)]
        if not spans and not found:
            return Redaction((kept,) if kept else (), {}, truncated)
        data = encode(kept)
        cuts = self._settled(spans, found, data)
        counts: dict[str, int] = {}
        for cut in cuts:
            rule = cut.reason.gone.rule
            counts[rule] = counts.get(rule, 0) + 1
        return Redaction(segments(data, cuts), counts, truncated)

    def _settled(self, known: list[Cut], found: list[Cut], data: bytes) -> Sequence[Cut]:
        """What is taken out of `data` in the end: what is `known`, what was `found` beside it, and what that reveals.

        The text is read without what is taken out until there is nothing more.
        """
        spans: Sequence[Cut] = known
        is_read = not known
        for _ in range(_LOOKS_MAX + 1):
            more = self._beside(spans, found, data) if found else []
            if is_read and not more:
                return spans
            spans = self._taken([*spans, *more], data)
            if not more and list(spans) == known:
                return spans  # nowhere else are their secrets, so the text was read without them
            view = masked(data, spans)
            found = [_moved(cut, view) for cuts in self._find(decode(view.data)) for cut in cuts]
            is_read = True
        raise RedactionError("the text does not settle")

    def _beside(self, spans: Sequence[Cut], found: list[Cut], data: bytes) -> list[Cut]:
        """Those of `found` that take out more of `data` than `spans` do."""
        rest = neutral(without(data, spans) if spans else data, self._marks)
        return [cut for cut in found if has_substance(rest, cut)]

    def _capped(self, text: str) -> tuple[str, bool]:
        """`text` up to the size cap, cut where a token ends, so that no secret loses the part that gives it away."""
        if len(text) <= self._size_cap:
            return text, False
        return bounded(text, self._size_cap), True

    def _find(self, text: str) -> tuple[list[Cut], list[Cut]]:
        """What the rules know by its own form in `text`, and what they find in the rest, in bytes of `text`."""
        view = folded(text)
        known, found = self._read(neutral(view.data, self._marks), _LAYERS_OF_ESCAPES)
        if (known or found) and view.starts:
            return [_moved(span, view) for span in known], [_moved(span, view) for span in found]
        return known, found

    def _read(self, data: bytes, layers: int) -> tuple[list[Cut], list[Cut]]:
        """The same of `data`, of what is broken up in it, and of what its escapes hide."""
        known, ranks = self._scanner.known(data)
        if known:
            known = joined(known)
            view = masked(data, known)
            found = [_moved(span, view) for span in self._scanner.find(view.data)]
        else:
            found = self._scanner.find(data, ranks)
        found += self._broken(data)
        opened = unescaped(data) if layers else None
        if opened is not None:
            found += [_moved(span, opened) for span in self._opened(opened.data, layers - 1)]
        return known, found

    def _opened(self, data: bytes, layers: int) -> list[Cut]:
        """What the rules find in `data`, in which a layer of escapes is open; these may stand for letters that fold."""
        view = folded_again(data)
        found = [span for spans in self._read(view.data if view else data, layers) for span in spans]
        return [_moved(span, view) for span in found] if view else found

    def _broken(self, data: bytes) -> list[Cut]:
        """The spans of keys that are broken up in `data` and are recognised once joined."""
        joined_up = rejoined(data)
        if joined_up is None:
            return []
        spans = [span for span in self._scanner.find(joined_up.data) if span.reason.gone.rule in self._forms]
        moved = [(_moved(span, joined_up), span) for span in spans]
        return [there for there, here in moved if there.end - there.start > here.end - here.start]

    def _taken(self, spans: list[Cut], data: bytes) -> Sequence[Cut]:
        """`spans` joined, with every other occurrence of their secrets, and without the marks in `data`."""
        joined_up = joined(spans)
        again = repeated(joined_up, data)
        return outside_marks(joined([*joined_up, *again]) if again else joined_up, data, self._marks)


def _is_form(rule: Rule) -> bool:
    """Whether the rule knows a key by its own form, wherever it stands."""
    return not (
        rule.guess or rule.finder or rule.family == "words" or rule.check in ("quoted", "service", "credential")
    )


def _moved(span: Cut, view: NormalizedText) -> Cut:
    """A span of `view` in what the view was made from."""
    start, end, reason = span
    return Cut(*view.origin(start, end), reason)


__all__ = ["SIZE_CAP_CHARS", "Redactor"]
