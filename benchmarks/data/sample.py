"""The distribution of the calls of the benchmarks: 50 accounts, 200 API keys, 30 models, 3 % failures, random ids.

An API key belongs to one account and calls a few models only (`MODELS_PER_KEY`), one of them most of the time: that is
how applications are. It matters to rollups, which have a row for each combination that occurs.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

ACCOUNTS: Final = tuple(f"account-{number:02d}" for number in range(50))
KEYS: Final = 200
MODELS_PER_KEY: Final = 4
FAILED_SHARE: Final = 0.03

# name, provider, thousandths of a USD for a million input tokens, for a million output tokens
MODELS: Final = (
    ("gpt-4o", "openai", 2500, 10000),
    ("gpt-4o-mini", "openai", 150, 600),
    ("gpt-4.1", "openai", 2000, 8000),
    ("gpt-4.1-mini", "openai", 400, 1600),
    ("gpt-4.1-nano", "openai", 100, 400),
    ("o3", "openai", 2000, 8000),
    ("o4-mini", "openai", 1100, 4400),
    ("text-embedding-3-large", "openai", 130, 0),
    ("text-embedding-3-small", "openai", 20, 0),
    ("claude-opus-4-1", "anthropic", 15000, 75000),
    ("claude-sonnet-4-5", "anthropic", 3000, 15000),
    ("claude-haiku-4-5", "anthropic", 1000, 5000),
    ("gemini-2.5-pro", "google", 1250, 10000),
    ("gemini-2.5-flash", "google", 300, 2500),
    ("gemini-2.5-flash-lite", "google", 100, 400),
    ("mistral-large-latest", "mistral", 2000, 6000),
    ("mistral-medium-latest", "mistral", 400, 2000),
    ("mistral-small-latest", "mistral", 100, 300),
    ("codestral-latest", "mistral", 300, 900),
    ("deepseek-chat", "deepseek", 270, 1100),
    ("deepseek-reasoner", "deepseek", 550, 2190),
    ("llama-3.3-70b-instruct", "together", 880, 880),
    ("llama-4-maverick", "together", 270, 850),
    ("qwen3-235b-a22b", "together", 200, 600),
    ("command-a-03-2025", "cohere", 2500, 10000),
    ("command-r7b", "cohere", 37, 150),
    ("grok-4", "xai", 3000, 15000),
    ("grok-3-mini", "xai", 300, 500),
    ("nova-pro", "bedrock", 800, 3200),
    ("nova-lite", "bedrock", 60, 240),
)
TEAMS: Final = ("search", "support", "growth", "platform")

# (type, code, message); each {} is noise
ERRORS: Final = (
    ("RateLimitError", "429", "Rate limit reached for {model} in organization org-{noise} on tokens per min (TPM)."),
    ("AuthenticationError", "401", "Incorrect API key provided: sk-proj-{noise}. You can find it in the console."),
    ("ContextWindowExceededError", "400", "This model's maximum context length is 128000 tokens, 131072 requested."),
    ("Timeout", "504", "Request timed out after 60.0 seconds; request id req_{noise}, deployment {model} in eastus2."),
    ("BadRequestError", "400", "Invalid 'user': jane.doe@example.com is not a member of this project."),
    ("ServiceUnavailableError", "503", "The server is overloaded or not ready yet: upstream said 503, attempt 3 of 3."),
)
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"


def model_of(key: int, slot: int) -> int:
    """The model that the API key `key` uses as its `slot`th."""
    return (key * 7 + slot * 11) % len(MODELS)


def native_calls(count: int, seed: int, *, newest: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Call records as a gateway reports them, of the hour before `newest` (now)."""
    dice = random.Random(seed)
    oldest = (newest or datetime.now(UTC)) - timedelta(hours=1)
    for number in range(count):
        key = int(KEYS * dice.random() ** 2)
        model, provider, price_in, price_out = MODELS[model_of(key, int(MODELS_PER_KEY * dice.random() ** 2))]
        failed = dice.random() < FAILED_SHARE
        asked, answered = 200 + int(dice.expovariate(1 / 2000)), 0 if failed else int(dice.expovariate(1 / 400))
        latency_ms = 150 + int(dice.expovariate(1 / 1500))
        moment = oldest + timedelta(hours=1) * (number / count)
        call = {
            "id": str(UUID(int=dice.getrandbits(128), version=4)),
            "started_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "account": ACCOUNTS[key % len(ACCOUNTS)],
            "api_key": f"prod-key-{key:03d}",
            "user": f"user-{dice.randrange(5000)}",
            "model": model,
            "served_model": f"{model}-20250929",
            "provider": provider,
            "operation": "chat",
            "status": "failed" if failed else "succeeded",
            "streamed": dice.random() < 0.6,
            "input_tokens": asked,
            "output_tokens": answered,
            "cache_read_tokens": asked // 2 if dice.random() < 0.3 else 0,
            "amount": "0" if failed else f"{(asked * price_in + answered * price_out) / 1e9:.9f}",
            "currency": "USD",
            "latency_ms": latency_ms,
        }
        if not failed:
            call["time_to_first_token_ms"] = latency_ms // 4
        if dice.random() < 0.5:
            call["tags"] = {"team": dice.choice(TEAMS)}
        if failed:
            call["error"] = sample_error(dice, model)
        yield call


def sample_error(dice: random.Random, model: str) -> dict[str, Any]:
    kind, code, message = dice.choice(ERRORS)
    noise = "".join(dice.choices(_ALPHABET, k=24))
    return {
        "type": kind,
        "code": code,
        "message": message.format(model=model, noise=noise),
        "parameters": {"temperature": 0.2, "max_tokens": 1024},
    }
