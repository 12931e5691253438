"""Reports for the admission, and what it made of them."""

from datetime import UTC, datetime
from typing import Any

from policies import (
    Admission,
    ErrorReport,
    Report,
    load_preset,
)
from policies.redaction import Redactor

REDACTOR = Redactor()
DEFAULT = Admission(load_preset("default"), REDACTOR)
STRICT = Admission(load_preset("strict"), REDACTOR)
STARTED_AT = datetime(2026, 11, 22, 10, 0, 0, 123_000, tzinfo=UTC)
KEY = "sk-proj-Zx8Qw2Lm9Rt4Vb7Nc1Ks6Yp3Hd5Jf0Ga"
PROMPT = "Please rewrite my letter to the divorce court in Aachen"


def report(**fields: Any) -> Report:
    known: dict[str, Any] = {
        "source": "native",
        "source_id": "req-8f2",
        "started_at": STARTED_AT,
        "account": "acme",
        "api_key": "prod-web",
        "user": "u-17",
        "model": "gpt-4o",
        "failed": False,
    }
    return Report(**known | fields)


def failed(message: str | None = None, *, parameters: Any = None, content: Any = (), **error: Any) -> Report:
    facts = {"type": "RateLimitError", "code": "429", "message": message, "parameters": parameters or {}} | error
    return report(failed=True, error=ErrorReport(**facts), content=list(content))
