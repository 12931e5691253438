"""Error messages as gateways write them, 500 characters each; random ids make every one different."""

import random
import string
from collections.abc import Callable

MESSAGE_CHARS = 500
PAD = (
    "litellm.BadRequestError: OpenAIException - This model's maximum context length is 128000 tokens. However, your "
    "messages resulted in 131072 tokens. Please reduce the length of the messages. Received Model Group=gpt-4o, "
    "Available Model Group Fallbacks=None, LiteLLM Retried: 2 times, LiteLLM Max Retries: 2. Handle with "
    "`litellm.BadRequestError`. See https://docs.litellm.ai/docs/exception_mapping for what each of them means and "
    "for how to set a fallback model. Deployment gpt-4o-mini in eastus2, status_code=400, attempt 3 of 3."
)
_ALPHABET = string.ascii_letters + string.digits


def _token(rnd: random.Random, chars: int) -> str:
    return "".join(rnd.choices(_ALPHABET, k=chars))


def _clean(rnd: random.Random) -> str:
    return f"Error code: 400 - request id: req_{_token(rnd, 24)}, {rnd.randrange(1000, 99999)} ms."


def _key(rnd: random.Random) -> str:
    return f"Incorrect API key provided: sk-proj-{_token(rnd, 25)}."


def _everything(rnd: random.Random) -> str:
    return (
        f"Rate limit for org-{_token(rnd, 16)}, user {_token(rnd, 7).lower()}@example.com "
        f"at 203.0.{rnd.randrange(256)}.{rnd.randrange(256)}, key sk-proj-{_token(rnd, 25)}:"
    )


def _header(rnd: random.Random) -> str:
    return (
        '{"error": {"message": "bad gateway", "headers": '
        f'{{"x-api-key": "{_token(rnd, 16)}", "host": "api.example.com"}}}}}}'
    )


def _url(rnd: random.Random) -> str:
    return f"could not connect to postgresql://app:{_token(rnd, 14)}@db-{_token(rnd, 4).lower()}.internal:5432/calls"


def _long_userinfo(rnd: random.Random) -> str:
    return f"proxy https://{_token(rnd, 60)}:{_token(rnd, 150)}@proxy.internal:3128/v1 refused the connection"


def _chinese(rnd: random.Random) -> str:
    return f"渠道「备用」(密钥【sk-{_token(rnd, 40)}】)被自动禁用, 原因: 401"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "clean": _clean,
    "one key": _key,
    "key, organisation, email, address": _everything,
    "JSON with a header": _header,
}

# With a URL in which a user and a password stand, or a key in another script; they have a bar of their own.
URL_KINDS: dict[str, Callable[[random.Random], str]] = {
    "URL and userinfo": _url,
    "URL and long userinfo": _long_userinfo,
    "a key in Chinese words": _chinese,
}


def fresh(kind: str, number: int, seed: int) -> list[str]:
    """`number` messages of one kind; the same seed gives the same messages, another one gives others."""
    rnd = random.Random(f"{kind} {seed}")
    made = (KINDS | URL_KINDS)[kind]
    return [(made(rnd) + " " + PAD)[:MESSAGE_CHARS] for _ in range(number)]


def mixed(number: int, seed: int) -> list[str]:
    """About `number` messages of all kinds in turn, for an engine to have been at work before it is timed."""
    rows = zip(*(fresh(kind, number // len(KINDS), seed) for kind in KINDS), strict=True)
    return [text for row in rows for text in row]
