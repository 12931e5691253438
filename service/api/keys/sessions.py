"""`createSessionToken`: what a browser may hold in the place of a key, for some minutes."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import uuid4

import strawberry

import policies
from policies.policy import views
from service.access.authenticate import ForbiddenError
from service.access.principal import Principal
from service.access.session_tokens import SessionToken
from service.api.execution.context import Context, Info
from service.api.keys.types import keys_of
from service.api.retention.queries import account_in_scope, refuse_bound
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.enums import Role
from service.query.model.errors import BadInputError

MINUTES_MAX: Final = 60
_MINUTES: Final = 15
_ACCOUNTS_MAX: Final = 50


@strawberry.input
class CreateSessionTokenInput:
    """A token to make."""

    accounts: list[str] | None = optional(
        "Accounts that it is bound to, 1 to 50 of the key's own. Not given: all of the key's; a key that is bound to "
        "none has to name some, or to ask for `everyAccount`.",
    )
    every_account: bool = described(
        "Not bound to accounts, as the key itself: it reaches those that are made later, too. For a key that is bound "
        "to none, and without `accounts`.",
        default=False,
    )
    role: Role | None = optional("What it may do, which is no more than the key may. Not given: what the key may.")
    minutes: int = described("For how long, 1 to 60 minutes; never longer than the key.", default=_MINUTES)


@strawberry.type
class CreateSessionTokenPayload:
    """A token for a browser."""

    token: str = described("To be sent as a key is: `Authorization: Bearer ...`. It is stored nowhere.")
    expires_at: datetime = described("When it ends by itself; earlier if its key does.")
    role: Role = described("What it may do.")
    accounts: list[str] = described("Accounts that it is bound to. None for a token of every account.")
    every_account: bool = described("Whether it is bound to no accounts, and reaches every one.")


@strawberry.type
class SessionMutation:
    """The root field of session tokens; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=20)])
    async def create_session_token(
        self,
        info: Info,
        input: Annotated[CreateSessionTokenInput, argument("What it is to be.")],
    ) -> CreateSessionTokenPayload | None:
        """A short-lived token in the place of the key, for a browser. It makes no keys, no tokens and no reports."""
        context = info.context
        principal = _of_key(context)
        role = _role(context, given(input.role))
        accounts = await _accounts(context, given(input.accounts), every=input.every_account)
        bound = None if accounts is None else tuple(sorted(accounts.values()))
        token = SessionToken(str(uuid4()), principal.key_id, role, bound, _end(principal, input.minutes))
        text = await keys_of(context).sign_session(token)
        context.holds_secret = True
        return CreateSessionTokenPayload(
            token=text,
            expires_at=token.expires_at,
            role=Role[role.name],
            accounts=sorted(accounts or ()),
            every_account=accounts is None,
        )


def _of_key(context: Context) -> Principal:
    assert context.principal is not None, "what serves requests knows who asks"
    if context.principal.session is not None:
        raise ForbiddenError("a session token makes no other one: ask with the key itself")
    return context.principal


def _role(context: Context, asked: Role | None) -> policies.Role:
    scope = context.scope
    role = scope.role if asked is None else policies.Role[asked.name]
    if not views.at_most(scope.policy, role, scope.role):
        raise ForbiddenError(f"the role `{role}` may do something that the key's role `{scope.role}` may not")
    return role


async def _accounts(context: Context, names: list[str] | None, *, every: bool) -> dict[str, int] | None:
    """The ids of the accounts by name; None for every account, which nobody gets who has not said so: a page whose
    backend forgot to name accounts would see those of others.
    """
    scope = context.scope
    if every:
        if names is not None:
            raise BadInputError("a token is either of `everyAccount` or of the `accounts` that are named")
        refuse_bound(context, "everyAccount")
        return None
    if names is None:
        if scope.accounts is None:
            raise BadInputError("the key is bound to no account: name the `accounts` of the token, or `everyAccount`")
        found = {await context.reader.accounts.name(number): number for number in scope.accounts}
    else:
        names = list(dict.fromkeys(names))[: _ACCOUNTS_MAX + 1]
        found = {name: await account_in_scope(context, name) for name in names} if len(names) <= _ACCOUNTS_MAX else {}
    if not 0 < len(found) <= _ACCOUNTS_MAX:
        raise BadInputError(f"a session token is bound to 1 to {_ACCOUNTS_MAX} accounts: name them")
    return found


def _end(principal: Principal, minutes: int) -> datetime:
    if not 1 <= minutes <= MINUTES_MAX:
        raise BadInputError(f"a session token lasts 1 to {MINUTES_MAX} `minutes`")
    end = (datetime.now(UTC) + timedelta(minutes=minutes)).replace(microsecond=0)
    return end if principal.expires_at is None else min(end, principal.expires_at)
