"""The error of a failed call x policy -> type, code, and one blob of segments to be sealed.

Secrets, provider identifiers and echoes of content are gone for good; what is personal is kept under seal, or dropped
too where the policy masks instead of sealing.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from policies.admission.admitted import AdmittedError, AdmittedFailure
from policies.admission.clear_text import WITHHELD, ClearText, Keeper, count
from policies.admission.fingerprint import fingerprint_basis
from policies.admission.parameters import ParameterList, Sorted
from policies.admission.personal import code_without, without_persons
from policies.admission.report import ErrorReport, Report
from policies.admission.segments import ErrorDetails, Parameter, Segments, masked, pack_segments
from policies.policy.fields import ERROR_RECORD
from policies.policy.model import Action, Policy
from policies.redaction import ContentIndex, HiddenKind, Persons, Redactor
from policies.redaction.echoes.identifiers import is_model

TYPE_CHARS_MAX: Final = 200
CODE_CHARS_MAX: Final = 100
FAILURE_RULE: Final = "engine-failure"
"""Counted in `rules` when details are missing because redaction failed."""

SIZE_CAP_RULE: Final = "size-cap"
"""Counted in `rules` when the text was longer than what is scanned, and was cut."""

# Names of error classes and codes, as every client library has them: one word, no text. Anything else in a type or a
# code is taken for text, and loses what it echoes of the report's content. (Without this a coding assistant, whose
# prompts are full of `RateLimitError`, would lose the types of its errors.)
_NAME: Final = re.compile(
    r"(?:[A-Za-z_]\w{0,40}\.){0,6}[A-Z][A-Za-z0-9]{0,60}|[a-z]{1,20}(?:[_.-][a-z0-9]{1,20}){0,6}|"
    r"[0-9]{1,6}|(?:[0-9]{3}_)?[A-Z]{1,20}(?:_[A-Z]{1,20}){0,6}",
    re.ASCII,
)


@dataclass(slots=True)
class _Details:
    """What of an error survived redaction."""

    type: str
    code: str | None
    message: Segments | None
    parameters: dict[str, Parameter]
    dropped: int


class ErrorAdmission:
    """One policy's handling of errors."""

    def __init__(self, policy: Policy, redactor: Redactor, texts: ClearText) -> None:
        self._redactor = redactor
        self._texts = texts
        self._allowed = ParameterList(policy.parameters)
        message, value = policy.action("CallError.message"), policy.action("ErrorParameter.value")
        self._keeps_record = policy.action(ERROR_RECORD[0]) is not Action.DROP
        self._keeps_message, self._seals_message = message is not Action.DROP, message is Action.SEAL
        listed = policy.action("CallError.parameters") is not Action.DROP
        self._keeps_parameters, self._seals_values = listed and value is not Action.DROP, value is Action.SEAL
        self._keep_type = Keeper(policy, "Call.errorType")
        self._keep_code = Keeper(policy, "Call.errorCode")
        self._keep_record_type = Keeper(policy, "CallError.type")
        self._keep_record_code = Keeper(policy, "CallError.code")

    def admit(self, report: Report, error: ErrorReport, persons: Persons, removed: dict[str, int]) -> AdmittedFailure:
        """What may be kept of `error`, the error of `report`. Never raises: fails closed to the error's type."""
        rules: Counter[str] = Counter()
        blob: bytes | None = None
        content: ContentIndex | None = None
        try:
            listed = self._allowed.sort(error.parameters)
            identifiers = [*_names(report), *report.identifiers, *self._allowed.names, *listed.identifiers]
            content = ContentIndex([*report.content, *listed.strings], identifiers, persons)
            details = self._details(error, listed, content, rules, removed)
            if self._keeps_message or self._keeps_parameters:
                blob = pack_segments(ErrorDetails(details.message, details.parameters))
        except Exception:  # the redactor's, or parameters too large to walk: whatever it is, no detail may stay
            details = self._type_only(error, persons, removed)
            rules, blob = Counter({FAILURE_RULE: 1}), None
        if details.dropped:
            count(removed, "parameters", details.dropped)
        return AdmittedFailure(
            self._keep_type(details.type),
            self._keep_code(details.code),
            self._record(details, error, blob, rules) if self._keeps_record else None,
            content,
        )

    def _record(self, details: _Details, error: ErrorReport, blob: bytes | None, rules: Counter[str]) -> AdmittedError:
        type_ = self._keep_record_type(details.type) or WITHHELD
        code = self._keep_record_code(details.code)
        message = None if details.message is None else masked(details.message)
        basis = fingerprint_basis(type=type_, code=code, masked_message=message)
        return AdmittedError(type_, code, error.occurred_at, blob, basis, dict(rules))

    def _details(
        self, error: ErrorReport, listed: Sorted, content: ContentIndex, rules: Counter[str], removed: dict[str, int]
    ) -> _Details:
        type_ = self._word(error.type, TYPE_CHARS_MAX, "error_type", content, removed) or WITHHELD
        code = self._word(error.code, CODE_CHARS_MAX, "error_code", content, removed)
        message: Segments | None = None
        if self._keeps_message and error.message:
            message = self._segments(error.message, content, rules, seals=self._seals_message)
        parameters: dict[str, Parameter] = {}
        if self._keeps_parameters:
            parameters = self._allowed.admit(
                listed.found, lambda text: self._segments(text, content, rules, seals=self._seals_values)
            )
        return _Details(type_, code, message, parameters, listed.dropped)

    def _segments(self, text: str, content: ContentIndex, rules: Counter[str], *, seals: bool) -> Segments:
        redaction = self._redactor.redact(text, content=content)
        rules.update(redaction.counts)
        if redaction.truncated:
            rules[SIZE_CAP_RULE] += 1
        return tuple(
            part
            if isinstance(part, str)
            else (part.rule, part.text if seals and part.kind is HiddenKind.personal else None)
            for part in redaction.segments
        )

    def _word(
        self, text: str | None, limit: int, name: str, content: ContentIndex, removed: dict[str, int]
    ) -> str | None:
        """A type or code in clear. Not a mere name: held against the content too. Raises what the redactor raises."""
        if not text:
            return None
        if not _NAME.fullmatch(text):
            without_echoes = self._redactor.redact(text, content=content)
            if without_echoes.counts:
                count(removed, name)
            text = without_echoes.masked
        # What is invisible is gone from what is stored, so that persons are looked for in that.
        clean = self._texts.optional(text, limit, name, removed)
        if name == "error_code":
            return code_without(clean, content.persons, removed)
        return without_persons(clean, content.persons, name, removed)

    def _type_only(self, error: ErrorReport, persons: Persons, removed: dict[str, int]) -> _Details:
        # Text that cannot be held against the content is not kept; a name can.
        named = error.type if _NAME.fullmatch(error.type) else None
        named = without_persons(named, persons, "error_type", removed)
        type_ = self._texts.required(named, TYPE_CHARS_MAX, "error_type", removed)
        return _Details(type_, None, None, {}, 0)


def _names(report: Report) -> list[str]:
    """Names of the call itself, which are stored in clear."""
    names = [report.model, report.served_model, report.provider, report.operation]
    if report.attributes is not None:
        names.append(report.attributes.deployment)
    return [name for name in names if name and is_model(name)]
