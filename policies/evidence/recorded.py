"""What entries of the ledger say of one thing each: a key, a hold, a purge, an account.

Entries grew facts with time: what an older one does not say is None here, and is not compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RecordedKey:
    """An API key. `accounts` None: every account; `mac`: SHA-256 of the MAC that recognises it; `ended`: the entry that
    revoked it, and `ended_at` when; `sessions_hour`: the last one in which it gave out session tokens.
    """

    index: int
    role: str
    accounts: tuple[int, ...] | None
    expires_at: str | None
    mac: str | None
    ended: int | None = None
    ended_at: datetime | None = None
    sessions_hour: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedHold:
    """A hold as it was placed: the facts of its entry, and when that was written. `lifted`: the entry that ended it."""

    index: int
    actor: str
    placed_at: datetime
    facts: Mapping[str, Any]
    lifted: int | None = None
    lifted_by: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedErasure:
    """An erasure. `rows` is None until it is done; `periods`: in how many the person has a pseudonym.

    `restricted_at` is the time of the entry that says which `holds` keep copies; `holds` None: too many.
    """

    index: int
    actor: str
    kind: str | None
    account: int | None
    rows: int | None = None
    periods: int | None = None
    restricted_at: datetime | None = None
    holds: tuple[str, ...] | None = ()
    unreadable_at: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedExport:
    """A file of rows or evidence that a key asked for. `facts` are those of the entry, written at `recorded_at`."""

    index: int
    actor: str
    recorded_at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedPurge:
    """A purge: the digest of its plan, and the facts of its result (None: it has not ended)."""

    index: int
    actor: str
    plan: str | None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RecordedIdlePurges:
    """Purges in a row that found nothing due: from when, and until when at least; as many moments as entries."""

    index: int
    actor: str
    plan: str
    planned_at: str
    finished_at: str


@dataclass(frozen=True, slots=True)
class RecordedAccount:
    """The salted digest of an account's name, and when it was written down."""

    index: int
    name: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class RecordedWebhook:
    """A webhook: its key, which may have taken the place of another, and the facts of its entry. `ended`: the entry
    that deleted it.
    """

    index: int
    key: str
    facts: Mapping[str, Any]
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedSetting:
    """A budget or a source: the facts of its newest entry, and who wrote that. `ended`: the entry that removed it."""

    index: int
    actor: str
    facts: Mapping[str, Any]
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedAttestation:
    """A statement of retention: who asked for it in entry `index`, written at `requested_at`, for how many days, and
    whether nothing was to be left out (`full`).

    `made`: the entry of the statement, whose `digest` it has; None: it was not made, or is not yet.
    """

    index: int
    actor: str
    requested_at: datetime
    days: int
    full: bool
    made: int | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """A policy that was put in force, by whom and approved by whom."""

    index: int
    applied_by: str
    version: int
    digest: str
    approved_by: str | None
    applied_at: str | None
