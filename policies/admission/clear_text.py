"""Free text that stays in clear (names, tags, codes): bounded, on one line, and past the same rules as error text."""

import re
from collections.abc import Callable, MutableMapping
from typing import Final, TypeAlias, TypeVar

from policies.policy.model import Action, Policy
from policies.policy.views import masked_text
from policies.redaction import Redactor

WITHHELD: Final = "[redacted:engine-failure]"
"""Stands for a required text that the redactor could not answer for."""

_Value = TypeVar("_Value")
_Clean: TypeAlias = Callable[..., tuple[str, dict[str, int]]]

_UNCHANGED_MAX: Final = 8192
# Written out, and asked for first, as it is in two thirds of the time.
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Ids as gateways, providers and tracers make them: no credential has such a form, so that they need not be looked at.
# OpenTelemetry: 32 and 16 hex digits. 26 of Crockford's: ULID. new-api and One API: a time to the nanosecond and 8
# letters or digits.
_MADE_ID: Final = re.compile(
    rf"{_UUID}|[a-z]{{2,12}}[-_:]{_UUID}|[0-9a-f]{{32}}(?:[-:./][0-9a-f]{{16}})?|[0-9a-f]{{16}}|[0-9a-f]{{24}}|"
    r"[0-7][0-9A-HJKMNP-TV-Z]{25}|20[0-9]{13,21}[A-Za-z0-9]{8}|"
    r"(?:chatcmpl|cmpl|embd|req|resp|msg|gen|call|run|batch)[-_][A-Za-z0-9]{1,40}|(?:[a-z]{1,12}[-_:])?[0-9]{1,8}",
    re.ASCII,
)
is_made_id: Final = _MADE_ID.fullmatch
"""Whether a gateway's id of a call has the shape of one that a program made, and so is stored as it is. It answers with
the match itself, or None: asked for every call, a function around it would cost as much again."""


class ClearText:
    """The redactor's `clean`, failing closed; names and ids are looked at less suspiciously than free text."""

    def __init__(self, redactor: Redactor) -> None:
        self._clean: _Clean = redactor.clean
        self._clean_identifier: _Clean = redactor.for_identifiers().clean
        # Names repeat in every call; those that once passed unchanged are recognised at once.
        self._unchanged: BoundedSet[tuple[str, int]] = BoundedSet(_UNCHANGED_MAX)
        self._unchanged_names: BoundedSet[tuple[str, int]] = BoundedSet(_UNCHANGED_MAX)

    def optional(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str | None:
        """Clean text of at most `limit` characters; None for nothing, or when it cannot be cleaned.

        What was taken out is counted in `removed` under `name`.
        """
        if not text:
            return None
        if (text, limit) in self._unchanged:
            return text
        return self._cleaned(self._clean, text, limit, name, removed, self._unchanged)

    def identifier(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str | None:
        """As `optional`, for a name that calls are found by: only a credential or an e-mail address is taken out."""
        if not text:
            return None
        if (text, limit) in self._unchanged_names:
            return text
        return self._cleaned(self._clean_identifier, text, limit, name, removed, self._unchanged_names)

    def source_id(self, text: str, limit: int, removed: MutableMapping[str, int]) -> str:
        """As `identifier`, for an id that every call has another of; a fixed word for what cannot be cleaned."""
        if is_made_id(text):
            return text
        # Not remembered: they would drive out the names.
        return self._cleaned(self._clean_identifier, text, limit, "source_id", removed, None) or WITHHELD

    def required(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str:
        """As `optional`, with a fixed word for what cannot be cleaned."""
        return self.optional(text, limit, name, removed) or WITHHELD

    def _cleaned(
        self,
        clean_text: "_Clean",
        text: str,
        limit: int,
        name: str,
        removed: MutableMapping[str, int],
        unchanged: "BoundedSet[tuple[str, int]] | None",
    ) -> str | None:
        try:
            clean, counts = clean_text(text, max_chars=limit)
        except Exception:  # whatever failed, the text must not be stored
            count(removed, name)
            return None
        if counts:
            count(removed, name)
        elif unchanged is not None and clean == text:
            unchanged.add((text, limit))
        return clean or None


class BoundedSet(set[_Value]):
    """A memory of values: begins anew when it is full. Read it as the set that it is; add with `add` alone."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def add(self, value: _Value) -> None:
        """Add `value`; a full set is emptied first."""
        if len(self) >= self._limit:
            self.clear()
        super().add(value)


class Keeper:
    """What a policy does to one clear text field: keeps it, masks it, or drops it."""

    def __init__(self, policy: Policy, field: str) -> None:
        self._action = policy.action(field)
        self.keeps = self._action is Action.KEEP
        self._mask = masked_text(policy, field)

    def __call__(self, text: str | None) -> str | None:
        """`text`, its mask, or None."""
        if text is None or self.keeps:
            return text
        return self._mask if self._action is Action.MASK else None


def count(removed: MutableMapping[str, int], name: str, times: int = 1) -> None:
    """Add to a counter of what was removed."""
    removed[name] = removed.get(name, 0) + times
