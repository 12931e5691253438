"""Rows of bills and usage exports, by the names that their columns have, and what they say.

A layout is recognised by the names of the first row. Days are those of the provider's time zone: a day without a time
is taken as it stands, a time without an offset is of that zone, and one with an offset is brought into it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from policies.redaction.text import bounded
from service.errors import RequestError
from service.ingest.formats.scalars import SIGNIFICANT_DIGITS

_NOISELESS: Final = Context(prec=SIGNIFICANT_DIGITS)
_TEXT_MAX: Final = 200
NAME_LOOKED_AT_MAX: Final = 4 * _TEXT_MAX
"""Of a name, before it is redacted and then cut: a part of a credential might not be recognised as one."""
_DIGITS_MAX: Final = 40
_AMOUNT_MAX: Final = Decimal(10) ** 15
_CURRENCY: Final = re.compile(r"[A-Z]{3,16}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T00:00:00(?:\.0+)?Z?)?", re.ASCII)
_EPOCH: Final = re.compile(r"[0-9]{9,10}(?:\.[0-9]+)?", re.ASCII)
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])", re.ASCII)
_METER: Final = re.compile(
    r"(?:,|/| -) ?(?:(?:cached |cache |batch )?(?:input|output|read|write|all).*)\Z", re.IGNORECASE
)
"""What follows a model in the name of a line item, such as `gpt-4o-2024-08-06, input`."""


class BilledRow(NamedTuple):
    """One row of a bill. `places`: of its amount, which may have been rounded there; `id`: where it is of one call;
    `adds`: it is no call, but changes what the one of this id comes to. `currency` None: a call without an amount.
    """

    day: date
    model: str
    currency: str | None
    amount: Decimal
    places: int
    tokens: int | None
    id: str | None
    adds: bool = False


class BilledRowError(ValueError):
    """a row cannot be read"""


@dataclass(frozen=True, slots=True)
class StatementLayout:
    """The columns of one kind of export, the first of a name that has a value counts. `needs`: names that tell it."""

    name: str
    needs: frozenset[str]
    moment: tuple[str, ...]
    model: tuple[str, ...]
    amount: tuple[str, ...]
    currency: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    otherwise: str | None = None
    scale: Decimal = Decimal(1)
    whole_days: bool = False


_FOCUS_MODEL: Final = ("x_Model", "SkuId", "ResourceName", "ResourceId", "ChargeDescription")
_AWS: Final = ("line_item_usage_type", "line_item_line_item_description", "line_item_product_code")
LAYOUTS: Final = (
    StatementLayout(
        "focus",
        frozenset({"BilledCost", "BillingCurrency", "ChargePeriodStart"}),
        ("ChargePeriodStart",),
        _FOCUS_MODEL,
        ("BilledCost",),
        ("BillingCurrency",),
        whole_days=True,
    ),
    StatementLayout(
        "aws-cur",
        frozenset({"line_item_unblended_cost", "line_item_usage_start_date"}),
        ("line_item_usage_start_date",),
        ("product_model", *_AWS),
        ("line_item_unblended_cost",),
        ("line_item_currency_code",),
        otherwise="USD",
    ),
    StatementLayout(
        "litellm",
        frozenset({"spend", "startTime", "request_id"}),
        ("startTime",),
        ("model_group", "model"),
        ("spend",),
        tokens=("total_tokens",),
        id=("litellm_call_id", "request_id"),
        otherwise="USD",
    ),
    StatementLayout(
        "openrouter-generations",
        frozenset({"generation_id", "created_at", "cost_total"}),
        ("created_at",),
        ("model_permaslug", "model"),
        ("cost_total",),
        tokens=("tokens_prompt", "tokens_completion"),
        id=("generation_id",),
        otherwise="USD",
    ),
    StatementLayout(
        "openrouter",
        frozenset({"date", "model", "usage", "requests"}),
        ("date",),
        ("model_permaslug", "model"),
        ("usage",),
        tokens=("prompt_tokens", "completion_tokens"),
        otherwise="USD",
        whole_days=True,
    ),
    StatementLayout(
        "openai-costs",
        frozenset({"start_time", "line_item", "amount_value"}),
        ("start_time_iso", "start_time"),
        ("line_item",),
        ("amount_value",),
        ("amount_currency",),
        otherwise="USD",
        whole_days=True,
    ),
    StatementLayout(
        "anthropic-costs",
        frozenset({"starting_at", "amount"}),
        ("starting_at",),
        ("model", "description"),
        ("amount",),
        ("currency",),
        otherwise="USD",
        scale=Decimal("0.01"),
        whole_days=True,
    ),
    StatementLayout(
        "anthropic-usage",
        frozenset({"usage_date_utc", "cost_usd"}),
        ("usage_date_utc",),
        ("model", "model_version"),
        ("cost_usd",),
        otherwise="USD",
        whole_days=True,
    ),
    StatementLayout(
        "invoice",
        frozenset({"model"}),
        ("day", "date", "started_at", "time", "timestamp", "created_at"),
        ("model",),
        ("amount", "cost", "spend", "total"),
        ("currency",),
        ("tokens", "total_tokens"),
        ("id", "request_id", "call_id"),
    ),
)


def layout_of(names: set[str], wanted: str | None = None) -> StatementLayout:
    """The layout of a source whose first row has these names. Raises RequestError where none is known."""
    found = next((one for one in LAYOUTS if (wanted == one.name if wanted else one.needs <= names)), None)
    if found is not None and found.needs <= names and names & set(found.moment) and names & set(found.amount):
        return found
    kinds = ", ".join(one.name for one in LAYOUTS)
    raise RequestError(
        f"the columns are of no bill that is known ({kinds}): an invoice needs `day`, `model`, `currency` and "
        "`amount`, or `--column amount=COLUMN` and so on for others' names"
    )


def _spelt(name: str) -> str:
    """The name of a column; `lineItem/UnblendedCost`, as AWS's files of CSV have it, in the form of its tables."""
    return _HUMP.sub("_", name.replace("/", "_")).lower() if "/" in name else name


def flattened(row: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - a value of JSON
    """The rows within a row: those of a bucket of days, each with what the bucket says of all, and whole amounts."""
    if not isinstance(row, dict):
        raise BilledRowError("is no object")
    row = {_spelt(name): value for name, value in row.items()}
    results = row.pop("results", None)
    inner = results if isinstance(results, list) else [{}]
    for one in inner:
        if not isinstance(one, dict):
            raise BilledRowError("has a result that is no object")
        found: dict[str, Any] = {**row, **one}
        amount = found.get("amount")
        if isinstance(amount, dict):
            found |= {"amount_value": amount.get("value"), "amount_currency": amount.get("currency")}
        # Shared fees of a bucket without results are no row.
        if results is None or one:
            yield found


def billed_row(layout: StatementLayout, row: Mapping[str, Any], zone: tzinfo, currency: str | None) -> BilledRow:
    """What a row says. `currency` is that of rows which name none. Raises BilledRowError."""
    amount = _amount(_first(row, layout.amount))
    its = str(_first(row, layout.currency) or currency or layout.otherwise or "").upper()
    if not _CURRENCY.fullmatch(its):
        raise BilledRowError("has no currency: give it by --currency")
    model = _METER.sub("", _name(_first(row, layout.model))).strip()
    if not model:
        raise BilledRowError("has no model")
    exponent = amount.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    day = _day(_first(row, layout.moment), zone, whole=layout.whole_days)
    scaled = _NOISELESS.multiply(amount, layout.scale) if layout.scale != 1 else amount
    return BilledRow(day, model, its, scaled, max(places, 0), _tokens(row, layout), _text(_first(row, layout.id)))


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _name(value: object) -> str:
    """A model's name as it stands, of bounded length."""
    if value is None:
        return ""
    if not isinstance(value, str | int):
        raise BilledRowError("has a name that is no text")
    return bounded(str(value), NAME_LOOKED_AT_MAX)


def _text(value: object) -> str | None:
    """Text of bounded length, without what could not be shown in one line."""
    if value is None:
        return None
    text = _name(value)[:_TEXT_MAX]
    return "".join(character if character.isprintable() else "?" for character in text)


def _amount(value: object) -> Decimal:
    """Money, exactly as written; of a binary float without its noise."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BilledRowError("has no amount")
    text = str(value).strip()
    if len(text) > _DIGITS_MAX:
        raise BilledRowError("has an amount that is none")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        hint = ": write it with a point and without thousands, such as 1234.56" if "," in text else ""
        raise BilledRowError(f"has an amount that is none{hint}") from None
    if not amount.is_finite() or abs(amount) >= _AMOUNT_MAX:
        raise BilledRowError("has an amount that is none")
    return _NOISELESS.plus(amount)


def _tokens(row: Mapping[str, Any], layout: StatementLayout) -> int | None:
    values = [row[name] for name in layout.tokens if row.get(name) not in (None, "")]
    try:
        counts = [int(str(value)[:_DIGITS_MAX]) for value in values]
    except ValueError:
        raise BilledRowError("has a number of tokens that is none") from None
    return sum(counts) if counts else None


def _day(value: object, zone: tzinfo, *, whole: bool) -> date:
    text = str(value).strip()[:_DIGITS_MAX] if isinstance(value, str | int | Decimal) else ""
    try:
        if _EPOCH.fullmatch(text):
            moment = datetime.fromtimestamp(float(text), UTC)
            return moment.date() if whole else moment.astimezone(zone).date()
        if len(text) == 10 or (whole and _DAY.fullmatch(text.replace(" ", "T"))):
            return date.fromisoformat(text[:10])
        moment = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
    except (ValueError, OverflowError):
        raise BilledRowError("has no day, and no time that can be read: write 2026-11-30 or RFC 3339") from None
    return moment.date() if moment.tzinfo is None else moment.astimezone(zone).date()
