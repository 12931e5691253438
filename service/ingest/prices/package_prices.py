"""Prices of the `genai-prices` package, as it was installed: nothing is fetched, and nothing of it runs but its data.

It knows some two thousand models of fifty providers. A model is looked for in the call's provider where the package
knows that, and in none where it does not: an own server that runs a model does not charge what its maker does. A call
without a provider is priced by the provider that the model's name says.

Left out, because a report does not say what their prices depend on: models that answer in sound, pictures or video by
the token, that charge by citations or messages, and Whisper at Groq, which has a shortest length. Sound and pictures
that go in with a text are priced as text; a cache write as the one that lives shortest.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from service.errors import OperatorError
from service.ingest.formats.scalars import SIGNIFICANT_DIGITS
from service.ingest.prices.model_names import names_of
from service.ingest.prices.price_list import Price, PriceList

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

CURRENCY: Final = "USD"
_ALIASES: Final = {
    "azure_ai": "azure",
    "fireworks_ai": "fireworks",
    "together_ai": "together",
    "xai": "x-ai",
}
"""What gateways call a provider that the package calls otherwise."""
_MILLION: Final = Decimal(1_000_000)
_EXACT: Final = Context(prec=34)
_NOISELESS: Final = Context(prec=SIGNIFICANT_DIGITS)
_TOKENS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}
_UNITS: Final = {
    "audio_hours": ("seconds", 3600),
    "input_audio_hours": ("seconds", 3600),
    "output_audio_hours": ("seconds", 3600),
    "input_mchars": ("characters", 1_000_000),
    "input_document_kpages": ("pages", 1000),
    "web_searches_kcount": ("searches", 1000),
    "rerank_searches_kcount": ("searches", 1000),
    "storage_searches_kcount": ("storage_searches", 1000),
}
"""What the package calls a meter, what a call's `units` do, and for how many of them its price is."""
_OTHERWISE_PRICED: Final = re.compile(r"output_(?!mtok|reasoning_mtok|audio_hours)|.*_messages_kcount|.*_gpixels")
_OF_MEDIA: Final = re.compile(r"input_(?:audio|image|video)_mtok")
_WITH_SHORTEST: Final = re.compile(r"whisper-large-v3(?:-turbo)?")
_BATCH: Final = {"processing": "batch"}
_COMPACT_DAY: Final = re.compile(r"-(20[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])(?=-|:|\Z)", re.ASCII)
_NAME_CHARS_MAX: Final = 100
_FIRST_DAY: Final = date.min
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class PricesMissingError(OperatorError):
    """`genai-prices` is not installed: install the extra `prices`, or take it out of CALLEDGER_PRICE_SOURCES"""


@cache
def package_prices() -> "PackagePrices":
    """The list of the installed package. Raises PricesMissingError."""
    try:
        from genai_prices import __version__
        from genai_prices.data import providers
    except ImportError:
        raise PricesMissingError from None
    return PackagePrices(__version__, providers)


class PackagePrices(PriceList):
    """The package's prices as a list of ours; a model is read when a call of it comes."""

    def __init__(self, version: str, providers: "list[Provider]") -> None:
        super().__init__(f"genai-prices@{version}", CURRENCY, ())
        self._providers = {provider.id: _Models(provider) for provider in providers}
        self._read: dict[tuple[str, str], tuple[Price, ...]] = {}

    def _candidates(self, served: str | None, lookup: str, provider: str | None) -> Iterator[Price]:
        for model in (served, lookup):
            for name in names_of(model) if model else ():
                for models in self._model_lists(name, provider):
                    found = models.find(name if provider else name.removeprefix(f"{models.provider.id}/"))
                    if found is not None:
                        yield from self._prices(models.provider.id, found)
                        return

    def _model_lists(self, name: str, provider: str | None) -> Iterator["_Models"]:
        """Lists that may have the model: of the provider, and of those whose models it sells at their price."""
        models = self._named(provider) if provider else self._by_model(name)
        if models is not None:
            yield models
            for other in models.provider.fallback_model_providers or ():
                yield self._providers[other]

    def _named(self, provider: str) -> "_Models | None":
        name = provider.strip().lower()
        name = _ALIASES.get(name, name)
        if name in self._providers:
            return self._providers[name]
        matches = (one for one in self._providers.values() if one.provider.provider_match is not None)
        return next((one for one in matches if _is_match(one.provider.provider_match, name)), None)

    def _by_model(self, name: str) -> "_Models | None":
        prefix, slash, _ = name.partition("/")
        named = self._named(prefix) if slash else None
        if named is not None:
            return named
        matches = (one for one in self._providers.values() if one.provider.model_match is not None)
        return next((one for one in matches if _is_match(one.provider.model_match, name)), None)

    def _prices(self, provider: str, model: "ModelInfo") -> tuple[Price, ...]:
        key = (provider, model.id)
        if key not in self._read:
            self._read[key] = () if _is_left_out(provider, model) else tuple(_prices_of(model))
        return self._read[key]


class _Models:
    """The models of a provider, to be found without trying the names of all: a report may name any.

    The first in the package's order that matches is taken.
    """

    def __init__(self, provider: "Provider") -> None:
        self.provider = provider
        self._exact: dict[str, int] = {}
        self._loose: list[int] = []
        for position, model in enumerate(provider.models):
            names = _names_equal(model.match)
            for name in names or ():
                self._exact.setdefault(name, position)
            if names is None:
                self._loose.append(position)

    def find(self, name: str) -> "ModelInfo | None":
        """The model of that name in lower case, which may have its snapshot's day without hyphens."""
        if len(name) > _NAME_CHARS_MAX:
            return None
        hyphenated = _COMPACT_DAY.sub(r"-\1-\2-\3", name)
        return self._first(name) or (self._first(hyphenated) if hyphenated != name else None)

    def _first(self, name: str) -> "ModelInfo | None":
        models = self.provider.models
        exact = self._exact.get(name, len(models))
        for position in self._loose:
            if position > exact:
                break
            if models[position].is_match(name):
                return models[position]
        return models[exact] if exact < len(models) else None


def _is_match(clause: Any, name: str) -> bool:  # noqa: ANN401 - one of the package's seven kinds
    return bool(clause.is_match(name))


def _names_equal(clause: Any) -> list[str] | None:  # noqa: ANN401
    """The names that a clause is satisfied by, in lower case; None where it is not a list of names."""
    if hasattr(clause, "equals"):
        return [clause.equals.lower()]
    names = [_names_equal(one) for one in getattr(clause, "or_", [])]
    return [name for some in names for name in some or ()] if names and None not in names else None


def _is_left_out(provider: str, model: "ModelInfo") -> bool:
    """Whether a report does not say what the model's price depends on."""
    if provider == "groq" and _WITH_SHORTEST.fullmatch(model.id):
        return True
    every = [model.prices] if not isinstance(model.prices, list) else [one.prices for one in model.prices]
    return any(_OTHERWISE_PRICED.match(key) for prices in every for key in _keys(prices))


def _keys(prices: "ModelPrice") -> list[str]:
    return [key for key, value in prices.__dict__.items() if value is not None]


def _prices_of(model: "ModelInfo") -> Iterator[Price]:
    """What the model costs, a price for each range of days and of hours in which its conditions stay as they are."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    conditional = model.prices if isinstance(model.prices, list) else []
    constraints = [one.constraint for one in (*conditional, *(model.price_variants or ()))]
    starts: list[date] = [one.start_date for one in constraints if isinstance(one, StartDateConstraint)]
    days: list[date | None] = [_FIRST_DAY, *sorted(set(starts) - {_FIRST_DAY}), None]
    daily = [one for one in constraints if isinstance(one, TimeOfDateConstraint)]
    turns = sorted({_utc(turn) for one in daily for turn in (one.start_time, one.end_time)})
    hours = [*pairwise(turns), (turns[-1], turns[0])] if turns else [None]
    for day, next_day in pairwise(days):
        assert day is not None, "only the last one is"
        end = _LAST if next_day is None else datetime.combine(next_day, time(), UTC)
        for span in hours:
            yield _price(model, datetime.combine(day, span[0] if span else time(), UTC), end, span)


def _utc(moment: time) -> time:
    if moment.tzinfo is None:
        return moment
    return datetime.combine(date(2000, 1, 2), moment).astimezone(UTC).time()


def _price(model: "ModelInfo", moment: datetime, end: datetime, hours: tuple[time, time] | None) -> Price:
    """The price that is in force at a moment, and from that day until `end`."""
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    batch = model.get_prices(moment, _BATCH)
    common = {"start": start, "end": end, "hours": hours}
    usual = model.get_prices(moment)
    return _with_steps(model.id, usual, common | {"batch": _of_batch(model.id, usual, batch)})


def _of_batch(model: str, usual: "ModelPrice", batch: "ModelPrice") -> Price | None:
    return None if batch == usual else _with_steps(model, batch, {})


def _with_steps(model: str, prices: "ModelPrice", others: Mapping[str, Any]) -> Price:
    """The prices of calls of any size: each kind of token has steps of its own, and they are merged."""
    starts = sorted({tier.start for key in _keys(prices) for tier in getattr(prices.__dict__[key], "tiers", ())})
    over = tuple((start, _at(model, prices, start)) for start in starts)
    return _at(model, prices, None, over=over, **others)


def _at(model: str, prices: "ModelPrice", above: int | None, **others: Any) -> Price:  # noqa: ANN401
    """The prices of a call with more input tokens than `above`; None: below each step."""
    values = {key: _value(prices.__dict__[key], above) for key in _keys(prices)}
    tokens = {name: values[key] / _MILLION for name, key in _TOKENS.items() if key in values}
    full, output = tokens.get("input", Decimal(0)), tokens.get("output", Decimal(0))
    units: dict[str, Decimal] = {}
    for key, (name, per) in _UNITS.items():
        if key in values:
            units.setdefault(name, _EXACT.divide(values[key], Decimal(per)))
    return Price(
        model=model,
        input=full,
        output=output,
        cache_read=tokens.get("cache_read", full),
        cache_write=tokens.get("cache_write", full),
        reasoning=tokens.get("reasoning", output),
        request=values.get("requests_kcount", Decimal(0)) / 1000,
        units=units,
        text_only=any(_OF_MEDIA.fullmatch(key) for key in values),
        **others,
    )


def _value(price: Any, above: int | None) -> Decimal:  # noqa: ANN401
    """A price as a decimal, without the noise of the binary floats that some are made from."""
    tiers = getattr(price, "tiers", ())
    reached = [tier.price for tier in tiers if above is not None and tier.start <= above]
    return _NOISELESS.plus(reached[-1] if reached else getattr(price, "base", price))
