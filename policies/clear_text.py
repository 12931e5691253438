"""Free text that stays in clear (names, tags, codes): bounded, on one line, and past the same rules as error text."""

import re
from collections.abc import Callable, MutableMapping
from typing import Final, TypeVar

from policies.model import Action, Policy
from policies.redaction import Redactor
from policies.views import masked_text

WITHHELD: Final = "[redacted:engine-failure]"
"""Stands for a required text that the redactor could not answer for."""

_Value = TypeVar("_Value")

_UNCHANGED_MAX: Final = 8192
_UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# Ids as gateways, providers and tracers make them: nothing in such an id is anybody's data or key, though a
# redactor that meets one in free text must take it for a generated token. OpenTelemetry: 32 and 16 hex digits.
_MADE_ID: Final = re.compile(
    rf"(?:[a-z]{{2,12}}[-_:])?{_UUID}|[0-9a-f]{{32}}(?:[-:./][0-9a-f]{{16}})?|[0-9a-f]{{16}}|"
    r"(?:chatcmpl|cmpl|embd|req|resp|msg|gen|call|run|batch)[-_][A-Za-z0-9]{1,40}|(?:[a-z]{1,12}[-_:])?[0-9]{1,8}",
    re.ASCII,
)
is_made_id: Final = _MADE_ID.fullmatch
"""Whether a gateway's id of a call has the shape of one that a program made, and so is stored as it is. It answers with
the match itself, or None: asked for every call, a function around it would cost as much again."""


class ClearText:
    """The redactor's `clean`, failing closed."""

    def __init__(self, redactor: Redactor) -> None:
        self._clean: Callable[..., tuple[str, dict[str, int]]] = redactor.clean
        # Names repeat in every call; those that came out as they went in are told at once.
        self._unchanged: BoundedSet[tuple[str, int]] = BoundedSet(_UNCHANGED_MAX)

    def optional(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str | None:
        """Clean text of at most `limit` characters; None for nothing, or when it cannot be cleaned.

        What was taken out is counted in `removed` under `name`.
        """
        if not text:
            return None
        if (text, limit) in self._unchanged:
            return text
        return self._cleaned(text, limit, name, removed, remember=True)

    def source_id(self, text: str, limit: int, removed: MutableMapping[str, int]) -> str:
        """A gateway's id of a call: as it is when it has the shape of a made id, else as `required`."""
        if is_made_id(text):
            return text
        # Not remembered: every call has another, and they would drive out the names.
        return self._cleaned(text, limit, "source_id", removed, remember=False) or WITHHELD

    def required(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str:
        """As `optional`, with a fixed word for what cannot be cleaned."""
        return self.optional(text, limit, name, removed) or WITHHELD

    def _cleaned(
        self, text: str, limit: int, name: str, removed: MutableMapping[str, int], *, remember: bool
    ) -> str | None:
        try:
            clean, counts = self._clean(text, max_chars=limit)
        except Exception:  # whatever failed, the text must not be stored
            count(removed, name)
            return None
        if counts:
            count(removed, name)
        elif remember and clean == text:
            self._unchanged.add((text, limit))
        return clean or None


class BoundedSet(set[_Value]):
    """A memory of values: begins anew when it is full. Read it as the set that it is; add with `add` alone."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def add(self, value: _Value) -> None:
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
