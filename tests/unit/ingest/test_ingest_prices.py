"""Estimates from price lists, and what a price list may say."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from policies import Attributes, Report
from service.ingest.prices.price_file import PriceFileError, load_price_file, read_price_list, shipped_prices
from service.ingest.prices.price_list import Prices

DOCS = Path(__file__).resolve().parents[3] / "docs"
LIST = """
name = "ours"
currency = "USD"
[[prices]]
model = "Model-A"
input = "2"
cache_read = "0.5"
cache_write = "2.5"
output = "8"
[[prices]]
model = "model-a-2024-05-13"
input = "4"
output = "16"
reasoning = "20"
[[prices]]
model = "model-a"
provider = "azure"
input = "3"
output = "9"
[[prices]]
model = "steps"
until = 2026-01-01
input = "10"
output = "0"
[[prices]]
model = "steps"
from = 2026-01-01
until = 2026-07-01
input = "1"
output = "0"
[[prices]]
model = "painter"
input = "0"
output = "0"
request = "0.01"
units = { images = "0.04", seconds = "0.000000000001" }
[[prices]]
model = "long"
input = "1"
cache_read = "0.1"
output = "2"
batch = "0.5"
[[prices.over]]
input_tokens = 200_000
input = "3"
[[prices.over]]
input_tokens = 500_000
input = "5"
output = "7"
[[prices]]
model = "night"
input = "4"
output = "4"
[[prices]]
model = "night"
hours = [16:30:00, 00:30:00]
input = "1"
output = "1"
"""
OURS = read_price_list(LIST.encode(), "ours.toml")


def estimate(prices: Prices | None = None, **facts: Any) -> Report:
    call = {"model": "model-a", "failed": False, "input_tokens": 1000, "output_tokens": 10} | facts
    started_at = call.pop("started_at", datetime(2026, 1, 1, tzinfo=UTC))
    report = Report(source="native", source_id="a", started_at=started_at, **call)
    (prices or Prices(OURS)).estimate(report)
    return report


def test_each_kind_of_token_has_its_price_and_part() -> None:
    """Cache reads and writes are part of the input, reasoning of the output; parts say quantity, price and list."""
    got = estimate(cache_read_tokens=600, cache_write_tokens=100)

    assert got.amount == (300 * Decimal(2) + 600 * Decimal("0.5") + 100 * Decimal("2.5") + 10 * Decimal(8)) / 1_000_000
    assert (got.currency, got.amount_source, got.amount_unknown) == ("USD", "ESTIMATED", None)
    parts = {part.meter: (part.quantity, part.unit_price, part.amount) for part in got.amount_parts or []}
    assert parts == {
        "input": (300, Decimal("0.000002"), Decimal("0.0006")),
        "cache_read": (600, Decimal("0.0000005"), Decimal("0.0003")),
        "cache_write": (100, Decimal("0.0000025"), Decimal("0.00025")),
        "output": (10, Decimal("0.000008"), Decimal("0.00008")),
    }
    assert {part.price_list for part in got.amount_parts or []} == {OURS.version}
    assert OURS.version.startswith("ours@")

    reasoned = estimate(model="model-a-2024-05-13", output_tokens=100, reasoning_tokens=40)
    assert [(part.meter, part.amount) for part in reasoned.amount_parts or []] == [
        ("input", Decimal("0.004")),
        ("output", Decimal("0.00096")),
        ("reasoning", Decimal("0.0008")),
    ]


@pytest.mark.parametrize("tokens", [0, 1, 7, 1_000_003, 2**31 - 1])
def test_parts_sum_to_the_amount_to_the_last_digit(tokens: int) -> None:
    """However odd quantities and prices are, nothing is lost between the parts and the amount."""
    entry = '[[prices]]\nmodel = "m"\ninput = "0.333333"\noutput = "9999999"\nunits = { s = "0.000000000001" }'
    text = f'name = "x"\ncurrency = "USD"\n{entry}'
    prices = Prices(read_price_list(text.encode(), "x"))
    got = estimate(
        prices,
        model="m",
        input_tokens=tokens,
        output_tokens=tokens,
        attributes=Attributes(units={"s": Decimal("1.49")}),
    )

    assert got.amount is not None
    assert got.amount == sum((part.amount for part in got.amount_parts or []), Decimal(0))
    assert got.amount == round(got.amount, 12)


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ({"model": "openai/Model-A"}, "0.00208"),
        ({"model": "model-a-2025-01-02"}, "0.00208"),
        ({"model": "model-a-20250102"}, "0.00208"),
        ({"model": "model-a-2024-05-13"}, "0.00416"),
        ({"model": "fast", "served_model": "model-a-2024-05-13"}, "0.00416"),
        ({"provider": "Azure"}, "0.00309"),
        ({"provider": "openai"}, "0.00208"),
        ({"output_tokens": None}, "0.002"),
        ({"input_tokens": 0, "output_tokens": 0}, "0"),
        ({"model": "steps", "started_at": datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)}, "0.01"),
        ({"model": "steps", "started_at": datetime(2026, 1, 1, tzinfo=UTC)}, "0.001"),
        ({"model": "painter", "input_tokens": None, "output_tokens": None}, "0.01"),
        ({"model": "painter", "attributes": Attributes(units={"images": Decimal(3), "cats": Decimal(1)})}, "0.13"),
    ],
)
def test_the_price_that_holds_is_found(facts: dict[str, Any], amount: str) -> None:
    """The served model before the one asked for, the provider's price before any, the one in force at the start."""
    assert estimate(**facts).amount == Decimal(amount)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"model": "model-b"}, "NOT_PRICED"),
        ({"model": "model-a-mini"}, "NOT_PRICED"),
        ({"currency": "EUR"}, "NOT_PRICED"),
        ({"model": "steps", "started_at": datetime(2026, 7, 1, tzinfo=UTC)}, "NOT_PRICED"),
        ({"input_tokens": None}, "NOT_REPORTED"),
        ({"failed": True, "output_tokens": 0}, "NOT_REPORTED"),
        ({"failed": True, "output_tokens": None}, "NOT_REPORTED"),
        ({"amount_unknown": "NEGATIVE"}, "NEGATIVE"),
        ({"amount_unknown": "UNREADABLE"}, "UNREADABLE"),
        ({"corrects": "call_x"}, None),
    ],
)
def test_what_cannot_be_priced_has_no_amount_and_a_reason(facts: dict[str, Any], reason: str | None) -> None:
    """On doubt there is no figure, rather than a wrong one."""
    got = estimate(**facts)

    assert (got.amount, got.amount_source, got.amount_parts) == (None, None, None)
    assert got.amount_unknown == reason


def test_a_batch_takes_its_share_of_the_prices() -> None:
    """Half of the price of every shipped model, in exact parts; without a share there is no amount, and a reason."""
    of_tokens = [price for price in shipped_prices().prices if price.input]
    assert len(of_tokens) > 12
    for price in of_tokens:
        facts = {"model": price.model, "output_tokens": 10 if price.output else 0}
        whole = estimate(Prices(shipped_prices()), **facts)
        half = estimate(Prices(shipped_prices()), operation="batch", **facts)
        assert whole.amount is not None and half.amount is not None
        assert (half.amount * 2, half.amount_source) == (whole.amount, "ESTIMATED"), price.model
        for part in half.amount_parts or ():
            assert part.quantity * part.unit_price == part.amount
    unknown = estimate(operation="batch")
    assert (unknown.amount, unknown.amount_unknown) == (None, "NOT_PRICED")
    assert estimate(operation="retrieve_batch").amount is not None


@pytest.mark.parametrize(
    ("tokens", "batch", "amount"),
    [
        (200_000, False, "0.20002"),
        (200_001, False, "0.600023"),
        (500_000, False, "1.50002"),
        (500_001, False, "2.500075"),
        (200_001, True, "0.3000115"),
    ],
)
def test_a_call_with_much_input_has_the_prices_of_its_step(tokens: int, batch: bool, amount: str) -> None:
    """All of its tokens, from one more than the step's; what a step does not say is as below; a batch has a share."""
    got = estimate(model="long", input_tokens=tokens, operation="batch" if batch else "chat")

    assert got.amount == Decimal(amount)


@pytest.mark.parametrize(
    ("at", "amount"), [("16:29", "4"), ("16:30", "1"), ("23:59", "1"), ("00:29", "1"), ("00:30", "4")]
)
def test_a_price_may_hold_at_some_hours(at: str, amount: str) -> None:
    """From the first time of the UTC day up to the second, over midnight too; at other hours the price without any."""
    started_at = datetime.fromisoformat(f"2026-01-01T{at}:00Z")

    got = estimate(model="night", input_tokens=1_000_000, output_tokens=0, started_at=started_at)

    assert got.amount == Decimal(amount)


@pytest.mark.parametrize(
    ("model", "units", "amount"),
    [
        ("whisper-1", {"seconds": Decimal("90.5")}, "0.00905"),
        ("tts-1-hd", {"characters": Decimal(2000)}, "0.06"),
        ("claude-sonnet-4-5", {"searches": Decimal(3)}, "0.03315"),
    ],
)
def test_what_is_no_token_has_its_price_and_part(model: str, units: dict[str, Decimal], amount: str) -> None:
    """Seconds, characters and searches are parts of their own, with quantity, unit price and list."""
    counted = {} if model.startswith("claude") else {"input_tokens": None, "output_tokens": None}
    got = estimate(Prices(shipped_prices()), model=model, attributes=Attributes(units=units), **counted)

    assert got.amount == Decimal(amount)
    meter, quantity = next(iter(units.items()))
    part = next(part for part in got.amount_parts or () if part.meter == meter)
    assert part.quantity == quantity and part.unit_price is not None
    assert (part.amount, part.price_list) == (quantity * part.unit_price, shipped_prices().version)


def test_reported_amount_is_left_alone() -> None:
    """An amount that came, nothing included, is not estimated over."""
    got = estimate(amount=Decimal(0), currency="USD", amount_source="BILLED")

    assert (got.amount, got.amount_source) == (0, "BILLED")


def test_the_operators_list_comes_first(tmp_path: Path) -> None:
    """A model that both lists have costs what the operator says; one that only the shipped list has is still priced."""
    path = tmp_path / "prices.toml"
    path.write_text('name = "own"\ncurrency = "EUR"\n[[prices]]\nmodel = "gpt-4o"\ninput = "1"\noutput = "1"\n')
    prices = Prices(load_price_file(path), shipped_prices())

    own, other = estimate(prices, model="gpt-4o"), estimate(prices, model="gpt-4o-mini")

    assert (own.amount, own.currency) == (Decimal("0.00101"), "EUR")
    assert own.amount_parts is not None
    assert own.amount_parts[0].price_list == prices.lists[0].version
    assert (other.currency, other.amount_source) == ("USD", "ESTIMATED")


ENTRY = '[[prices]]\nmodel = "m"\ninput = "1"\noutput = "1"\n'
HEAD = 'name = "x"\ncurrency = "USD"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", "is not TOML"),
        (ENTRY + 'name = "x"', "`name` must be"),
        ('name = "x"\n' + ENTRY, "`currency` must be"),
        ('name = "x"\ncurrency = "usd"\n' + ENTRY, "`currency` must be"),
        ('name = "a b"\ncurrency = "USD"\n' + ENTRY, "`name` must be"),
        (HEAD, r"needs one table `\[\[prices\]\]`"),
        (HEAD + "price = 1\n" + ENTRY, "there is no key `price`"),
        (HEAD + ENTRY + 'cached = "1"', r"entry 1 \(`m`\): there is no key `cached`"),
        (HEAD + '[[prices]]\ninput = "1"\noutput = "1"', "`model` is required"),
        (HEAD + '[[prices]]\nmodel = "m"\ninput = "1"', "`output` is required"),
        (HEAD + '[[prices]]\nmodel = "m"\ninput = "-1"\noutput = "1"', "not negative"),
        (HEAD + '[[prices]]\nmodel = "m"\ninput = 1.5\noutput = "1"', "must be a string"),
        (HEAD + '[[prices]]\nmodel = "m"\ninput = "0.0000001"\noutput = "1"', "6 decimal places at most"),
        (HEAD + '[[prices]]\nmodel = "m"\ninput = "NaN"\noutput = "1"', "must be a string such as"),
        (HEAD + ENTRY + 'from = "2026-01-01"', "`from` must be a day"),
        (HEAD + ENTRY + "from = 2026-01-01\nuntil = 2026-01-01", "`until` must be later than `from`"),
        (HEAD + ENTRY + 'units = { images = "x" }', "`units.images` must be a string"),
        (HEAD + ENTRY + 'batch = "1.5"', "`batch` is the share"),
        (HEAD + ENTRY + 'batch = "-0.5"', "not negative"),
        (HEAD + ENTRY + 'cache_read = "0.000001"\nbatch = "0.5"', "more than 6 decimal places"),
        (HEAD + ENTRY + "hours = [16:30:00]", "`hours` must be two times"),
        (HEAD + ENTRY + "over = 1", "`over` must be 1 to 16 tables"),
        (HEAD + ENTRY + '[[prices.over]]\ninput = "1"', "`over` needs `input_tokens`"),
        (HEAD + ENTRY + '[[prices.over]]\ninput_tokens = 5\nbatch = "1"', "there is no key `batch`"),
        (HEAD + ENTRY + '[[prices.over]]\ninput_tokens = 5\ninput = "x"', r"over 5: `input` must be a string"),
        (
            HEAD + ENTRY + "hours = [08:00:00, 10:00:00]\n" + ENTRY + "hours = [09:00:00, 11:00:00]",
            "two prices of `m` hold on",
        ),
        (HEAD + ENTRY + ENTRY, "two prices of `m` hold on"),
        (
            HEAD + ENTRY + "until = 2026-03-01\n" + ENTRY + "from = 2026-02-01",
            "two prices of `m` hold on 2026-02-01: end one by `until`",
        ),
    ],
)
def test_a_list_that_is_wrong_is_refused(text: str, why: str) -> None:
    """Unknown keys, overlapping days, negative or inexact prices and no currency end the start, and say what to do."""
    with pytest.raises(PriceFileError, match=why):
        read_price_list(text.encode(), "x.toml")


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A wrong path is an error of the operator's, and not a ledger without prices."""
    with pytest.raises(PriceFileError, match="cannot be read"):
        load_price_file(tmp_path / "none.toml")


def test_prices_that_follow_each_other_do_not_overlap() -> None:
    """An entry may begin on the day on which its predecessor ends."""
    read_price_list((HEAD + ENTRY + "until = 2026-03-01\n" + ENTRY + "from = 2026-03-01").encode(), "x.toml")


def test_prices_of_hours_that_follow_each_other_do_not_overlap() -> None:
    """Two stretches of the day that meet, and one for the rest of it, are a list."""
    text = HEAD + ENTRY + "hours = [22:00:00, 04:00:00]\n" + ENTRY + "hours = [04:00:00, 22:00:00]\n" + ENTRY
    read_price_list(text.encode(), "x.toml")


def test_the_version_follows_from_the_file() -> None:
    """Another file is another version, whatever its name says."""
    versions = {read_price_list((HEAD + ENTRY + comment).encode(), "x").version for comment in ("", "# 1", "# 2")}

    assert len(versions) == 3


def test_shipped_list_is_whole() -> None:
    """Every shipped model costs something, a cached token never more than a fresh one."""
    prices = shipped_prices()

    assert len(prices.prices) >= 12
    for price in prices.prices:
        assert 0 <= price.cache_read <= price.input <= price.cache_write
        assert price.output >= 0
        assert price.cache_read or price.units


def test_the_example_of_the_page_is_a_list() -> None:
    """What docs/prices.md shows as a price list can be used as one."""
    block = (DOCS / "prices.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]

    prices = read_price_list(block.encode(), "prices.md")

    assert {price.model for price in prices.prices} >= {"gpt-4o"}
    assert estimate(Prices(prices), model="gpt-4o", provider="azure").amount is not None
