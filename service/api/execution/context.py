"""What every resolver of one request works with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.api.execution.limits import Bucket
from service.ledger import Ledger
from service.query.model.scope import Scope
from service.query.reader import Reader


@dataclass(slots=True)
class Context:
    """One request: who asks, what reads for them, and what they have spent.

    `ordinary`: a compiled operation has had no answer, and need not be asked again. `sizes` notes how many entries each
    list really had, for the actual cost, `variable_points` how much the variables hold (`bounds.py`). `request_id` is
    made when an error first needs it. `export_asked` tells who writes exports that there is one to write.
    """

    scope: Scope
    reader: Reader
    bucket: Bucket
    max_cost: int
    expires_at: datetime | None = None
    request_id: str | None = None
    ledger: Ledger | None = None
    export_asked: Callable[[], None] = lambda: None
    services: dict[str, Any] = field(default_factory=dict[str, Any])
    sizes: dict[tuple[str | int, ...], int] = field(default_factory=dict[tuple[str | int, ...], int])
    requested_cost: int = 0
    variable_points: int = 0
    ordinary: bool = False
    http_headers: dict[str, str] = field(default_factory=dict[str, str])
