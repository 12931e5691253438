"""`revealError`: opens one sealed error for a role that may, for a reason, into the ledger.

No answer is without its entry: the entry is committed before anything is opened, masked or not. The other way round
there may be an entry without an answer, when the process ends in between, or the key in that moment: it says that
somebody was let in, which is true.
"""

from typing import Annotated, Final

import strawberry
from graphql import GraphQLError

from policies.policy.model import View
from service.api.calls.objects import objects_of
from service.api.execution.context import Context, Info
from service.api.execution.errors import Code, refused
from service.api.execution.selection import tree_of
from service.api.types.calls import CallError
from service.api.types.declarations import argument, described
from service.api.types.directives import Cost
from service.api.types.scalars import BigInt
from service.ledger import LedgerKind
from service.query.authorization.selection_set import Tree
from service.query.model.catalog import ERRORS
from service.query.model.errors import BadInputError, ForbiddenError
from service.query.model.scope import Scope
from service.query.records.page import Row

REASON_CHARS_MAX: Final = 500
REVEAL_COST: Final = 1_000


@strawberry.input
class RevealErrorInput:
    """Which error, and why."""

    error_id: strawberry.ID = described("Its id, `err_...`.")
    reason: str = described(
        "Why it has to be opened: 1 to 500 characters, kept with the ledger's entry as an erasable note."
    )


@strawberry.type
class RevealErrorPayload:
    """What was opened."""

    error: CallError = described(
        "The error, its message and parameters with what the policy keeps under seal. What it does not "
        "keep stays `[redacted:rule]`; `disclosure` says when nothing could be opened."
    )
    ledger_index: BigInt = described("Index of the ledger's entry that says so.")


@strawberry.type
class RevealMutation:
    """The part of the mutations that is here."""

    @strawberry.field(directives=[Cost(weight=REVEAL_COST)])
    async def reveal_error(
        self, info: Info, input: Annotated[RevealErrorInput, argument("Which error, and why.")]
    ) -> RevealErrorPayload | None:
        """Open a sealed error; written to the ledger before it is answered."""
        return await resolve_reveal(info, input)


async def resolve_reveal(info: Info, input: RevealErrorInput) -> RevealErrorPayload:
    """Raises BadInputError for a reason that is none, ForbiddenError for a role that is denied what is sealed."""
    context, reason = info.context, _reason(input.reason)
    if not _may_see_any(context.scope):
        raise ForbiddenError(f"the role `{context.scope.role}` may not see what is sealed of errors")
    tree: Tree = tree_of(info).get("error", {})
    # Everything that is sealed is asked for: what is opened is decided by the row, not by what is shown of it.
    row = await context.reader.error(
        context.scope, input.error_id, {"disclosure": {}, "message": {}, "parameters": {}, **tree}
    )
    if row is None:
        raise _not_found()
    index = await _ledgered(context, input.error_id, row, reason)
    # From here on and no earlier: mapping opens what is sealed too, of this row and of those that hang on it.
    details = await context.reader.reveal(context.scope, row)
    (error,) = await objects_of(ERRORS, [row], tree, context.reader, context.scope, [details])
    return RevealErrorPayload(error=error, ledger_index=BigInt(index))


async def _ledgered(context: Context, error_id: str, row: Row, reason: str) -> int:
    """The index of the entry, committed. Facts are ids and states: why nothing can be opened, or that it is sealed."""
    assert context.ledger is not None, "what serves requests has a ledger"
    before = await context.reader.sealed_state(context.scope, row)
    facts = {
        "error": error_id,
        "account": row["account_id"],
        "role": context.scope.role.value,
        "disclosure": before.disclosure,
    }
    return await context.ledger.append(LedgerKind.ERROR_REVEALED, facts, actor=context.scope.key_id, note=reason)


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not 0 < len(reason) <= REASON_CHARS_MAX or not reason.isprintable():
        raise BadInputError(f"a `reason` is 1 to {REASON_CHARS_MAX} printable characters")
    return reason


def _may_see_any(scope: Scope) -> bool:
    message = scope.views.get("CallError.message", View.DENIED)
    return message is not View.DENIED or scope.views.get("CallError.parameters") is View.SEE


def _not_found() -> GraphQLError:
    return refused(Code.NOT_FOUND, "there is no such error in your scope and inside its window")
