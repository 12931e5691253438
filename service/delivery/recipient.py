"""Who receives events: a webhook with the rights that its key has now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies import Role, view_table
from policies.policy.views import may_be_notified
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.errors import RequestError
from service.export.requester import requester_of
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.runtime.runtime import Runtime
from service.storage.control.webhooks import WebhookRecord
from service.webhooks.events import ASKED_BY, OF_EVERY_ACCOUNT, WebhookEvent

_MAX_COST: Final = 1_000_000


class AnswerRefusedError(RequestError):
    """what the webhook is sent cannot be asked any more"""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Recipient:
    """A webhook, and what asks for it: an operation of the schema, as anybody asks."""

    webhook: WebhookRecord
    context: Context

    def receives(self, event: WebhookEvent) -> bool:
        """Whether it wants the event, and its key could ask for the same."""
        scope, asked = self.context.scope, ASKED_BY.get(event)
        if event not in (*self.webhook.events, WebhookEvent.TEST):
            return False
        if event in OF_EVERY_ACCOUNT and scope.accounts is not None:
            return False
        return asked is None or may_be_notified(scope.policy, scope.role, asked)

    async def ask(self, operation: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer. Raises AnswerRefusedError with GraphQL's words and code."""
        given = {name: value for name, value in variables.items() if value is not None}
        result = await build_schema().execute(operation, variable_values=given, context_value=self.context)
        if result.errors or result.data is None:
            errors = result.errors or []
            code = str((errors[0].extensions or {}).get("code", "")) if errors else ""
            raise AnswerRefusedError("; ".join(error.message for error in errors), code)
        return result.data


async def recipient_of(runtime: Runtime, reader: Reader, webhook: WebhookRecord) -> Recipient | None:
    """Who receives them; None when the key has ended, or may do less than when it asked."""
    principal = await requester_of(runtime, webhook.requested_by, Role(webhook.role), webhook.accounts)
    if principal is None:
        return None
    policy = runtime.applied.policy
    views = view_table(policy, principal.role)
    scope = Scope(principal.key_id, principal.role, principal.accounts, policy, views)
    return Recipient(webhook, Context(scope, reader, Bucket(0), _MAX_COST, principal))
