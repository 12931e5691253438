"""Quota to money, and what it is made of.

quota = (prompt + completion x completion ratio + cached x cache ratio ...) x model ratio x group ratio, rounded to a
whole number; or a price for each request. One of money is `quota_per_unit` of quota.
"""

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Final

from policies.admission.report import AmountPart, Report
from service.ingest.formats.newapi.log_row import LogRow
from service.ingest.formats.newapi.names import CONTENT
from service.ingest.formats.scalars import PLACES, without_zeros

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_UNIT_PLACES: Final = 15
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_THOUSAND: Final = Decimal(1000)
# How One API words its ratios, which is all that it says of them; the signs are escaped, for they look like others.
_ONE_API_RATIOS: Final = re.compile(r"倍率\uff1a([0-9.]{1,12}) \u00d7 ([0-9.]{1,12}) \u00d7 ([0-9.]{1,12})")
_SAID_CHARACTERS: Final = 200


def read_money(row: LogRow, report: Report, quota: int) -> None:
    """Give the report its amount, exactly what the quota is, and its parts where they are known to make it up."""
    price, places = _price(row.settings.quota_per_unit)
    report.amount = without_zeros(
        quota * price if places is not None else _rounded(Decimal(quota) / row.settings.quota_per_unit), _EXACT
    )
    report.currency, report.amount_source = row.settings.currency, "ROUNDED"
    if quota > 0 and report.corrects is None:
        report.amount_parts = _parts(row, report, report.amount)


@lru_cache(maxsize=4096)
def _price(per_unit: Decimal, *ratios: Decimal) -> tuple[Decimal, int | None]:
    """What one token costs in money, and its decimal places; None where not all of its digits are there."""
    product = _ONE
    for ratio in ratios:
        product = _EXACT.multiply(product, ratio)
    price = _EXACT.divide(product, per_unit).normalize(_EXACT)
    exponent = price.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -_UNIT_PLACES:
        return without_zeros(price, _EXACT), max(-exponent, 0)
    return price, None


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_QUANTUM, context=_EXACT)


def _parts(row: LogRow, report: Report, amount: Decimal) -> list[AmountPart] | None:
    """The parts of the amount; None unless they are all of it, but for what the gateway rounded to a whole quota."""
    if row.other.get("audio") or row.other.get("ws"):
        return None
    parts = [part for part in _priced(row, report) if part.amount]
    rounding = amount - sum([part.amount for part in parts], _ZERO)
    if not parts or (rounding and abs(rounding) * row.settings.quota_per_unit > _ONE):
        return None
    if rounding:
        parts.append(AmountPart("other", without_zeros(rounding, _EXACT)))
    return parts


def _priced(row: LogRow, report: Report) -> Iterator[AmountPart]:
    ratios = _ratios(row)
    if ratios is None:
        return
    model, group, completion = ratios
    per_request = row.ratio("model_price")
    if per_request is not None and per_request > 0:
        yield _part("request", 1, _price(_ONE, per_request, group))
    else:
        yield from _of_tokens(row, report, (row.settings.quota_per_unit, model, group), completion)
    if tools := _tools(row):
        yield _part("tools", 1, _price(_ONE, tools, group))


def _ratios(row: LogRow) -> tuple[Decimal, Decimal, Decimal] | None:
    """The ratios of model, group and completion, which is 1 unless it is said."""
    if row.other:
        group = row.ratio("group_ratio")
        completion = row.ratio("completion_ratio")
        return None if group is None else (row.ratio("model_ratio") or _ZERO, group, completion or _ONE)
    content = row.fields.get(CONTENT)
    found = _ONE_API_RATIOS.search(content[:_SAID_CHARACTERS]) if isinstance(content, str) else None
    model, group, completion = [row.money(CONTENT, text) for text in found.groups()] if found else [None] * 3
    return None if model is None or group is None or completion is None else (model, group, completion)


def _of_tokens(
    row: LogRow, report: Report, usual: tuple[Decimal, Decimal, Decimal], completion: Decimal
) -> Iterator[AmountPart]:
    """The parts of each kind of tokens. `usual`: what of quota is one, and the ratios that all of them have."""
    read, written = report.cache_read_tokens or 0, report.cache_write_tokens or 0
    yield _part("input", (report.input_tokens or 0) - read - written, _price(*usual))
    if read:
        yield _part("cache_read", read, _price(*usual, _ratio(row, "cache_ratio")))
    if written:
        weight = _written_weight(row, written)
        part = _part("cache_write", 1, _price(*usual, weight))
        yield AmountPart(part.meter, part.amount, Decimal(written))
    yield _part("output", report.output_tokens or 0, _price(*usual, completion))


def _written_weight(row: LogRow, written: int) -> Decimal:
    """Tokens written to a cache, those of each lifetime by its ratio."""
    usual = _ratio(row, "cache_creation_ratio")
    short, long = row.part("cache_creation_tokens_5m"), row.part("cache_creation_tokens_1h")
    weight = short * _ratio(row, "cache_creation_ratio_5m", usual)
    weight += long * _ratio(row, "cache_creation_ratio_1h", usual)
    return weight + max(written - short - long, 0) * usual


def _ratio(row: LogRow, name: str, otherwise: Decimal = _ONE) -> Decimal:
    ratio = row.ratio(name)
    return otherwise if ratio is None else ratio


def _tools(row: LogRow) -> Decimal:
    """What calls of tools cost, before the group's ratio: their prices are for a thousand."""
    total = _ZERO
    listed = row.other.get("tool_surcharges")
    if isinstance(listed, list):
        for item in listed:
            if isinstance(item, dict):
                count = row.count("tool_surcharges", item.get("count")) or 0
                total += count * (row.money("tool_surcharges", item.get("price")) or _ZERO) / _THOUSAND
    else:
        for name in ("web_search", "file_search"):
            if calls := row.part(f"{name}_call_count"):
                total += calls * _ratio(row, f"{name}_price", _ZERO) / _THOUSAND
    return total


def _part(meter: str, quantity: int, price: tuple[Decimal, int | None]) -> AmountPart:
    each, places = price
    amount = _EXACT.multiply(each, quantity)
    fits = places is not None and (places <= PLACES or amount == _rounded(amount))
    amount = without_zeros(amount if fits else _rounded(amount), _EXACT)
    return AmountPart(meter, amount, Decimal(quantity), each if fits else None)
