"""When a compiled operation cannot answer what it should be able to: counted in `/metrics`, and logged once a document.

An operation is to be compiled when it is a query and all its root fields are COVERED. What the ordinary path refuses,
because the caller made a mistake or may not ask, is no fallback, and neither is a document's first request.
"""

from collections import OrderedDict
from enum import StrEnum
from hashlib import sha256
from typing import Final

from graphql import DocumentNode, FieldNode, OperationDefinitionNode, OperationType
from prometheus_client import Counter

from service.logs import get_logger

log = get_logger()

COVERED: Final = frozenset({"__typename", "calls", "costs", "errors"})
"""Root fields that compiled operations answer."""
_LOGGED_MAX: Final = 1024


class FallbackReason(StrEnum):
    """The closed list of reasons. Values are what logs and `/metrics` say."""

    OPERATION = "operation"
    """It asks for something in a form that is not compiled."""
    ROLE = "role"
    """It selects a field that the role does not see in clear, and that is never null in the schema."""
    SIZE = "size"
    """The document is longer than those that are compiled."""
    VALUE = "value"
    """A row holds a value that the schema cannot answer."""
    FAILURE = "failure"
    """Something went wrong. The ordinary path meets it again, unless it was the compiled path's own mistake."""


class FallbackError(Exception):
    """The ordinary path has to answer. `field`: the root field, by its name in the schema."""

    def __init__(self, reason: FallbackReason, field: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.field = field


_FALLBACKS: Final = Counter(
    "calledger_graphql_fallbacks",
    "Operations that should have been answered by the compiled path and were not, by why",
    ["reason"],
)
# From the start, so that the first fallback is an increase.
for _reason in FallbackReason:
    _FALLBACKS.labels(_reason.value)


class Fallbacks:
    """The fallbacks of one schema."""

    def __init__(self) -> None:
        self._logged: OrderedDict[tuple[str, FallbackReason], None] = OrderedDict()

    def note(self, query: str, fallback: FallbackError) -> None:
        """Count it. The log names the document by the start of its SHA-256, and nothing of its text or variables."""
        _FALLBACKS.labels(fallback.reason.value).inc()
        document = sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        index = (document, fallback.reason)
        if index not in self._logged:
            cause = type(fallback.__cause__).__name__ if fallback.__cause__ is not None else None
            log.warning(
                "an operation was not answered by the compiled path",
                document=document,
                field=fallback.field,
                reason=fallback.reason.value,
                error=cause,
            )
        self._logged[index] = None
        self._logged.move_to_end(index)
        if len(self._logged) > _LOGGED_MAX:
            self._logged.popitem(last=False)


def asks_for(document: DocumentNode) -> str | None:
    """The first root field of the document's queries that compiled operations answer; those in fragments apart."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode) and definition.operation is OperationType.QUERY:
            for node in definition.selection_set.selections:
                if isinstance(node, FieldNode) and node.name.value in COVERED:
                    return node.name.value
    return None
