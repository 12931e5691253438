"""Who calls which models in the demo, and what those cost: invented customers, list prices of real models."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is asked for, and as it answers. Prices are for a million tokens in `currency`.

    `billed`: whether its gateway reports amounts; where it doesn't, the service estimates, or knows no price.
    """

    name: str
    served: str
    provider: str
    input_price: Decimal
    output_price: Decimal
    ms_per_token: float
    currency: str = "USD"
    operation: str = "chat"
    billed: bool = True
    deployment: str | None = None


def _model(name: str, served: str, provider: str, prices: str, ms_per_token: float, **others: object) -> Model:
    input_price, output_price = (Decimal(price) for price in prices.split())
    return Model(name, served, provider, input_price, output_price, ms_per_token, **others)  # pyright: ignore[reportArgumentType] - as the fields say


GPT = _model("gpt-4o", "gpt-4o-2024-11-20", "openai", "2.50 10", 11, deployment="openai-eastus")
MINI = _model("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai", "0.15 0.60", 7, deployment="openai-eastus")
SONNET = _model("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "anthropic", "3 15", 14)
HAIKU = _model("claude-haiku-4-5", "claude-haiku-4-5-20251001", "anthropic", "1 5", 6)
FLASH = _model("gemini-2.5-flash", "gemini-2.5-flash", "google", "0.30 2.50", 5)
MISTRAL = _model("mistral-large-latest", "mistral-large-2411", "mistral", "1.80 5.40", 12, currency="EUR")
SMALL = _model("mistral-small-latest", "mistral-small-2506", "mistral", "0.09 0.27", 6, currency="EUR")
DEEPSEEK = _model("deepseek-chat", "deepseek-v3.2-exp", "deepseek", "2 3", 13, currency="CNY")
QWEN = _model("qwen3-max", "qwen3-max-2025-09-23", "alibaba", "6 24", 15, currency="CNY")
EMBEDDING = _model("text-embedding-3-small", "text-embedding-3-small", "openai", "0.02 0", 0.02, operation="embedding")
IMAGE = _model("gpt-image-1", "gpt-image-1", "openai", "0 0", 9_000, operation="image_generation")
ESTIMATED = _model("gpt-5-mini", "gpt-5-mini-2025-08-07", "openai", "0.25 2", 8, billed=False)
UNPRICED = _model("support-assistant-v3", "support-assistant-v3", "vllm", "0 0", 9, billed=False, deployment="gpu-7")

FALLBACKS: Final = {
    GPT: SONNET,
    MINI: HAIKU,
    SONNET: GPT,
    HAIKU: MINI,
    ESTIMATED: FLASH,
    MISTRAL: SMALL,
    QWEN: DEEPSEEK,
}
"""Which model a gateway turns to when another does not answer."""
IMAGE_PRICE: Final = Decimal("0.042")


@dataclass(frozen=True, slots=True)
class Customer:
    """An account. `share` of all requests; `keys` and `models` with their weights; `users` persons call."""

    account: str
    share: int
    keys: dict[str, int]
    models: dict[Model, int]
    teams: tuple[str, ...]
    users: int
    organization: str | None = None


CUSTOMERS: Final = (
    Customer(
        "acme",
        50,
        {"prod-web": 60, "prod-batch": 25, "staging": 15},
        {GPT: 30, MINI: 34, SONNET: 18, HAIKU: 6, EMBEDDING: 10, IMAGE: 2},
        ("search", "support", "growth", "platform"),
        180,
        "Acme Corporation",
    ),
    Customer(
        "globex",
        22,
        {"chat": 70, "search": 30},
        {SONNET: 38, FLASH: 32, UNPRICED: 18, ESTIMATED: 12},
        ("support", "research"),
        60,
        "Globex",
    ),
    Customer("huaxing", 16, {"assistant": 80, "batch": 20}, {DEEPSEEK: 70, QWEN: 30}, ("assistant", "risk"), 45),
    Customer("initech", 8, {"tps-reports": 100}, {MISTRAL: 55, SMALL: 45}, ("reports",), 12, "Initech GmbH"),
    Customer("hooli", 4, {"prototype": 100}, {FLASH: 60, GPT: 40}, ("labs",), 5),
)
