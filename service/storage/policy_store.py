"""The policy in force: its canonical text lies in the database; every process reads it there, whole or not at all."""

from dataclasses import dataclass
from datetime import UTC, datetime

from policies import Policy, canonical, digest, parse
from service.errors import OperatorError
from service.storage.models import PolicyVersion


class PolicyMismatchError(OperatorError):
    """the policy file is not the policy that is in force"""


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A policy with the record of its application."""

    policy: Policy
    version: int
    digest: str
    applied_at: datetime
    applied_by: str


async def applied_policy() -> AppliedPolicy | None:
    """The newest policy, or None in an empty database.

    Raises PolicyMismatchError when the stored text does not have the digest that was recorded beside it.
    """
    row = await PolicyVersion.all().order_by("-version").first()
    if row is None:
        return None
    policy = parse(row.document)
    if digest(policy) != row.digest:
        raise PolicyMismatchError(
            f"the stored policy, version {row.version}, does not match its digest `{row.digest}`: restore the database "
            "from a backup, or apply the policy again with the version of calledger that stored it"
        )
    return AppliedPolicy(policy, row.version, row.digest, row.applied_at, row.applied_by)


async def store_policy(policy: Policy, *, applied_by: str) -> AppliedPolicy:
    """Put `policy` in force."""
    row = await PolicyVersion.create(
        name=policy.name,
        digest=digest(policy),
        document=canonical(policy).decode(),
        applied_at=datetime.now(UTC),
        applied_by=applied_by,
    )
    return AppliedPolicy(policy, row.version, row.digest, row.applied_at, row.applied_by)


def refuse_other(applied: AppliedPolicy, wanted: Policy) -> None:
    """Raises PolicyMismatchError when `wanted`, the file given to `serve`, is not what is in force."""
    if digest(wanted) != applied.digest:
        raise PolicyMismatchError(
            f"the policy file `{wanted.name}` has digest `{digest(wanted)}`, and `{applied.digest}` "
            f"(`{applied.policy.name}`, version {applied.version}) is in force: to keep that one, unset CALLEDGER_POLICY"
        )
