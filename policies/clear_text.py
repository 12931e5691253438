"""Free text that stays in clear (names, tags, codes): bounded, on one line, and past the same rules as error text."""

import re
from collections.abc import Callable, MutableMapping
from typing import Final

from policies.model import Action, Policy
from policies.redaction import Redactor
from policies.views import masked_text

WITHHELD: Final = "[redacted:engine-failure]"
"""Stands for a required text that the redactor could not answer for."""


_UNCHANGED_MAX: Final = 8192
_UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# Ids as gateways, providers and tracers make them: nothing in such an id is anybody's data or key, though a
# redactor that meets one in free text must take it for a generated token. OpenTelemetry: 32 and 16 hex digits.
_MADE_ID: Final = re.compile(
    rf"(?:[a-z]{{2,12}}[-_:])?{_UUID}|[0-9a-f]{{32}}(?:[-:./][0-9a-f]{{16}})?|[0-9a-f]{{16}}|"
    r"(?:chatcmpl|cmpl|embd|req|resp|msg|gen|call|run|batch)[-_][A-Za-z0-9]{1,40}|(?:[a-z]{1,12}[-_:])?[0-9]{1,8}",
    re.ASCII,
)


class ClearText:
    """The redactor's `clean`, failing closed."""

    def __init__(self, redactor: Redactor) -> None:
        self._clean: Callable[..., tuple[str, dict[str, int]]] = redactor.clean
        # Names repeat in every call; those that came out as they went in are told at once.
        self._unchanged: set[tuple[str, int]] = set()

    def optional(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str | None:
        """Clean text of at most `limit` characters; None for nothing, or when it cannot be cleaned.

        What was taken out is counted in `removed` under `name`.
        """
        if not text:
            return None
        key = (text, limit)
        if key in self._unchanged:
            return text
        try:
            clean, counts = self._clean(text, max_chars=limit)
        except Exception:  # whatever failed, the text must not be stored
            count(removed, name)
            return None
        if counts:
            count(removed, name)
        elif clean == text:
            if len(self._unchanged) >= _UNCHANGED_MAX:
                self._unchanged.clear()
            self._unchanged.add(key)
        return clean or None

    def source_id(self, text: str, limit: int, removed: MutableMapping[str, int]) -> str:
        """A gateway's id of a call: as it is when it has the shape of a made id, else as `required`."""
        if _MADE_ID.fullmatch(text):
            return text
        return self.required(text, limit, "source_id", removed)

    def required(self, text: str | None, limit: int, name: str, removed: MutableMapping[str, int]) -> str:
        """As `optional`, with a fixed word for what cannot be cleaned."""
        return self.optional(text, limit, name, removed) or WITHHELD


class Keeper:
    """What a policy does to one clear text field: keeps it, masks it, or drops it."""

    def __init__(self, policy: Policy, field: str) -> None:
        self._action = policy.action(field)
        self._mask = masked_text(policy, field)

    def __call__(self, text: str | None) -> str | None:
        """`text`, its mask, or None."""
        if text is None or self._action is Action.KEEP:
            return text
        return self._mask if self._action is Action.MASK else None


def count(removed: MutableMapping[str, int], name: str, times: int = 1) -> None:
    """Add to a counter of what was removed."""
    removed[name] = removed.get(name, 0) + times
