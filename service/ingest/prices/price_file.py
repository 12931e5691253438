"""A price list as a TOML file: read strictly, so that a mistake is an error and never a wrong amount.

    name = "acme"
    currency = "USD"
    [[prices]]
    model = "gpt-4o"
    input = "2.5"
    output = "10"

Prices are decimal strings: of tokens for a million of them, of a call and of units for one. `from` is the first UTC day
on which a price is in force, `until` the first on which it no longer is; `hours` are times of each UTC day. `over`
holds what all tokens of a call with more input cost.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from service.errors import OperatorError
from service.ingest.formats.scalars import PLACES
from service.ingest.prices.price_list import TOKENS, Price, PriceList

BYTES_MAX: Final = 4 * 2**20
_DIGEST_DIGITS: Final = 12
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_UNIT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3,16}", re.ASCII)
_PRICE: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,12})?", re.ASCII)
_MILLION: Final = Decimal(1_000_000)
_TOKEN_PLACES: Final = PLACES - 6  # of a million tokens, so that one token's price is exact
_LIST_KEYS: Final = frozenset(("name", "currency", "prices"))
_STEP_KEYS: Final = frozenset(("input_tokens", *TOKENS))
_ENTRY_KEYS: Final = frozenset(
    ("model", "provider", "from", "until", "hours", "request", "units", "batch", "over", *TOKENS)
)
_STEPS_MAX: Final = 16


class PriceFileError(OperatorError):
    """the price list cannot be used as it stands"""


@cache
def shipped_prices() -> PriceList:
    """The list that comes with calledger."""
    return read_price_list(files("service.ingest.prices").joinpath("prices.toml").read_bytes(), "prices.toml")


def load_price_file(path: Path) -> PriceList:
    """The operator's list. Raises PriceFileError naming what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise PriceFileError(f"the price list `{path}` cannot be read: {error.strerror or error}".lower()) from None
    if len(data) > BYTES_MAX:
        raise PriceFileError(f"the price list `{path}` is larger than {BYTES_MAX} bytes")
    return read_price_list(data, str(path))


def read_price_list(data: bytes, where: str) -> PriceList:
    """The price list that a file holds; `where` names the file in errors. Raises PriceFileError."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PriceFileError(f"`{where}` is not TOML: {error}".replace("\n", " ")) from None
    _refuse_unknown(document, _LIST_KEYS, where, "")
    name, currency = document.get("name"), document.get("currency")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _refuse(where, "", "`name` must be 1 to 64 letters, digits, dots, underscores or hyphens")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        _refuse(where, "", "`currency` must be 3 to 16 upper-case letters, such as `USD`")
    entries = _tables(document.get("prices"))
    if not entries:
        _refuse(where, "", "it needs one table `[[prices]]` or more")
    prices = [_PriceEntry(where, _name_of(number, entry), entry).price() for number, entry in enumerate(entries, 1)]
    _refuse_overlaps(prices, where)
    return PriceList(f"{name}@{sha256(data).hexdigest()[:_DIGEST_DIGITS]}", currency, prices)


def _tables(value: object) -> list[dict[str, Any]]:
    """The tables of an array; none when it holds anything else, or is no array."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    tables = [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
    return tables if len(tables) == len(items) else []


def _name_of(number: int, fields: Mapping[str, Any]) -> str:
    model = fields.get("model")
    return f"entry {number}" + (f" (`{model}`)" if isinstance(model, str) else "")


class _PriceEntry:
    """One table of the file while it is read; `name` is what errors call it."""

    def __init__(self, where: str, name: str, fields: Mapping[str, Any]) -> None:
        self._where = where
        self._name = name
        self._fields = fields

    def price(self) -> Price:
        """The entry as a price per token, from prices per million tokens. Raises an error that names the entry."""
        _refuse_unknown(self._fields, _ENTRY_KEYS, self._where, self._name)
        full, output = self._of_a_token("input", None), self._of_a_token("output", None)
        start, end = self._day("from", datetime.min.replace(tzinfo=UTC)), self._day("until", _LAST)
        if start >= end:
            self._refuse("`until` must be later than `from`")
        price = Price(
            model=self._text("model") or self._refuse("`model` is required"),
            input=full,
            output=output,
            cache_read=self._of_a_token("cache_read", full),
            cache_write=self._of_a_token("cache_write", full),
            reasoning=self._of_a_token("reasoning", output),
            request=self._decimal("request", self._fields.get("request", "0"), PLACES),
            units=self._units(),
            provider=self._text("provider"),
            start=start,
            end=end,
            hours=self._hours(),
        )
        price = replace(price, over=self._steps(price))
        return replace(price, batch=self._of_batch(price))

    def _hours(self) -> tuple[time, time] | None:
        value = self._fields.get("hours")
        if value is None:
            return None
        hours = cast("list[object]", value) if isinstance(value, list) else []
        start, end = hours if len(hours) == 2 else (None, None)
        if not isinstance(start, time) or not isinstance(end, time) or start == end:
            self._refuse("`hours` must be two times of the UTC day, such as [16:30:00, 00:30:00]")
        return start, end

    def _steps(self, price: Price) -> tuple[tuple[int, Price], ...]:
        """What holds for calls with more input: what a step does not say is as without it."""
        if "over" not in self._fields:
            return ()
        tables = _tables(self._fields["over"])
        if not 1 <= len(tables) <= _STEPS_MAX:
            self._refuse(f"`over` must be 1 to {_STEPS_MAX} tables `[[prices.over]]`")
        steps: list[tuple[int, Price]] = []
        for table in tables:
            _refuse_unknown(table, _STEP_KEYS, self._where, f"{self._name}, `over`")
            above = table.get("input_tokens")
            if type(above) is not int or above < 1 or (steps and above <= steps[-1][0]):
                self._refuse("`over` needs `input_tokens`, a number of tokens, each larger than the one before")
            step = _PriceEntry(self._where, f"{self._name}, over {above}", table)
            named = {name: step._of_a_token(name, None) for name in TOKENS if name in table}
            steps.append((above, replace(price, **named)))
        return tuple(steps)

    def _of_batch(self, price: Price) -> Price | None:
        """The price with the share that a batch takes of those of tokens; the price of one token stays exact."""
        if "batch" not in self._fields:
            return None
        share = self._decimal("batch", self._fields["batch"], PLACES)
        if share > 1:
            self._refuse('`batch` is the share that a batch takes of the prices, such as "0.5": 1 at most')
        over = tuple((above, self._shared(step, share)) for above, step in price.over)
        return replace(self._shared(price, share), over=over)

    def _shared(self, price: Price, share: Decimal) -> Price:
        prices = {name: getattr(price, name) * share for name in TOKENS}
        if any(one != round(one, PLACES) for one in prices.values()):
            self._refuse(f"`batch` leaves prices of a million tokens with more than {_TOKEN_PLACES} decimal places")
        return replace(price, **prices)

    def _text(self, key: str) -> str | None:
        value = self._fields.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= 200:
            self._refuse(f"`{key}` must be a string of 1 to 200 characters")
        return value.lower()

    def _of_a_token(self, key: str, otherwise: Decimal | None) -> Decimal:
        value = self._fields.get(key)
        if value is not None:
            return self._decimal(key, value, _TOKEN_PLACES) / _MILLION
        if otherwise is None:
            self._refuse(f"`{key}` is required: the price of a million tokens, `0` if they cost nothing")
        return otherwise

    def _units(self) -> dict[str, Decimal]:
        given = self._fields.get("units", {})
        units = cast("dict[str, object]", given) if isinstance(given, dict) else None
        if units is None or not all(_UNIT.fullmatch(name) for name in units):
            self._refuse("`units` must be a table of prices by name, such as `images`")
        return {name: self._decimal(f"units.{name}", value, PLACES) for name, value in units.items()}

    def _decimal(self, key: str, value: object, decimal_places: int) -> Decimal:
        """A price of at most so many decimal places, below ten million."""
        scale = f"{decimal_places} decimal places at most"
        expected = f'`{key}` must be a string such as "2.5": not negative, below 10000000, {scale}'
        if not isinstance(value, str) or not _PRICE.fullmatch(value):
            self._refuse(expected)
        try:
            price = Decimal(value)
        except InvalidOperation:
            self._refuse(expected)
        if price != round(price, decimal_places):
            self._refuse(expected)
        return price

    def _day(self, key: str, otherwise: datetime) -> datetime:
        value = self._fields.get(key)
        if value is None:
            return otherwise
        if not isinstance(value, date) or isinstance(value, datetime):
            self._refuse(f"`{key}` must be a day such as 2026-01-01, without quotes: it begins at midnight UTC")
        return datetime.combine(value, time(), UTC)

    def _refuse(self, why: str) -> NoReturn:
        _refuse(self._where, self._name, why)


_LAST: Final = datetime.max.replace(tzinfo=UTC)


def _refuse(where: str, entry: str, why: str) -> NoReturn:
    raise PriceFileError(f"`{where}`{', ' if entry else ''}{entry}: {why}")


def _refuse_unknown(fields: Mapping[str, Any], known: frozenset[str], where: str, entry: str) -> None:
    for key in fields:
        if key not in known:
            _refuse(where, entry, f"there is no key `{key}`; the keys are {', '.join(sorted(known))}")


def _refuse_overlaps(prices: list[Price], where: str) -> None:
    """No moment has two prices of one model and provider: which one holds would be a matter of their order. Those that
    hold at some hours go before those that hold at all.
    """
    by_key = sorted(prices, key=lambda price: (price.model, price.provider or "", price.start))
    for (model, provider), entries in groupby(by_key, key=lambda price: (price.model, price.provider or "")):
        for earlier, later in combinations(entries, 2):
            if later.start < earlier.end and _share_hours(earlier, later):
                whose = f" of `{provider}`" if provider else ""
                _refuse(where, "", f"two prices of `{model}`{whose} hold on {later.start:%Y-%m-%d}: end one by `until`")


def _share_hours(one: Price, other: Price) -> bool:
    if one.hours is None or other.hours is None:
        return one.hours is other.hours
    return any(
        price.is_in_force(datetime.combine(max(one.start, other.start), moment, UTC))
        for price, moment in ((one, other.hours[0]), (other, one.hours[0]))
    )
