"""`viewer`: the role and accounts of the key, what they may see, and what is left of its budget."""

from datetime import UTC, datetime, timedelta
from typing import Final

import strawberry

from policies.policy import fields as policy_fields
from policies.policy import views
from policies.policy.roots import IMPLIED, ROOT_FIELDS
from service.api.execution.context import Context, Info
from service.api.types.declarations import described
from service.api.types.enums import Role, View
from service.query.authorization.enforcement import choosable

_OF_KEYS_ALONE: Final = frozenset({"createSessionToken", "createApiKey", "rotateApiKey", "revokeApiKey"})


@strawberry.type
class FieldView:
    """What the role gets of one field."""

    field: str = described("`Type.field` as in this schema.")
    view: View = described("How it is shown.")
    filterable: bool = described("May it be filtered, ordered or grouped by.")


@strawberry.type
class RateLimit:
    """What the key may spend on operations."""

    limit: int = described("Cost a minute; 0: no limit.")
    remaining: int = described("Cost that can be spent now.")
    reset_at: datetime = described("When all of it can be spent again.")


@strawberry.type
class Viewer:
    """Who asks."""

    role: Role = described("Role of the key.")
    accounts: list[str] | None = described("Accounts that the key is bound to. Null: every account.")
    key_id: strawberry.ID = described("Public part of the key.")
    expires_at: datetime | None = described("When the key ends; null: it does not.")

    @strawberry.field
    def fields(self, info: Info) -> list[FieldView]:
        """So that a frontend asks only for what it may have."""
        scope = info.context.scope
        filterable = choosable(scope)
        return [
            FieldView(field=field, view=View[scope.views[field].name], filterable=field in filterable)
            for field in policy_fields.DATA_FIELDS
        ]

    @strawberry.field
    def root_fields(self, info: Info) -> list[str]:
        """Fields of Query, Mutation and Subscription that may be asked, by name, so that a frontend offers no other.

        Those that are about every account are refused to a key that is bound to some.
        """
        scope, principal = info.context.scope, info.context.principal
        refused = _OF_KEYS_ALONE if principal is not None and principal.session is not None else frozenset[str]()
        return sorted(
            name
            for name in ROOT_FIELDS | IMPLIED.keys()
            if name not in refused and views.may_ask(scope.policy, scope.role, name)
        )

    @strawberry.field
    def rate_limit(self, info: Info) -> RateLimit:
        """What the key may spend."""
        bucket = info.context.bucket
        available = bucket.available
        wait = timedelta(seconds=(bucket.capacity - available) / bucket.per_second if bucket.capacity else 0)
        return RateLimit(limit=bucket.capacity, remaining=available, reset_at=datetime.now(UTC) + wait)


async def resolve_viewer(context: Context) -> Viewer:
    """The caller's key: its role, the names of its accounts (None: all of them), its end."""
    scope = context.scope
    accounts = context.reader.accounts
    names = None if scope.accounts is None else sorted([await accounts.name(number) for number in scope.accounts])
    return Viewer(
        role=Role[scope.role.name],
        accounts=names,
        key_id=strawberry.ID(scope.key_id),
        expires_at=context.principal and context.principal.expires_at,
    )
