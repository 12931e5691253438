"""API keys made, renewed and ended through the schema, as `calledger keys` does it: in the ledger before the answer."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import strawberry

import policies
from service.access.issuing import IssuedKey, Issuer, issuer_of
from service.api.execution.context import Context, Info
from service.api.keys.types import ApiKey, decode_key_id, key_node, keys_of
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.enums import Role
from service.query.model.errors import BadInputError

_OVERLAP_HOURS: Final = 24


@strawberry.input
class CreateApiKeyInput:
    """A key to make."""

    role: Role = described("What it may do.")
    accounts: list[str] | None = optional(
        "Bind it to these accounts; one that is new is made. Not given: every account, which a partner's key may not "
        "have, nor one that is made by a key that is bound itself.",
    )
    name: str | None = optional("What it is for: one printable line of at most 200 characters.")
    expires_at: datetime | None = optional(
        "When it ends by itself: with the key that asks at the latest, if that has an end. Not given: then, or never; "
        "a partner's after 90 days at the latest.",
    )


@strawberry.type
class CreateApiKeyPayload:
    """The key that was made."""

    key: str = described("The key. It is in this answer and nowhere else: keep it now.")
    api_key: ApiKey = described("What it may do.")


@strawberry.input
class RotateApiKeyInput:
    """A key to replace."""

    id: strawberry.ID = described("The id of a live key, `key_...`, or its public part.")
    overlap_hours: int = described("How long the old key still works, 0 to 2160 hours.", default=_OVERLAP_HOURS)
    expires_at: datetime | None = optional(
        "When the new key ends by itself: with the key that asks at the latest, if that has an end. Not given: then, "
        "or after as long a life as the old one's, if that had an end.",
    )


@strawberry.type
class RotateApiKeyPayload:
    """The key that takes the place of another."""

    key: str = described("The new key. It is in this answer and nowhere else: keep it now.")
    api_key: ApiKey = described("The new key: role, accounts and name are the old one's.")
    replaced: ApiKey = described("The old key, with its end.")


@strawberry.input
class RevokeApiKeyInput:
    """A key to end."""

    id: strawberry.ID = described("The id of a key, `key_...`, or its public part.")


@strawberry.type
class RevokeApiKeyPayload:
    """The key that was ended."""

    api_key: ApiKey = described("It has ended in every running service.")


@strawberry.type
class KeyMutation:
    """Root fields of API keys; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, argument("What it is to be.")],
    ) -> CreateApiKeyPayload | None:
        """A new key, of no wider role, no other accounts and no later end than the key that asks (admin)."""
        issued = await keys_of(info.context).create(
            policies.Role[input.role.name],
            accounts=given(input.accounts),
            expires_at=given(input.expires_at),
            name=given(input.name),
            by=_issuer(info.context),
        )
        return CreateApiKeyPayload(
            key=_secret_text(info.context, issued), api_key=await key_node(info.context, issued.record)
        )

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def rotate_api_key(
        self,
        info: Info,
        input: Annotated[RotateApiKeyInput, argument("Which key, and how.")],
    ) -> RotateApiKeyPayload | None:
        """A new key in place of a live one, which ends after the overlap (admin)."""
        # Before it becomes a number of microseconds, which has a limit of its own.
        overlap = timedelta(hours=max(-1, min(input.overlap_hours, 10_000)))
        issued, old = await keys_of(info.context).rotate(
            _key_id(input.id), overlap=overlap, expires_at=given(input.expires_at), by=_issuer(info.context)
        )
        return RotateApiKeyPayload(
            key=_secret_text(info.context, issued),
            api_key=await key_node(info.context, issued.record),
            replaced=await key_node(info.context, old),
        )

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def revoke_api_key(
        self, info: Info, input: Annotated[RevokeApiKeyInput, argument("Which key.")]
    ) -> RevokeApiKeyPayload | None:
        """End a key for good, and the session tokens that it gave out, in every running service (admin)."""
        record = await keys_of(info.context).revoke(_key_id(input.id), by=_issuer(info.context))
        return RevokeApiKeyPayload(api_key=await key_node(info.context, record))


def _issuer(context: Context) -> Issuer:
    assert context.principal is not None, "what serves requests knows who asks"
    return issuer_of(context.principal)


def _secret_text(context: Context, issued: IssuedKey) -> str:
    """The text of a key, in an answer that must not be compressed: lengths tell of what is in it."""
    context.holds_secret = True
    return issued.text


def _key_id(text: str) -> str:
    prefix = decode_key_id(text)
    if prefix is None:
        raise BadInputError("the id of a key is `key_` and eight characters, as `apiKeys` shows it; never send a key")
    return prefix
