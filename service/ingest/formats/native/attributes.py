"""Attributes and parts of an amount in the native format: what of them is unreadable costs itself, never its call."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Raw, Struct

from policies.admission.report import AmountPart, Attributes, Report
from service.ingest.formats.amount_parts import multiplies, sums_to
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.scalars import MoneyError, money_of_json

ATTEMPT_MAX: Final = 2**15 - 1
UNITS_MAX: Final = 16
_TEXT_CHARACTERS_MAX: Final = 1024
_UNIT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_UNIT_FORM: Final = "one of `units` must be a number of at least 0 under a plain word of up to 64 characters"

_Text: TypeAlias = Annotated[str, Meta(max_length=_TEXT_CHARACTERS_MAX)] | None


class AttributeFields(Struct, kw_only=True):
    """The fields of a row that few gateways report."""

    trace_id: _Text = None
    parent_span_id: _Text = None
    session_id: _Text = None
    attempt: Annotated[int, Meta(ge=1, le=ATTEMPT_MAX)] | None = None
    cache_hit: bool | None = None
    deployment: _Text = None
    team: _Text = None
    team_id: _Text = None
    organization_id: _Text = None
    organization: _Text = None
    normalized_error: _Text = None
    provider_request_id: _Text = None
    units: Annotated[dict[str, Raw], Meta(max_length=UNITS_MAX)] | None = None


def read_attributes(report: Report, fields: AttributeFields) -> None:
    """Give the report the attributes that the row has, if it has any."""
    units = _units(report, fields.units) if fields.units else None
    attributes = Attributes(
        fields.trace_id or None,
        fields.session_id or None,
        fields.attempt,
        fields.cache_hit,
        fields.deployment or None,
        fields.team or None,
        fields.organization or None,
        fields.normalized_error or None,
        fields.provider_request_id or None,
        units,
        fields.team_id or None,
        fields.organization_id or None,
        fields.parent_span_id or None,
    )
    if attributes != _NOTHING:
        report.attributes = attributes


_NOTHING: Final = Attributes()


def _units(report: Report, given: Mapping[str, Raw]) -> dict[str, Decimal] | None:
    units: dict[str, Decimal] = {}
    for name, raw in given.items():
        try:
            quantity = money_of_json(raw)
        except MoneyError:
            quantity = None
        if quantity is None or quantity < 0 or not _UNIT.fullmatch(name):
            warn_of(report, [FieldError(_UNIT_FORM, "units")])
        else:
            units[name.lower()] = quantity
    return units or None


def take_parts(report: Report, parts: Iterable[AmountPart]) -> None:
    """Give the report the parts of its amount, if they are that: parts that do not sum to it, or of which one is not
    its quantity times its unit price, are left out, and said.
    """
    found = list(parts)
    if not found:
        return
    if not sums_to(report.amount, found):
        warn_of(report, [FieldError("`amount_parts` do not sum to `amount`", "amount_parts")])
    elif not all(map(multiplies, found)):
        warn_of(
            report, [FieldError("one of `amount_parts` is not its `quantity` times its `unit_price`", "amount_parts")]
        )
    else:
        report.amount_parts = found
