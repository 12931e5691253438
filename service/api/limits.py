"""Limits on one operation: tokens, depth, aliases; and on one key: cost by time."""

import time
from collections import OrderedDict
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from service.api.errors import Code, refused
from service.query.document import fragments_of

TOKENS_MAX: Final = 2_000
DEPTH_MAX: Final = 10
ALIASES_MAX: Final = 30
_KEYS_MAX: Final = 10_000


def check_shape(document: DocumentNode) -> GraphQLError | None:
    """Refuse a document that nests too deep or names too many aliases; None when it may run."""
    walk = _Walk(document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            walk.enter(definition.selection_set)
    if walk.depth > DEPTH_MAX:
        return refused(Code.QUERY_TOO_DEEP, f"the operation nests deeper than {DEPTH_MAX} fields")
    if walk.aliases > ALIASES_MAX:
        return refused(Code.MAX_COST_EXCEEDED, f"the operation has more than {ALIASES_MAX} aliases")
    return None


class _Walk:
    """Depth and aliases of a document. Validation has made sure that fragments do not go in circles."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._depths: dict[str, int] = {}
        self.depth = 0
        self.aliases = 0

    def enter(self, selection_set: SelectionSetNode) -> None:
        self.depth = max(self.depth, self._depth(selection_set, 1))

    def _depth(self, selection_set: SelectionSetNode, depth: int) -> int:
        deepest = depth - 1
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                # Introspection has a depth rule of its own (MaxIntrospectionDepthRule), and tools need theirs.
                if selection.name.value in ("__schema", "__type"):
                    continue
                self.aliases += selection.alias is not None
                below = selection.selection_set
                deepest = max(deepest, self._depth(below, depth + 1) if below else depth)
            elif isinstance(selection, InlineFragmentNode):
                deepest = max(deepest, self._depth(selection.selection_set, depth))
            elif isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, depth - 1 + self._fragment_depth(selection.name.value))
        return deepest

    def _fragment_depth(self, name: str) -> int:
        # Once a fragment: spreads of spreads would otherwise be walked two to the power of their number.
        if name not in self._depths and name in self._fragments:
            self._depths[name] = 0
            self._depths[name] = self._depth(self._fragments[name].selection_set, 1)
        return self._depths.get(name, 0)


class Bucket:
    """A token bucket of cost. A capacity of 0 sets no limit."""

    __slots__ = ("_filled_at", "_level", "capacity", "per_second", "restore_rate")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.per_second = capacity / 60
        self.restore_rate = round(self.per_second, 3)
        self._level = float(capacity)
        self._filled_at = time.monotonic()

    @property
    def available(self) -> int:
        now = time.monotonic()
        level = self._level = min(self.capacity, self._level + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        return int(level)

    def take(self, cost: int) -> bool:
        """Whether there is enough; if so it is taken."""
        capacity = self.capacity
        if capacity and self.available < min(cost, capacity):
            return False
        self._level -= cost
        return True

    def give_back(self, cost: int) -> None:
        """What was taken and not spent."""
        self._level = min(self.capacity, self._level + cost)

    def seconds_until(self, cost: int) -> float:
        """Until `cost` can be taken."""
        missing = min(cost, self.capacity) - self.available
        return max(0.0, missing / self.per_second) if self.capacity else 0.0


class Buckets:
    """One bucket a key. A key that has not asked for long has a full bucket, so the oldest can be forgotten."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key_id: str) -> Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = Bucket(self._per_minute)
            while len(self._buckets) > _KEYS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        return bucket
