"""`RetentionContext`: the stores, the policy in force and the operator's settings, which all of retention takes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies import PolicyError, parse_applied
from policies.policy.model import Policy
from policies.retention import Earlier
from service.errors import OperatorError
from service.keyring import Keyring
from service.ledger import Ledger
from service.retention.clock_guard import Clock, machine_clock, trusted_now
from service.storage.connection import Queryable
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions

PURGE_DELAY: Final = timedelta(hours=72)
_VERSIONS_MAX: Final = 1000
_VERSIONS: Final = "SELECT version, document, applied_at FROM policy_version ORDER BY version DESC LIMIT $1"


class EarlierPolicyError(OperatorError):
    """a policy that was in force before cannot be read"""


@dataclass(slots=True)
class RetentionContext:
    """What every function of retention is given. `policy` returns the policy in force.

    `cold_age`: how long after their end partitions move to files; None: they do not.
    """

    database: Database
    partitions: Partitions
    keyring: Keyring
    accounts: Accounts
    policy: Callable[[], Policy]
    ledger: Ledger
    purge_delay: timedelta = PURGE_DELAY
    keyring_backup_days: int = 0
    clock: Clock = machine_clock
    cold_age: timedelta | None = None

    @property
    def owner(self) -> asyncpg.Pool:
        """The pool of connections as the owner of the tables."""
        return self.database.owner

    async def now(self) -> datetime:
        """The database's time; PurgeClockError when it cannot be trusted."""
        return await trusted_now(self.owner, self.clock)

    async def earlier(self, now: datetime, source: Queryable | None = None) -> tuple[Earlier, ...]:
        """The policies that were replaced less than the purge delay ago.

        Raises EarlierPolicyError when one of them cannot be read.
        """
        found: list[Earlier] = []
        replaced_at: datetime | None = None
        for row in await (source or self.owner).fetch(_VERSIONS, _VERSIONS_MAX):
            if replaced_at is not None:
                until = min(replaced_at, now) + self.purge_delay
                if until <= now:
                    break
                found.append(Earlier(_parsed(row), until))
            replaced_at = row["applied_at"]
        return tuple(found)


def _parsed(row: asyncpg.Record) -> Policy:
    try:
        return parse_applied(row["document"])
    except PolicyError:
        raise EarlierPolicyError(
            f"version {row['version']} of the policy cannot be read any more, and it still keeps what it kept: wait "
            "for the purge delay to end, or name a plan with `calledger purge --plan DIGEST`"
        ) from None
