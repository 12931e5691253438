"""The errors of the demo, as providers word them: with credentials and persons in them, all invented, to be masked."""

import random
from dataclasses import dataclass
from typing import Final

from policies import ErrorReport

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
_NAMES: Final = ("jane.doe", "li.wei", "amir.haddad", "sofia.rossi", "tom.baker")


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of error. `passes`: trying again helps. `weight`: how often it is, beside the others."""

    type: str
    code: str
    normalized: str
    message: str
    passes: bool = False
    weight: int = 10


DOWN: Final = Failure(
    "ServiceUnavailableError",
    "503",
    "service_unavailable",
    "The server is overloaded or not ready yet. Contact +1 415 555 0132 with request id req_{noise}.",
    passes=True,
)
FAILURES: Final = (
    Failure(
        "RateLimitError",
        "429",
        "rate_limit",
        "Rate limit reached for {model} in organization org-9fK2mQ7xLw4TzV1n on tokens per min (TPM): Limit 90000, "
        "Used 89412. Please try again in 1.2s.",
        passes=True,
        weight=40,
    ),
    Failure("Timeout", "504", "timeout", "Request timed out after 60.0 seconds; request id req_{noise}", True, 14),
    Failure(
        "AuthenticationError",
        "401",
        "authentication",
        "Incorrect API key provided: sk-proj-{noise}. You can find your key in the console.",
    ),
    Failure(
        "ContextWindowExceededError",
        "400",
        "context_window",
        "This model's maximum context length is 128000 tokens, 131072 were requested.",
        weight=12,
    ),
    Failure(
        "BadRequestError", "400", "bad_request", "Invalid 'user': {name}@example.com is not a member of it.", False
    ),
    Failure(
        "ContentPolicyViolationError", "400", "content_policy", "The response was filtered by the policy.", weight=6
    ),
    Failure(
        "PermissionDeniedError",
        "403",
        "permission_denied",
        "Key ghp_{github} of {name}@example.org, from 203.0.113.47, has no access to {model}.",
        weight=4,
    ),
    Failure(
        "InternalServerError",
        "500",
        "internal",
        "upstream https://gateway:{noise}@10.2.0.7/v1 failed; card 4242 4242 4242 4242 of {name}@example.com is billed "
        "to IBAN DE89 3704 0044 0532 0130 00",
        True,
        4,
    ),
    Failure(
        "APIConnectionError",
        "502",
        "connection",
        "Cannot connect: Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ7bmFtZX0ifQ.{noise} was refused",
        True,
        5,
    ),
)
_WEIGHTS: Final = [failure.weight for failure in FAILURES]


def any_failure(dice: random.Random) -> Failure:
    """One of the errors, the frequent ones more often."""
    return dice.choices(FAILURES, _WEIGHTS)[0]


def error_report(dice: random.Random, failure: Failure, model: str) -> ErrorReport:
    """The error as a gateway reports it, with the request's parameters: some kept, some masked, some dropped."""
    name = dice.choice(_NAMES)
    message = failure.message.format(model=model, name=name, noise=_noise(dice, 32), github=_noise(dice, 36))
    return ErrorReport(
        type=failure.type,
        code=failure.code,
        message=message,
        parameters={
            "temperature": dice.choice((0, 0.2, 0.7, 1)),
            "max_tokens": dice.choice((256, 1024, 4096)),
            "stream": dice.random() < 0.6,
            "model": f"{model} of {name}@example.com" if dice.random() < 0.2 else model,
            "reasoning_effort": dice.choice(("low", "medium", "enormous")),
            "response_format": {"type": "json_schema"},
            "messages": [{"role": "user", "content": "Summarise the minutes of our board meeting."}],
            "api_key": f"sk-proj-{_noise(dice, 24)}",
            "user": f"end-user-{dice.randrange(1000)}",
        },
    )


def _noise(dice: random.Random, length: int) -> str:
    return "".join(dice.choices(_LETTERS, k=length))
