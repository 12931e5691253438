"""The policy in force: its canonical text is in the database, and every process reads it there as one row.

Only the owner of the tables writes it. A policy that keeps more than the one before it waits as a proposal until
another admin approves it; a proposal is never taken for the policy in force.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

import asyncpg
from tortoise import connections

from policies import Policy, PolicyError, Store, canonical, diff, digest, parse_applied
from policies.evidence import moment
from policies.retention import after_purges
from service.errors import OperatorError
from service.storage.connection import Connection, record_of
from service.storage.notifications import notify
from service.storage.schema.models import PolicyVersion

_LOCK_ID: Final = 0x63616C6C_0007
_LOCK: Final = "SELECT pg_advisory_xact_lock($1)"
_COLUMNS: Final = "version, name, digest, document, applied_at, applied_by, approved_by, ledger_index"
_NEWEST: Final = f"SELECT {_COLUMNS} FROM policy_version ORDER BY version DESC LIMIT 1"  # noqa: S608 - constants
_ALL: Final = f"SELECT {_COLUMNS} FROM policy_version ORDER BY version DESC LIMIT $1"  # noqa: S608 - constants
_ADD: Final = f"""
INSERT INTO policy_version ({_COLUMNS})
SELECT coalesce(max(version), 0) + 1, $1, $2, $3, clock_timestamp(), $4, $5, NULL FROM policy_version
RETURNING {_COLUMNS}
"""  # noqa: S608 - constants
_PURGED_UNTIL: Final = """
SELECT (part ->> 'tier')::integer AS tier, part ->> 'store' AS store, max((part ->> 'to')::timestamptz) AS until
FROM purge_run, jsonb_array_elements(plan -> 'partitions') AS part
WHERE state IN ('KEYS_DESTROYED', 'DETACHED', 'DROPPED', 'VERIFIED', 'DONE')
GROUP BY 1, 2
"""
_LEDGERED: Final = "UPDATE policy_version SET ledger_index = $2 WHERE version = $1"
_PROPOSE: Final = """
INSERT INTO policy_proposal (replaces, digest, document, proposed_at, proposed_by)
VALUES ($1, $2, $3, clock_timestamp(), $4)
RETURNING id, replaces, digest, document, proposed_at, proposed_by
"""
_PROPOSALS: Final = """
SELECT id, replaces, digest, document, proposed_at, proposed_by FROM policy_proposal ORDER BY id
"""
_TIERS: Final = """
SELECT tier, bool_or(NOT EXISTS (
    SELECT FROM account_tier AS later
    WHERE later.account_id = tiers.account_id AND later.from_at > tiers.from_at AND later.from_at <= clock_timestamp()
)) AS in_use
FROM account_tier AS tiers GROUP BY tier
"""
_CLOSE: Final = "DELETE FROM policy_proposal WHERE replaces <= $1"


class LedgerWriter(Protocol):
    """What this package needs of the ledger, which it may not import."""

    async def append(
        self,
        kind: str,
        facts: Mapping[str, Any],
        *,
        actor: str,
        note: str | None = None,
        connection: Connection | None = None,
    ) -> int:
        """Append an entry in the transaction of `connection`, and return its index."""
        ...


class PolicyMismatchError(OperatorError):
    """the policy file is not the policy that is in force"""


class StoredPolicyError(OperatorError):
    """the policy in the database cannot be used"""


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A policy with the record of its application. `version` counts the policies that were applied here, from 1."""

    policy: Policy
    version: int
    digest: str
    applied_at: datetime
    applied_by: str
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """The record of a policy that is or was in force, with its text. This version may not be able to read an
    old text.
    """

    version: int
    name: str
    digest: str
    document: str
    applied_at: datetime
    applied_by: str
    approved_by: str | None
    ledger_index: int | None

    def read(self) -> AppliedPolicy:
        """The policy in the text. Raises StoredPolicyError when it is not what was applied, or cannot be read."""
        policy = _read(self.document, self.digest, f"the stored policy, version {self.version},")
        return AppliedPolicy(policy, self.version, self.digest, self.applied_at, self.applied_by, self.approved_by)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy that waits for a second admin. It can replace version `replaces` and no other."""

    id: int
    replaces: int
    digest: str
    document: str
    proposed_at: datetime
    proposed_by: str

    def read(self) -> Policy:
        """The policy in the text. Raises StoredPolicyError as `StoredPolicy.read` does."""
        return _read(self.document, self.digest, "the policy that waits")


def _read(document: str, policy_digest: str, description: str) -> Policy:
    # The digest is compared first: an edited text must be reported as that, whether or not it still parses.
    if f"sha256:{hashlib.sha256(document.encode()).hexdigest()}" != policy_digest:
        raise StoredPolicyError(
            f"{description} is not what was applied: its text does not have its digest `{policy_digest[:80]}`; "
            "somebody changed the database: restore it from a backup"
        )
    try:
        return parse_applied(document)
    except PolicyError as error:
        raise StoredPolicyError(
            f"{description} cannot be read by this version of calledger ({error}): run the version that applied it, "
            "and apply a policy that does not have it"
        ) from None


async def applied_policy() -> AppliedPolicy | None:
    """The newest policy, or None in an empty database. Raises StoredPolicyError when it is not what was applied.

    It takes into account what has been purged, so that a window that became longer does not reach behind that.
    """
    row = await PolicyVersion.all().order_by("-version").first()
    if row is None:
        return None
    applied = record_of(StoredPolicy, vars(row)).read()
    return replace(applied, policy=after_purges(applied.policy, await _purged_until()))


async def _purged_until() -> dict[tuple[int, Store], datetime]:
    """By tier and store, the end of the newest partition that a purge has begun to destroy."""
    rows = await connections.get("default").execute_query_dict(_PURGED_UNTIL)
    return {(row["tier"], Store(row["store"])): row["until"] for row in rows}


async def policy_of_digest(policy_digest: str) -> StoredPolicy | None:
    """The policy that was last applied under this digest, whether it is in force or not; None if there is none."""
    row = await PolicyVersion.filter(digest=policy_digest).order_by("-version").first()
    return None if row is None else record_of(StoredPolicy, vars(row))


async def store_policy(
    owner: asyncpg.Pool,
    policy: Policy,
    *,
    applied_by: str,
    approved_by: str | None = None,
    ledger: LedgerWriter | None = None,
) -> AppliedPolicy:
    """Put `policy` in force whatever there was before. `PolicyTransaction` is for changes that have to be
    judged first.
    """
    async with policy_transaction(owner) as transaction:
        return await transaction.put_in_force(policy, applied_by=applied_by, approved_by=approved_by, ledger=ledger)


class PolicyTransaction:
    """The policy and its proposals, locked in one transaction against every other change."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def in_force(self) -> AppliedPolicy | None:
        """The policy in force, as `applied_policy` reads it, without what was purged."""
        row = await self.connection.fetchrow(_NEWEST)
        return None if row is None else StoredPolicy(*row).read()

    async def versions(self, limit: int = 1000) -> list[StoredPolicy]:
        """The policies that were ever in force, newest first, at most `limit`."""
        return [StoredPolicy(*row) for row in await self.connection.fetch(_ALL, limit)]

    async def proposals(self) -> Sequence[Proposal]:
        """The policies that wait for a second admin, oldest first."""
        return [Proposal(*row) for row in await self.connection.fetch(_PROPOSALS)]

    async def tiers(self) -> tuple[list[int], list[int]]:
        """Two lists of tiers: those that an account is in now or will be, and those that one ever was in."""
        rows = await self.connection.fetch(_TIERS)
        return [row["tier"] for row in rows if row["in_use"]], [row["tier"] for row in rows]

    async def propose(self, policy: Policy, *, replaces: int, proposed_by: str) -> Proposal:
        """Let `policy` wait for a second admin. The same proposal by the same admin is kept once."""
        wanted = digest(policy)
        for waiting in await self.proposals():
            if (waiting.replaces, waiting.digest, waiting.proposed_by) == (replaces, wanted, proposed_by):
                return waiting
        row = await self.connection.fetchrow(_PROPOSE, replaces, wanted, canonical(policy).decode(), proposed_by)
        assert row is not None, "an INSERT that returns what it inserted"
        return Proposal(*row)

    async def put_in_force(
        self, policy: Policy, *, applied_by: str, approved_by: str | None = None, ledger: LedgerWriter | None = None
    ) -> AppliedPolicy:
        """Store `policy` as the next version, and notify every service. Proposals to replace an earlier version are
        deleted.

        With a `ledger`, POLICY_APPLIED is written in the same transaction, so that neither exists without the other.
        """
        replaced = await self.in_force()
        arguments = (policy.name, digest(policy), canonical(policy).decode(), applied_by, approved_by)
        row = await self.connection.fetchrow(_ADD, *arguments)
        assert row is not None, "an INSERT that returns what it inserted"
        applied = StoredPolicy(*row).read()
        if ledger is not None:
            facts = _facts(applied, replaced)
            index = await ledger.append("POLICY_APPLIED", facts, actor=applied_by, connection=self.connection)
            await self.connection.execute(_LEDGERED, applied.version, index)
        await self.connection.execute(_CLOSE, applied.version)
        await notify(self.connection, "policy")
        return applied


def _facts(applied: AppliedPolicy, replaced: AppliedPolicy | None) -> dict[str, Any]:
    """What the ledger keeps of a change: digests and counts. A policy's name is left out: it is free text."""
    facts: dict[str, Any] = {
        "version": applied.version,
        "digest": applied.digest,
        "applied_at": moment(applied.applied_at),
    }
    if applied.approved_by is not None:
        facts["approved_by"] = applied.approved_by
    if replaced is not None:
        effects = Counter(change.effect.value for change in diff(replaced.policy, applied.policy).changes)
        facts |= {"replaces": replaced.digest, "changes": dict(effects)}
    return facts


@asynccontextmanager
async def policy_transaction(owner: asyncpg.Pool) -> AsyncIterator[PolicyTransaction]:
    """One transaction as the owner: all that is done in it is committed, or nothing."""
    async with owner.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK, _LOCK_ID)
        yield PolicyTransaction(connection)


def refuse_other(applied: AppliedPolicy, given: Policy) -> None:
    """Raise PolicyMismatchError when `given`, the file that `serve` was started with, is not the policy in force."""
    if digest(given) != applied.digest:
        raise PolicyMismatchError(
            f"the policy file `{given.name}` has digest `{digest(given)}`, and `{applied.digest}` "
            f"(`{applied.policy.name}`, version {applied.version}) is in force: put the file in force with `calledger "
            "policy apply FILE`, or keep the other by leaving CALLEDGER_POLICY unset"
        )


def refuse_unledgered(applied: AppliedPolicy, facts: Mapping[str, Any] | None) -> None:
    """Raise StoredPolicyError when the ledger says that another policy was applied last than the database holds.

    `facts` are those of the newest POLICY_APPLIED entry, None when there is none.
    """
    if facts is not None and not agrees(applied, facts):
        raise StoredPolicyError(
            f"the database holds policy version {applied.version}, `{applied.digest}`, and by the ledger version "
            f"{facts.get('version')}, `{facts.get('digest')}`, was applied last: somebody changed the database, or it "
            "was restored from a backup; put the right one in force with `calledger policy apply FILE`"
        )


def agrees(applied: AppliedPolicy, facts: Mapping[str, Any] | None) -> bool:
    """Whether the newest POLICY_APPLIED entry of the ledger, given by its facts, is about this policy."""
    return facts is None or (facts.get("version"), facts.get("digest")) == (applied.version, applied.digest)
