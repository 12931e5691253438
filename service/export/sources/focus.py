"""Charges as FOCUS has them: the FinOps Open Cost and Usage Specification, version 1.2.

A row is a UTC day's charges of one account, provider, model, currency and token type. A correction of calls of an
earlier billing period is a row of its own, `ChargeClass` is `Correction`: it is billed in the month in which it was
made, for the day on which the calls were. Columns that are ours begin with `x_`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from service.api.exports.kinds import SHAPES
from service.api.exports.requests import ExportRequest
from service.export.files.columns import FileColumn, Layout
from service.export.sources.operation import Batch, admitted
from service.query.charges import DAY, Charge, charged_days, charges_of, refuse_charges
from service.query.model.predicate import Predicate
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.usage.source import UsageReader
from service.storage.cold.errors import ColdFileError

_TIMES: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
_NUMBERS: Final = ("BilledCost", "ConsumedQuantity", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity")
_COUNTS: Final = ("x_CallCount", "x_ErrorCount")
COLUMNS: Final = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
    *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
    *("ContractedCost", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "PricingCategory"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId"),
    *("x_Model", "x_TokenType", "x_CallCount", "x_ErrorCount", "x_Estimated"),
)


def _type(name: str) -> str:
    if name in _TIMES:
        return "DateTime"
    return "Decimal" if name in _NUMBERS else "BigInt" if name in _COUNTS else _FLAGS.get(name, "String")


_FLAGS: Final = {"x_Estimated": "Boolean"}
LAYOUT: Final[Layout] = tuple((FileColumn(name, _type(name)),) for name in COLUMNS)
_ROWS: Final = 1_000
_TOKENS: Final[Mapping[str, str]] = {
    "input": "Input Tokens",
    "output": "Output Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write": "Cache Write Tokens",
    "reasoning": "Reasoning Tokens",
}
"""Meters that count tokens, as meters of a SKU are called."""
_UNKNOWN: Final = "unknown"


async def charges(
    reader: Reader, scope: Scope, request: ExportRequest, check: Callable[[], None], *, columns: bool
) -> AsyncIterator[Batch]:
    """The rows of FOCUS for a filter of calls, day by day, which is let pass before anything is read.

    Raises ExportRefusedError for a filter that the gate does not let pass, ForbiddenError, and what `charged_days`
    does.
    """
    asked = await admitted(reader, SHAPES["FOCUS"], (("id", ()),), request.variables, scope)
    usage, predicate = await reader.usage(scope), asked.request.predicate
    refuse_charges(usage)
    return _batches(reader, usage, predicate, await charged_days(usage, predicate), check, columns=columns)


async def _batches(
    reader: Reader,
    usage: UsageReader,
    predicate: Predicate,
    days: Sequence[datetime],
    check: Callable[[], None],
    *,
    columns: bool,
) -> AsyncIterator[Batch]:
    rows: list[Any] = []
    for day in days:
        check()
        for charge in await _charged(reader, usage, predicate, day):
            row = focus_row(charge)
            rows.append(row.values() if columns else row)
            if len(rows) >= _ROWS:
                yield Batch([*zip(*rows, strict=True)] if columns else rows, len(rows))
                rows = []
    if rows:
        yield Batch([*zip(*rows, strict=True)] if columns else rows, len(rows))


async def _charged(reader: Reader, usage: UsageReader, predicate: Predicate, day: datetime) -> list[Charge]:
    """The charges of a day, with the files that are listed by then; once more where one has gone, whose calls are back
    in the table. Raises ColdFileError.
    """
    now = await reader.usage(usage.scope)
    try:
        return [charge async for charge in charges_of(replace(usage, cold=now.cold), predicate, day)]
    except ColdFileError:
        await reader.clock.refresh()
        again = await reader.usage(usage.scope)
        if again.cold is not None and now.cold is not None and again.cold.files == now.cold.files:
            raise
        return [charge async for charge in charges_of(replace(usage, cold=again.cold), predicate, day)]


def focus_row(charge: Charge) -> dict[str, Any]:
    """One charge by the names of FOCUS, in the order of COLUMNS."""
    cost, provider = _plain(charge.amount), charge.provider or _UNKNOWN
    start, end = month_of(charge.billed_on)
    unit, quantity = _unit(charge), None if charge.correction else _plain(charge.quantity or Decimal(0))
    meter = _TOKENS.get(charge.meter or "", (charge.meter or "all").replace("_", " ").title())
    late = charge.correction and month_of(charge.day) != (start, end)
    said = "Correction of" if charge.correction else f"{meter} of" if charge.meter else "Use of"
    values = {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **dict.fromkeys(("BillingAccountId", "BillingAccountName"), charge.account),
        "BillingAccountType": "Account",
        "BillingCurrency": charge.currency,
        "BillingPeriodStart": _moment(start),
        "BillingPeriodEnd": _moment(end),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if late else None,
        "ChargeDescription": f"{said} {charge.model}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _moment(charge.day),
        "ChargePeriodEnd": _moment(charge.day + DAY),
        **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), None if charge.correction else unit),
        "InvoiceId": None,
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), provider),
        "PricingCategory": "Standard",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{provider} API",
        "SkuId": charge.model,
        "SkuMeter": None if charge.meter is None else meter,
        "SkuPriceId": f"{charge.model}/{charge.meter or 'all'}",
        "x_Model": charge.model,
        "x_TokenType": charge.meter,
        "x_CallCount": str(charge.calls),
        "x_ErrorCount": str(charge.errors),
        "x_Estimated": charge.estimated,
    }
    return {name: values[name] for name in COLUMNS}


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The UTC month around a moment, half-open."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + 32 * DAY).replace(day=1)


def _unit(charge: Charge) -> str:
    if charge.meter is None or charge.meter in _TOKENS:
        return "Tokens"
    return {"request": "Requests", "tools": "Requests", "guardrail": "Requests"}.get(
        charge.meter, charge.meter.replace("_", " ").title()
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
