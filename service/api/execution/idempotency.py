"""Mutations with an `Idempotency-Key` are carried out once: a repeated one gets the same answer.

It passes admission as ever and is charged for. What cannot be answered once more is not kept, and the repeated request
learns that it was done: answers that hold a key, a token or a secret, what is revealed of an error, and answers with
errors, of which nobody can say how much was done.
"""

from collections.abc import AsyncIterator
from typing import Final

from graphql import ExecutionResult, FieldNode, GraphQLError, OperationDefinitionNode, OperationType
from strawberry.extensions import SchemaExtension

from service.access.idempotency import EarlierRequest, Idempotency, IdempotencyKeyError, NamedRequest
from service.api.execution.context import Context, throttled
from service.api.execution.documents import operation_of
from service.api.execution.errors import Code, code_of, refused

HEADER: Final = "Idempotency-Key"
ANSWERED_ONCE: Final = frozenset(
    {"revealError", "createApiKey", "rotateApiKey", "createSessionToken", "createWebhook", "rotateWebhookSecret"}
)
"""Mutations whose answers are not kept."""
ANSWERED_AGAIN: Final = frozenset(
    {
        *("placeHold", "liftHold", "planPurge", "requestPurge", "requestErasure", "eraseNotes", "createEvidence"),
        *("createExport", "cancelExport", "createExportSchedule", "deleteExportSchedule", "revokeApiKey"),
        *("enableWebhook", "deleteWebhook", "sendTestWebhook", "replayWebhookDelivery", "setBudget"),
        *("requestAttestation", "__typename"),
    }
)
"""Mutations whose answers are."""
_REFUSALS: Final = frozenset({Code.BAD_USER_INPUT, Code.FORBIDDEN, Code.THROTTLED, Code.NOT_FOUND})
_UNDER_WAY_S: Final = 1


class Once(SchemaExtension):
    """Carries a mutation out once. Has to follow the gate: what is refused there has not begun."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Answer a repeated mutation; otherwise note its answer when it is there."""
        execution = self.execution_context
        context = execution.context
        if not isinstance(context, Context) or context.idempotency_key is None or context.idempotency is None:
            yield
            return
        assert execution.graphql_document is not None
        operation = operation_of(execution.graphql_document, execution.operation_name)
        if operation.operation is not OperationType.MUTATION:
            yield
            return
        requests = context.idempotency
        # A session token may be of other accounts than another one of its key.
        asked_by = (context.principal and context.principal.session) or context.scope.key_id
        request = {"query": execution.query, "operation": execution.operation_name, "variables": execution.variables}
        try:
            named = await requests.named(asked_by, context.idempotency_key, request)
            known = await requests.begin(named)
        except IdempotencyKeyError as error:
            execution.result = ExecutionResult(None, [refused(Code.BAD_USER_INPUT, str(error))])
            yield
            return
        if known is not None:
            execution.result = _again(known, context)
        yield
        if known is None and isinstance(execution.result, ExecutionResult):
            await _ended(requests, named, operation, execution.result, context)


def _again(known: EarlierRequest, context: Context) -> ExecutionResult:
    if known.answer is not None:
        return ExecutionResult(known.answer, None)
    if known.under_way:
        message = f"the request with this `{HEADER}` is under way: try again"
        return ExecutionResult(None, [throttled(message, _UNDER_WAY_S, context)])
    done = "was carried out, and its answer is not kept" if known.done else "was begun, and its end is not known"
    message = f"the request with this `{HEADER}` {done}: ask for what it made"
    return ExecutionResult(None, [refused(Code.ALREADY_DONE, message)])


async def _ended(
    requests: Idempotency,
    named: NamedRequest,
    operation: OperationDefinitionNode,
    result: ExecutionResult,
    context: Context,
) -> None:
    errors, data = result.errors or [], result.data or {}
    if errors and not any(value is not None for value in data.values()) and _refused(errors):
        await requests.take_back(named)
        return
    may_be_kept = not errors and not context.holds_secret and _fields(operation) <= ANSWERED_AGAIN
    await requests.end(named, data if may_be_kept else None)


def _refused(errors: list[GraphQLError]) -> bool:
    """Whether nothing was done, for what the caller asked."""
    return all((error.extensions or {}).get("code", code_of(error)) in _REFUSALS for error in errors)


def _fields(operation: OperationDefinitionNode) -> set[str]:
    """Names of the root fields; a fragment has none of them."""
    selections = operation.selection_set.selections
    return {field.name.value if isinstance(field, FieldNode) else "..." for field in selections}
