"""Failed calls that name a person, and what of their texts is stored."""
# full-width letters and other scripts are what is looked for

import json
from datetime import UTC, datetime
from typing import Any

from policies import Admission, Admitted, ErrorReport, Report, load_preset
from policies.admission.segments import masked, unpack_segments
from policies.redaction import Redactor
from service.ingest.formats.native.reader import read_row

REDACTOR = Redactor()
DEFAULT = Admission(load_preset("default"), REDACTOR)
USER = "employee-7741"
MARK = "[redacted:reported-person]"
BUDGET = "ExceededBudget: End User=employee-7741 over budget. Spend=10.1, Budget=10.0"


def failed(message: str | None = BUDGET, *, user: str | None = USER, **facts: Any) -> Report:
    error = {"type": "UserBudgetExceeded", "code": "budget", "message": message} | facts.pop("error", {})
    known: dict[str, Any] = {
        "source": "native",
        "source_id": "req-8f2",
        "started_at": datetime(2026, 11, 22, 10, tzinfo=UTC),
        "account": "acme",
        "model": "gpt-4o",
        "failed": True,
        "user": user,
        "error": ErrorReport(**error),
    }
    return Report(**known | facts)


def message_of(admitted: Admitted, join: Any = masked) -> str:
    assert admitted.error is not None
    assert admitted.error.blob is not None
    message = unpack_segments(admitted.error.blob).message
    assert message is not None
    return join(message)


def stored(admitted: Admitted) -> str:
    """Everything that would be stored in clear."""
    values = [getattr(admitted, name) for name in Admitted.__dataclass_fields__ if name not in ("user", "error")]
    error = admitted.error
    return repr([values, error and (error.type, error.code, error.fingerprint_basis, message_of(admitted))])


def native(**fields: Any) -> Admitted:
    row = {"id": "req-1", "started_at": "2026-11-22T10:00:00Z", "model": "gpt-4o", "status": "failed"} | fields
    report = read_row(json.dumps(row).encode())
    assert isinstance(report, Report)
    return DEFAULT.admit(report)
