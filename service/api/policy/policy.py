"""The policy as an auditor or a frontend reads it."""

from datetime import datetime
from typing import Final

import strawberry

from policies import Policy as PolicyModel
from policies import Role as PolicyRole
from policies import digest as digest_of
from policies.policy.views import view_table
from service.api.execution.context import Info
from service.api.execution.errors import Code, refused
from service.api.types.declarations import described
from service.api.types.directives import Cost
from service.api.types.enums import DataClass, PolicyAction, Role, Store, View
from service.api.types.scalars import Digest
from service.storage.control.policies import StoredPolicy, StoredPolicyError, policy_of_digest

_FIELDS_WEIGHT: Final = 50


@strawberry.type
class RoleView:
    """What one role gets of a field."""

    role: Role = described("The role.")
    view: View = described("How the field is shown to it.")


@strawberry.type
class PolicyField:
    """What the policy does with one field."""

    field: str = described("`Type.field` as in this schema.")
    class_: DataClass = described("What kind of data it is.", "class")
    action: PolicyAction = described("What admission does to it.")
    store: Store = described("Table that holds it.")
    views: list[RoleView] = described("What each role gets of it.")


@strawberry.type
class PolicyWindow:
    """For how long values of a class can be read in one store, for the accounts of one tier."""

    class_: DataClass = described("The class.", "class")
    tier: str = described("The tier.")
    store: Store = described("The table.")
    window_days: int = described("Days of 24 hours.")


@strawberry.type
class Policy:
    """A policy that is or was in force."""

    record: strawberry.Private[StoredPolicy]
    name: str = described("Its name.")
    version: int = described("Policies are counted as they are put in force here, from 1.")
    digest: Digest = described("SHA-256 of the canonical text.")
    applied_at: datetime = described("When it was put in force.")
    applied_by: strawberry.ID = described(
        "Key id of who asked for it; `cli` for the operator's shell, `system` for the first of a ledger."
    )
    approved_by: strawberry.ID | None = described("Key id of the second admin; null where none was needed.")
    document: str = described("Canonical text: its SHA-256 is the digest.")

    @strawberry.field(directives=[Cost(weight=_FIELDS_WEIGHT)])
    def fields(self) -> list[PolicyField]:
        """What it does with every field."""
        policy = _read(self.record)
        tables = {role: view_table(policy, PolicyRole[role.name]) for role in Role}
        return [
            PolicyField(
                field=name,
                class_=DataClass[rule.data_class.name],
                action=PolicyAction[rule.action.name],
                store=Store[rule.store.name],
                views=[RoleView(role=role, view=View[table[name].name]) for role, table in tables.items()],
            )
            for name, rule in sorted(policy.fields.items())
        ]

    @strawberry.field
    def windows(self) -> list[PolicyWindow]:
        """How long values can be read."""
        return [
            PolicyWindow(
                class_=DataClass[window.data_class.name],
                tier=window.tier,
                store=Store[window.store.name],
                window_days=window.days,
            )
            for window in _read(self.record).windows()
        ]


def _read(record: StoredPolicy) -> PolicyModel:
    try:
        return record.read().policy
    except StoredPolicyError:
        message = "that policy was written for another version of calledger; its `document` can still be read"
        raise refused(Code.BAD_USER_INPUT, message) from None


async def resolve_policy(info: Info, digest: str | None) -> Policy | None:
    """The policy that this process obeys, or the one that was last applied under `digest`; None when there is none."""
    record = await policy_of_digest(digest_of(info.context.scope.policy) if digest is None else digest)
    if record is None:
        return None
    return Policy(
        record=record,
        name=record.name,
        version=record.version,
        digest=Digest(record.digest),
        applied_at=record.applied_at,
        applied_by=strawberry.ID(record.applied_by),
        approved_by=None if record.approved_by is None else strawberry.ID(record.approved_by),
        document=record.document,
    )
