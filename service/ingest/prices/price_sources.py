"""Which price lists are asked, and in which order."""

from collections.abc import Iterator

from service.ingest.prices.package_prices import package_prices
from service.ingest.prices.price_file import load_price_file, shipped_prices
from service.ingest.prices.price_list import PriceList, Prices
from service.settings import Settings


def load_prices(settings: Settings) -> Prices:
    """The lists that CALLEDGER_PRICE_SOURCES names. Raises PriceFileError or PricesMissingError."""
    return Prices(*_lists(settings))


def _lists(settings: Settings) -> Iterator[PriceList]:
    for name in settings.price_lists:
        match name:
            case "own":
                if settings.prices is not None:
                    yield load_price_file(settings.prices)
            case "shipped":
                yield shipped_prices()
            case _:
                yield package_prices()
