"""A call on its way into the database: admitted, keyed, its user a token and its error sealed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policies import Admission, Policy, Report
from service.errors import ServiceError
from service.ingest.formats.split import Rejection
from service.ingest.results import Status

Outcome = Status | Rejection | ServiceError
"""ACCEPTED, COMPLETED, DUPLICATE or CONFLICT; why the row was refused; or why it is not known to be stored."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy and what admits under it. Another policy is another object."""

    policy: Policy
    admission: Admission


@dataclass(frozen=True, slots=True)
class Correction:
    """That a report corrects a call. `key`: its identity, which does not depend on its time, in 32 hexadecimal digits.

    `place`: tier, time and id of the call where the report names it by our id; else `source_id` is the gateway's. With
    a `refusal` neither is known.
    """

    key: str
    call_key: tuple[int, datetime, str] | None = None
    source_id: str | None = None
    refusal: Rejection | None = None


@dataclass(slots=True)
class Prepared:
    """`record` is what is staged, without its position; `id` is a UUID in 32 hexadecimal digits.

    `report` is kept until the row is stored, to admit it anew should the policy change before that. `stored_digest` is
    the digest of the call that is in the database under this key, once the row has its outcome. `warnings` are of what
    was stored, beside the report's own.
    """

    report: Report = field(repr=False)
    rules: Rules = field(repr=False)
    account_id: int
    tier: int
    started_at: datetime
    id: str
    digest: int
    error_at: datetime | None
    record: tuple[Any, ...] = field(default=(), repr=False)
    outcome: Outcome | None = None
    stored_digest: int | None = None
    correction: Correction | None = None
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[int, str]:
        """What the row is deduplicated by; tier and time follow from it."""
        return self.account_id, self.id
