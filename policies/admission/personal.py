"""What a report names as a person's x policy -> its clear texts without it.

The user of a report is personal, and so is each field that the policy classes so. Such a value is looked for in the
other texts of the same report. In clear texts a mark takes its place; in the error's text it is under seal, or gone, as
the policy says of that text. Ids that only join calls are dropped whole: a part of an id would join strangers.
Account, model, served model, provider, operation and the id of a corrected call are left alone: calls are found, priced
and scoped by them, and a caller who chooses the user's id must not choose what becomes of those.
"""

import re
from operator import attrgetter
from typing import Final, NamedTuple, cast

from policies.admission.admitted import Admitted
from policies.admission.clear_text import WITHHELD, count
from policies.admission.report import Attributes, Report
from policies.policy.fields import USER
from policies.policy.model import DataClass, Policy
from policies.redaction.echoes.persons import Persons, is_plain, plain_needles
from policies.redaction.echoes.spellings import letters_of_plain
from policies.redaction.text import bounded

_TEXT_CHARS_MAX: Final = 200
_NAMES_MAX: Final = 8192
# Attributes of a report that hold text, by the field that the policy names.
_TEXTS: Final = {
    "Call.sourceId": "source_id",
    "Call.account": "account",
    "Call.apiKey": "api_key",
}
_MORE_TEXTS: Final = {
    "Call.traceId": "trace_id",
    "Call.parentSpanId": "parent_span_id",
    "Call.sessionId": "session_id",
    "Call.providerRequestId": "provider_request_id",
    "Call.deployment": "deployment",
    "Call.team": "team",
    "Call.teamId": "team_id",
    "Call.organizationId": "organization_id",
    "Call.organization": "organization",
    "Call.normalizedError": "normalized_error",
}
_JOINING: Final = ("trace_id", "parent_span_id", "session_id", "provider_request_id")
_LABELS: Final = ("deployment", "team", "team_id", "organization", "organization_id", "normalized_error")
_TEXTS_OF: Final = attrgetter(*_JOINING, *_LABELS)
_PARAMETERS: Final = ("user", "user_id", "end_user", "end_user_id", "safety_identifier")
# A short value that is part of such an id is there by chance.
_RANDOM_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}", re.ASCII)
_HTTP_STATUS: Final = re.compile(r"[1-5][0-9]{2}", re.ASCII)


class _PlainNames(dict[str, str | None]):
    """The letters of names of calls, in which persons are looked for; None of one that has to be looked at."""

    def __missing__(self, name: str) -> str | None:
        if len(self) >= _NAMES_MAX:
            self.clear()
        self[name] = shown = letters_of_plain(name) if is_plain(name) else None
        return shown


class _Needles(NamedTuple):
    """What one of is in the letters of every plain text that names a person: the person's own, which are none where it
    may be in any text, or those of a code, the shortest of which is so long.
    """

    own: str
    codes: tuple[str, ...] = ()
    least: int = 0

    def may_be_in(self, shown: str) -> bool:
        """Whether one of them is in these letters."""
        if self.own in shown:
            return True
        if len(shown) >= self.least:
            for code in self.codes:  # a generator costs three times as much, for every call
                if code in shown:
                    return True
        return False


class _NeedlesOf(dict[str, _Needles]):
    """What to look for in plain texts, by the persons of reports."""

    def __missing__(self, value: str) -> _Needles:
        if len(self) >= _NAMES_MAX:
            self.clear()
        own, codes = plain_needles(value)
        self[value] = found = _Needles(own, codes, min(map(len, codes), default=0))
        return found


class PersonalTexts:
    """One policy's look for persons in the texts of a report."""

    def __init__(self, policy: Policy) -> None:
        personal = {name for name, rule in policy.fields.items() if rule.data_class is DataClass.PERSONAL} | {USER}
        self._texts = tuple(text for name, text in _TEXTS.items() if name in personal)
        self._more_texts = tuple(text for name, text in _MORE_TEXTS.items() if name in personal)
        self._tags = "Tag.value" in personal
        self.names_calls = "source_id" in self._texts
        self._users_alone = not (self._texts or self._more_texts or self._tags)
        self._plain = _PlainNames()
        self._needles = _NeedlesOf()

    def persons(self, report: Report) -> Persons:
        """Everything that `report` says of a person, to be looked for."""
        values = [report.user, *report.persons]
        if report.error is not None:
            values += _named_in(report.error.parameters)
        if not self._users_alone:
            values += [getattr(report, name) for name in self._texts]
            if report.attributes is not None:
                values += [getattr(report.attributes, name) for name in self._more_texts]
            if self._tags:
                values += report.tags.values()
        return Persons(values)

    def may_pass(self, report: Report) -> bool:
        """Whether no clear text of a report without an error names its user; False where that is not certain."""
        if not self._users_alone:
            return False
        user, attributes = report.user, report.attributes
        named = report.persons if user is None else (user, *report.persons)
        if not named:
            return True
        if user is not None and attributes is None and not report.persons and self._is_in_none_of(report, user):
            return True
        texts = report.api_key, report.source_id, *report.tags.values()
        shown = " ".join(filter(None, texts if attributes is None else (*texts, *_TEXTS_OF(attributes))))
        if not is_plain(shown):
            return False
        data, needles = letters_of_plain(shown), self._needles
        for value in named:  # a generator costs as much as what it does
            if needles[value].may_be_in(data):
                return not Persons(named).label_spans(shown)
        return True

    def _is_in_none_of(self, report: Report, user: str) -> bool:
        """Whether a user is in no clear text of a report whose names passed before; False where that is uncertain."""
        person = own, codes, least = self._needles[user]
        shown = letters_of_plain(report.source_id)
        if own in shown:
            return False
        for code in codes:
            if code in shown:
                return False
        plain, api_key = self._plain, report.api_key
        for name in report.tags.values() if api_key is None else (api_key, *report.tags.values()):
            shown = plain[name]
            if shown is None or own in shown or (len(shown) >= least and person.may_be_in(shown)):
                return False
        return True

    def hide(self, admitted: "Admitted", persons: Persons) -> None:
        """Put marks for `persons` into the clear texts of `admitted`. Never raises: what fails is not kept."""
        if not persons:
            return
        removed = admitted.removed
        if "api_key" not in self._texts:
            admitted.api_key = without_persons(admitted.api_key, persons, "api_key", removed)
        if not self._tags:
            admitted.tags = {
                key: without_persons(value, persons, "tag", removed) or "" for key, value in admitted.tags.items()
            }
        if admitted.attributes is not None:
            self._hide_more(admitted.attributes, persons, removed)

    def _hide_more(self, attributes: Attributes, persons: Persons, removed: dict[str, int]) -> None:
        for name in (*_JOINING, *_LABELS):
            text = getattr(attributes, name)
            if not text or name in self._more_texts or _RANDOM_ID.fullmatch(text):
                continue
            hidden = without_persons(text, persons, name, removed)
            if hidden != text:
                setattr(attributes, name, None if name in _JOINING else hidden)
        if attributes.units:
            kept = {unit: n for unit, n in attributes.units.items() if not persons.label_spans(unit)}
            if len(kept) < len(attributes.units):
                count(removed, "units", len(attributes.units) - len(kept))
                attributes.units = kept or None


def without_persons(text: str | None, persons: Persons, name: str, removed: dict[str, int]) -> str | None:
    """A clear text with marks in place of persons, as long as a clear text may be; counted under `name`."""
    if not text:
        return text
    try:
        hidden = persons.masked_label(text)
    except Exception:  # whatever failed, the text may name a person
        hidden = WITHHELD
    if hidden == text:
        return text
    count(removed, name)
    return bounded(hidden, _TEXT_CHARS_MAX)


def source_id_without(text: str, persons: Persons, removed: dict[str, int]) -> str:
    """A gateway's id of a call with marks in place of persons."""
    if _RANDOM_ID.fullmatch(text):
        return text
    return without_persons(text, persons, "source_id", removed) or WITHHELD


def code_without(text: str | None, persons: Persons, removed: dict[str, int]) -> str | None:
    """An error's code with marks in place of persons. An HTTP status is no person's name."""
    if text is not None and _HTTP_STATUS.fullmatch(text):
        return text
    return without_persons(text, persons, "error_code", removed)


def _named_in(parameters: object) -> list[str]:
    if not isinstance(parameters, dict):
        return []
    given = cast("dict[str, object]", parameters)
    found = [given.get(name) for name in _PARAMETERS]
    inner = given.get("metadata")
    if isinstance(inner, dict):
        within = cast("dict[str, object]", inner)
        found += [within.get(name) for name in _PARAMETERS]
    return [value for value in found if isinstance(value, str)]
