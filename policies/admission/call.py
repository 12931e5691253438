"""Incoming report x policy -> what may be stored. The decision; `service/ingest/pipeline/gate.py` enforces it.

Fails closed: text that the redactor cannot answer for is not stored, and of an error only its type is left.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NewType, TypeAlias

from msgspec.structs import replace

from policies.admission.admitted import Admitted, AdmittedError, AdmittedFailure
from policies.admission.attributes import AttributeAdmission
from policies.admission.clear_text import WITHHELD, BoundedSet, ClearText, Keeper, count, is_made_id
from policies.admission.echoing_names import hide_echoes
from policies.admission.error import ErrorAdmission
from policies.admission.personal import PersonalTexts, source_id_without
from policies.admission.report import AmountPart, Report
from policies.policy.fields import USER
from policies.policy.model import Action, Policy
from policies.redaction import Persons, Redactor

NAME_CHARS_MAX: Final = 200
ID_CHARS_MAX: Final = 512
WORD_CHARS_MAX: Final = 100
METERS: Final = frozenset(
    (
        *("input", "output", "cache_read", "cache_write", "reasoning", "request", "tools", "guardrail", "discount"),
        "margin",
    )
)
OTHER_METER: Final = "other"
_KEPT_METERS: Final = METERS | {OTHER_METER}
REJECTED_ACCOUNT: Final = (
    "the account's name has the format of a credential, holds an e-mail address, is longer than 200 characters, or "
    "holds characters that do not print; report the account under another name"
)
REJECTED_CURRENCY: Final = "an amount needs a currency of 3 to 16 upper-case letters, such as `USD`"

_CURRENCY: Final = re.compile(r"[A-Z]{3,16}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NO_FAILURE: Final = AdmittedFailure(None, None, None, None)
_KNOWN_MAX: Final = 8192
_Names: TypeAlias = tuple[str | None, ...]

UnchangedReport = NewType("UnchangedReport", Report)
"""A report that `Admission.unchanged` let pass: what it says may be stored, all of it, as it is."""

# Attributes of a report that are neither text nor needed, by the field that the policy names.
_FIGURES: Final = {
    "Call.streamed": "streamed",
    "Call.inputTokens": "input_tokens",
    "Call.outputTokens": "output_tokens",
    "Call.cacheReadTokens": "cache_read_tokens",
    "Call.cacheWriteTokens": "cache_write_tokens",
    "Call.reasoningTokens": "reasoning_tokens",
    "Call.latencyMs": "latency_ms",
    "Call.timeToFirstTokenMs": "time_to_first_token_ms",
    "Call.amountUnknown": "amount_unknown",
}


class Admission:
    """One policy, ready to admit; build it once per policy. Holds no report, only clean names and tags."""

    def __init__(self, policy: Policy, redactor: Redactor) -> None:
        self._texts = ClearText(redactor)
        self._errors = ErrorAdmission(policy, redactor, self._texts)
        self._personal = PersonalTexts(policy)
        self._attributes = AttributeAdmission(policy, self._texts)
        self._keep_source_id = Keeper(policy, "Call.sourceId")
        self._keep_api_key = Keeper(policy, "Call.apiKey")
        self._keep_served_model = Keeper(policy, "Call.servedModel")
        self._keep_provider = Keeper(policy, "Call.provider")
        self._keep_operation = Keeper(policy, "Call.operation")
        self._keep_tag = Keeper(policy, "Tag.value")
        self._hashes_user = policy.action(USER) is Action.HASH
        self._keeps_amount = policy.action("Call.amount") is Action.KEEP
        self._keeps_parts = self._keeps_amount and policy.action("Call.amountParts") is Action.KEEP
        self._tag_keys = policy.tag_keys if policy.action("Call.tags") is Action.KEEP else frozenset[str]()
        self._dropped_figures = tuple(
            attribute for name, attribute in _FIGURES.items() if policy.action(name) is not Action.KEEP
        )
        keepers = (
            self._keep_source_id, self._keep_api_key, self._keep_served_model, self._keep_provider,
            self._keep_operation, self._keep_tag,
        )  # fmt: skip
        self._keeps_all = (
            all(keeper.keeps for keeper in keepers)
            and self._hashes_user
            and self._keeps_amount
            and not self._dropped_figures
        )
        # What came out of `admit` as it went in: the names of a call together, and each tag.
        self._known_names: BoundedSet[_Names] = BoundedSet(_KNOWN_MAX)
        self._known_tags: BoundedSet[tuple[str, str]] = BoundedSet(_KNOWN_MAX)

    def unchanged(self, report: Report) -> UnchangedReport | None:
        """`report` itself, if `admit` would take nothing from it and change nothing; None where that is not certain.
        Where it has tags that the policy does not keep, a report without them.

        So it is with nearly every call that succeeded: its names were admitted before, together. Then there is
        nothing to copy. Asked first, `admit` being what decides: this only remembers its answers.
        """
        tags = report.tags
        if not self._tag_keys.issuperset(tags):
            tags = {key: value for key, value in tags.items() if key in self._tag_keys}
        if (
            self._keeps_all
            and not report.failed
            and report.error is None
            and (report.amount_parts is None or self._parts_pass(report))
            and report.corrects is None
            and report.user != ""
            and (report.amount is None) is (report.currency is None) is (report.amount_source is None)
            and _names(report) in self._known_names
            and self._known_tags.issuperset(tags.items())
            and is_made_id(report.source_id)
            and self._personal.may_pass(report)
            and (report.attributes is None or self._attributes.unchanged(report.attributes))
        ):
            return UnchangedReport(report if tags is report.tags else replace(report, tags=tags))
        return None

    def _parts_pass(self, report: Report) -> bool:
        """Whether the parts of the amount are kept as they are: by known names, or those of our price lists."""
        if not self._keeps_parts or report.currency is None:
            return False
        parts = report.amount_parts or ()
        for part in parts:  # a generator costs as much as what it does
            if part.meter not in _KEPT_METERS and part.price_list is None:
                return False
        return bool(parts)

    def admit(self, report: Report) -> Admitted:
        """What may be stored of `report`, which is left as it was. Never raises because of what a report says."""
        removed = dict(report.dropped)
        identifier = self._texts.identifier
        persons = self._personal.persons(report)
        failure = self._failure(report, persons, removed)
        keeps_amount = self._keeps_amount and report.amount is not None
        admitted = Admitted(
            source=report.source,
            source_id=self._source_id(report, persons, removed),
            started_at=report.started_at,
            account=identifier(report.account, NAME_CHARS_MAX, "account", removed),
            api_key=self._keep_api_key(identifier(report.api_key, NAME_CHARS_MAX, "api_key", removed)),
            user=(report.user or None) if self._hashes_user else None,
            model=identifier(report.model, NAME_CHARS_MAX, "model", removed) or WITHHELD,
            served_model=self._keep_served_model(
                identifier(report.served_model, NAME_CHARS_MAX, "served_model", removed)
            ),
            provider=self._keep_provider(identifier(report.provider, WORD_CHARS_MAX, "provider", removed)),
            operation=self._keep_operation(identifier(report.operation, WORD_CHARS_MAX, "operation", removed)),
            failed=report.failed,
            streamed=report.streamed,
            input_tokens=report.input_tokens,
            output_tokens=report.output_tokens,
            cache_read_tokens=report.cache_read_tokens,
            cache_write_tokens=report.cache_write_tokens,
            reasoning_tokens=report.reasoning_tokens,
            amount=report.amount if keeps_amount else None,
            currency=report.currency if keeps_amount else None,
            amount_source=report.amount_source if keeps_amount else None,
            amount_parts=_parts(report.amount_parts) if self._keeps_parts and report.currency else None,
            corrects=self._corrects(report.corrects, removed),
            latency_ms=report.latency_ms,
            time_to_first_token_ms=report.time_to_first_token_ms,
            tags=self._tags(report.tags, removed) if report.tags else {},
            error_type=failure.type,
            error_code=failure.code,
            error=failure.record,
            removed=removed,
            attributes=None if report.attributes is None else self._attributes.admit(report.attributes, removed),
            amount_unknown=report.amount_unknown if self._keeps_amount else None,
        )
        self._personal.hide(admitted, persons)
        if failure is not _NO_FAILURE:
            hide_echoes(admitted, failure.content)
        self._drop(report, admitted)
        admitted.rejected = _rejection(report, admitted)
        if admitted.rejected is REJECTED_ACCOUNT:
            # A writer that stored it all the same must not store it with the accounts that have no name.
            admitted.account = admitted.account or WITHHELD
        self._remember(report, admitted)
        return admitted

    def _remember(self, report: Report, admitted: Admitted) -> None:
        other_tags = sum([key not in self._tag_keys for key in report.tags])
        removed = (
            {**report.dropped, "tags": report.dropped.get("tags", 0) + other_tags} if other_tags else report.dropped
        )
        if not self._keeps_all or admitted.rejected is not None or admitted.removed != removed:
            return
        names = _names(admitted)
        if names == _names(report):
            self._known_names.add(names)
        if admitted.tags.items() <= report.tags.items():
            for tag in admitted.tags.items():
                self._known_tags.add(tag)

    def _failure(self, report: Report, persons: Persons, removed: dict[str, int]) -> AdmittedFailure:
        if report.error is None:
            return _NO_FAILURE
        if not report.failed:
            count(removed, "error")
            return _NO_FAILURE
        return self._errors.admit(report, report.error, persons, removed)

    def _source_id(self, report: Report, persons: Persons, removed: dict[str, int]) -> str:
        """The gateway's id; where cleaning or the policy changes it, with the call's own milliseconds.

        Two calls whose ids mask to the same text stay apart by that suffix, which is stored beside it anyway: a hash
        of what was masked would let a guess be tried. That both are stored never depends on it (the writer derives a
        call's id from the original).
        """
        clean = self._texts.source_id(report.source_id, ID_CHARS_MAX, removed)
        if not self._personal.names_calls:
            clean = source_id_without(clean, persons, removed)
        shown = self._keep_source_id(clean) or WITHHELD
        if shown == report.source_id:
            return shown
        return f"{shown}~{(report.started_at - _EPOCH) // _MILLISECOND}"

    def _corrects(self, corrects: str | None, removed: dict[str, int]) -> str | None:
        # A masked id names no call, or the wrong one.
        clean = self._texts.identifier(corrects, ID_CHARS_MAX, "corrects", removed)
        return clean if clean == corrects else None

    def _tags(self, tags: dict[str, str], removed: dict[str, int]) -> dict[str, str]:
        kept: dict[str, str] = {}
        for key, value in tags.items():
            if key not in self._tag_keys:
                count(removed, "tags")
                continue
            clean = self._texts.optional(value, NAME_CHARS_MAX, "tag", removed)
            kept[key] = self._keep_tag(clean) or ""
        return kept

    def _drop(self, report: Report, admitted: Admitted) -> None:
        for attribute in self._dropped_figures:
            if getattr(report, attribute) is not None:
                count(admitted.removed, attribute)
                setattr(admitted, attribute, None)
        if report.user and not self._hashes_user:
            count(admitted.removed, "user")
        if report.amount is not None and not self._keeps_amount:
            count(admitted.removed, "amount")


def _names(call: Report | Admitted) -> _Names:
    return call.account, call.api_key, call.model, call.served_model, call.provider, call.operation, call.currency


def _parts(parts: list[AmountPart] | None) -> list[AmountPart] | None:
    if not parts:
        return None
    # What we estimated is named by price lists, which are the operator's.
    return [
        part
        if part.price_list is not None
        else AmountPart(
            part.meter if part.meter in METERS else OTHER_METER, part.amount, part.quantity, part.unit_price
        )
        for part in parts
    ]


def _rejection(report: Report, admitted: Admitted) -> str | None:
    # Under a masked name two accounts would become one, and read each other's calls.
    if report.account and admitted.account != report.account:
        return REJECTED_ACCOUNT
    if admitted.amount is not None and not _CURRENCY.fullmatch(admitted.currency or ""):
        return REJECTED_CURRENCY
    return None


__all__ = [
    "Admission",
    "AdmittedError",
    "UnchangedReport",
]
