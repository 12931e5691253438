"""A call's attributes x policy -> which of them may be stored: ids, names and units, bounded and past the redactor."""

import re
from decimal import Decimal
from typing import Final

from policies.admission.clear_text import BoundedSet, ClearText, Keeper, count, is_made_id
from policies.admission.report import Attributes
from policies.policy.model import Action, Policy

NAME_CHARS_MAX: Final = 200
ID_CHARS_MAX: Final = 512
UNITS_MAX: Final = 16
UNIT_CHARS_MAX: Final = 64
_UNIT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_KNOWN_MAX: Final = 8192

# Attributes that are text, by the field that the policy names. Of ids every call may have others.
_IDS: Final = {
    "Call.traceId": "trace_id",
    "Call.parentSpanId": "parent_span_id",
    "Call.sessionId": "session_id",
    "Call.providerRequestId": "provider_request_id",
}
_NAMES: Final = {
    "Call.deployment": "deployment",
    "Call.team": "team",
    "Call.teamId": "team_id",
    "Call.organizationId": "organization_id",
    "Call.organization": "organization",
    "Call.normalizedError": "normalized_error",
}
_WORD: Final = re.compile(r"[\w./-]+")
_FIGURES: Final = {"Call.attempt": "attempt", "Call.cacheHit": "cache_hit", "Call.units": "units"}


class AttributeAdmission:
    """One policy's handling of attributes."""

    def __init__(self, policy: Policy, texts: ClearText) -> None:
        self._texts = texts
        self._keepers = {attribute: Keeper(policy, field) for field, attribute in (_IDS | _NAMES).items()}
        self._dropped = tuple(name for field, name in _FIGURES.items() if policy.action(field) is not Action.KEEP)
        self._keeps_all = not self._dropped and all(keeper.keeps for keeper in self._keepers.values())
        # What came out as it went in.
        self._known: BoundedSet[tuple[str | None, ...]] = BoundedSet(_KNOWN_MAX)
        self._known_units: BoundedSet[str] = BoundedSet(_KNOWN_MAX)

    def unchanged(self, attributes: Attributes) -> bool:
        """Whether `admit` would take nothing from them and change nothing; False where that is not certain."""
        return (
            self._keeps_all
            and _names(attributes) in self._known
            and (attributes.trace_id is None or is_made_id(attributes.trace_id) is not None)
            and (attributes.parent_span_id is None or is_made_id(attributes.parent_span_id) is not None)
            and (attributes.session_id is None or is_made_id(attributes.session_id) is not None)
            and (attributes.provider_request_id is None or is_made_id(attributes.provider_request_id) is not None)
            and (
                attributes.units is None
                or (0 < len(attributes.units) <= UNITS_MAX and self._known_units.issuperset(attributes.units))
            )
        )

    def admit(self, attributes: Attributes, removed: dict[str, int]) -> Attributes | None:
        """What may be stored of them; None for nothing. What was taken out is counted in `removed`."""
        before = len(removed)
        admitted = Attributes(attempt=attributes.attempt, cache_hit=attributes.cache_hit)
        for name, keeper in self._keepers.items():
            text = getattr(attributes, name)
            if text:
                setattr(admitted, name, keeper(self._text(name, text, removed)))
        admitted.units = self._units(attributes.units, removed)
        for name in self._dropped:
            if getattr(admitted, name) is not None:
                count(removed, name)
                setattr(admitted, name, None)
        if self._keeps_all and len(removed) == before:
            self._remember(attributes, admitted)
        return admitted if admitted != _NOTHING else None

    def _text(self, name: str, text: str, removed: dict[str, int]) -> str | None:
        # Part of an id is no id: it would join calls that have nothing to do with each other.
        if name in _IDS.values():
            clean = self._texts.source_id(text, ID_CHARS_MAX, removed)
            if clean != text:
                count(removed, name)
                return None
            return clean
        # A word of the gateway's own is no less random than its ids; anything more is free text.
        is_free_text = name == "normalized_error" and _WORD.fullmatch(text) is None
        admit = self._texts.optional if is_free_text else self._texts.identifier
        return admit(text, NAME_CHARS_MAX, name, removed)

    def _units(self, units: dict[str, Decimal] | None, removed: dict[str, int]) -> dict[str, Decimal] | None:
        """Those with a name that is a plain word and no credential, so many at most."""
        if not units:
            return None
        plain = [name for name in units if _UNIT.fullmatch(name)][:UNITS_MAX]
        kept = {
            name: units[name] for name in plain if self._texts.identifier(name, UNIT_CHARS_MAX, "units", {}) == name
        }
        if len(kept) < len(units):
            count(removed, "units", len(units) - len(kept))
        return kept or None

    def _remember(self, attributes: Attributes, admitted: Attributes) -> None:
        names = _names(admitted)
        if names == _names(attributes):
            self._known.add(names)
        if admitted.units is not None and admitted.units == attributes.units:
            for unit in admitted.units:
                self._known_units.add(unit)


_NOTHING: Final = Attributes()


def _names(attributes: Attributes) -> tuple[str | None, ...]:
    names = attributes.deployment, attributes.team, attributes.organization, attributes.normalized_error
    return (*names, attributes.team_id, attributes.organization_id)
