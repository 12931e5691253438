"""A price list as a TOML file: read strictly, so that a mistake is an error and never a wrong amount.

    name = "acme"
    currency = "USD"
    [[prices]]
    model = "gpt-4o"
    input = "2.5"
    output = "10"

Prices are decimal strings: of tokens for a million of them, of a call and of units for one. `from` is the first UTC day
on which a price is in force, `until` the first on which it no longer is.
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
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from service.errors import OperatorError
from service.ingest.formats.scalars import PLACES
from service.ingest.prices.price_list import TOKENS, Price, PriceList, Prices

BYTES_MAX: Final = 4 * 2**20
_DIGEST_DIGITS: Final = 12
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_UNIT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3,16}", re.ASCII)
_PRICE: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,12})?", re.ASCII)
_MILLION: Final = Decimal(1_000_000)
_TOKEN_PLACES: Final = PLACES - 6  # of a million tokens, so that one token's price is exact
_LIST_KEYS: Final = frozenset(("name", "currency", "prices"))
_ENTRY_KEYS: Final = frozenset(("model", "provider", "from", "until", "request", "units", "batch", *TOKENS))


class PriceFileError(OperatorError):
    """the price list cannot be used as it stands"""


@cache
def shipped_prices() -> PriceList:
    """The list that comes with calledger."""
    return read_price_list(files("service.ingest.prices").joinpath("prices.toml").read_bytes(), "prices.toml")


def load_prices(path: Path | None) -> Prices:
    """The operator's list, if there is one, before the shipped one. Raises PriceFileError naming what is wrong."""
    if path is None:
        return Prices(shipped_prices())
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise PriceFileError(f"the price list `{path}` cannot be read: {error.strerror or error}".lower()) from None
    if len(data) > BYTES_MAX:
        raise PriceFileError(f"the price list `{path}` is larger than {BYTES_MAX} bytes")
    return Prices(read_price_list(data, str(path)), shipped_prices())


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
    prices = [_PriceEntry(where, number, entry).price() for number, entry in enumerate(entries, start=1)]
    _refuse_overlaps(prices, where)
    return PriceList(f"{name}@{sha256(data).hexdigest()[:_DIGEST_DIGITS]}", currency, prices)


def _tables(value: object) -> list[dict[str, Any]]:
    """The tables of an array; none when it holds anything else, or is no array."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    tables = [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
    return tables if len(tables) == len(items) else []


class _PriceEntry:
    """One table of the file while it is read."""

    def __init__(self, where: str, number: int, fields: Mapping[str, Any]) -> None:
        self._where = where
        model = fields.get("model")
        self._name = f"entry {number}" + (f" (`{model}`)" if isinstance(model, str) else "")
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
        )
        return replace(price, batch=self._share_of(price))

    def _share_of(self, price: Price) -> Decimal | None:
        """What a batch takes of the tokens' prices; the price of one token stays exact."""
        if "batch" not in self._fields:
            return None
        share = self._decimal("batch", self._fields["batch"], PLACES)
        if share > 1:
            self._refuse('`batch` is the share that a batch takes of the prices, such as "0.5": 1 at most')
        prices = [getattr(price, name) * share for name in TOKENS]
        if any(one != round(one, PLACES) for one in prices):
            self._refuse(f"`batch` leaves prices of a million tokens with more than {_TOKEN_PLACES} decimal places")
        return share

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
    """No moment has two prices of one model and provider: which one holds would be a matter of their order."""
    by_key = sorted(prices, key=lambda price: (price.model, price.provider or "", price.start))
    for (model, provider), entries in groupby(by_key, key=lambda price: (price.model, price.provider or "")):
        for earlier, later in pairwise(entries):
            if later.start < earlier.end:
                whose = f" of `{provider}`" if provider else ""
                _refuse(where, "", f"two prices of `{model}`{whose} hold on {later.start:%Y-%m-%d}: end one by `until`")
