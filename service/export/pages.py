"""What an export asks, one page after another.

The operations run through the same schema as every other reader's, inside the process: an export cannot show what
GraphQL would not.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies import Role, view_table
from service.api.context import Context
from service.api.limits import Bucket
from service.api.schema import build_schema
from service.errors import RequestError
from service.query.reader import Reader
from service.query.scope import Scope
from service.runtime import Runtime

PAGE: Final = 200
_MAX_COST: Final = 1_000_000

_CALL_FIELDS: Final = """
id sourceId source startedAt account apiKey user model servedModel provider operation status streamed
inputTokens outputTokens totalTokens cacheReadTokens cacheWriteTokens reasoningTokens
amount { amount currency source } amountParts { meter quantity unitPrice amount }
latencyMs timeToFirstTokenMs tags { key value } errorType errorCode
"""
_ERROR_FIELDS: Final = """
id occurredAt type code fingerprint message disclosure parameters { name value action } redactions { rule count }
call { id sourceId startedAt account model provider }
"""
_COST_FIELDS: Final = """
key { account model provider status currency bucketStart bucketEnd }
calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens
amount { amount currency } estimatedShare
"""


class ExportRefusedError(RequestError):
    """the export cannot be answered as it was asked"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of export: its operation, where its rows are, and what its time filter is called."""

    operation: str
    root: str
    time_field: str
    paged: bool


def _list(root: str, filter_type: str, order: str, fields: str) -> str:
    return f"""
    query ($filter: {filter_type}, $first: Int, $after: String, $total: Boolean!) {{
      {root}(filter: $filter, first: $first, after: $after, orderBy: [{{field: {order}, direction: ASC}}]) {{
        totalCount @include(if: $total) pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }}
      }}
    }}
    """


_COSTS: Final = f"""
query ($filter: CallFilter, $first: Int) {{
  costs(filter: $filter, groupBy: [ACCOUNT, MODEL, PROVIDER, STATUS], bucket: DAY, timeZone: "UTC", first: $first,
        orderBy: [{{field: BUCKET_START, direction: ASC}}]) {{ truncated rows {{ {_COST_FIELDS} }} }}
}}
"""

KINDS: Final[Mapping[str, Kind]] = {
    "calls": Kind(_list("calls", "CallFilter", "STARTED_AT", _CALL_FIELDS), "calls", "startedAt", True),
    "errors": Kind(_list("errors", "ErrorFilter", "OCCURRED_AT", _ERROR_FIELDS), "errors", "occurredAt", True),
    "costs": Kind(_COSTS, "costs", "startedAt", False),
}
_COST_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """Rows, oldest first, and how many there were in all when the export began (None: not known)."""

    rows: list[dict[str, Any]]
    total: int | None


async def exported_pages(runtime: Runtime, kind: Kind, wanted: Mapping[str, Any] | None) -> AsyncIterator[ExportedPage]:
    """The rows of `wanted`, a GraphQL filter, as an admin sees them. Raises ExportRefusedError with GraphQL's words."""
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    variables: dict[str, Any] = {"filter": wanted, "first": PAGE if kind.paged else _COST_ROWS}
    if wanted is None:
        del variables["filter"]
    if not kind.paged:
        answer = await _ask(runtime, reader, kind, variables)
        if answer["truncated"]:
            raise ExportRefusedError(
                f"there are more than {_COST_ROWS} rows: choose a shorter time with --since and --until"
            )
        yield ExportedPage(answer["rows"], len(answer["rows"]))
        return
    variables |= {"after": None, "total": True}
    total = None
    while True:
        answer = await _ask(
            runtime, reader, kind, {name: value for name, value in variables.items() if value is not None}
        )
        total = answer.get("totalCount", total)
        yield ExportedPage(answer["nodes"], total)
        if not answer["pageInfo"]["hasNextPage"]:
            return
        variables |= {"after": answer["pageInfo"]["endCursor"], "total": False}


async def _ask(runtime: Runtime, reader: Reader, kind: Kind, variables: dict[str, Any]) -> dict[str, Any]:
    policy = runtime.applied.policy
    scope = Scope("cli", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))
    context = Context(scope, reader, Bucket(0), _MAX_COST)
    result = await build_schema().execute(kind.operation, variable_values=variables, context_value=context)
    if result.errors or result.data is None:
        raise ExportRefusedError("; ".join(error.message for error in result.errors or []))
    return result.data[kind.root]
