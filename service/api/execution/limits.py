"""Limits on one operation: tokens, depth, aliases; and on one key: cost by time."""

import time
from collections import Counter, OrderedDict
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from service.api.execution.bounds import DEPTH_MAX as VALUE_DEPTH_MAX
from service.api.execution.bounds import OBJECTS_MAX
from service.api.execution.errors import Code, refused
from service.query.authorization.selection_set import fragments_of
from service.shared import Level, Shared

TOKENS_MAX: Final = 2_000
DEPTH_MAX: Final = 10
ALIASES_MAX: Final = 30
PAIRS_MAX: Final = 9_500
SPREADS_MAX: Final = 200
_KEYS_MAX: Final = 10_000


def check_shape(shape: "Shape") -> GraphQLError | None:
    """Refuse a document that nests too deep, repeats itself or names many aliases; None when it may be validated."""
    if shape.depth > DEPTH_MAX:
        return refused(Code.QUERY_TOO_DEEP, f"the operation nests deeper than {DEPTH_MAX} fields")
    if shape.value_depth > VALUE_DEPTH_MAX:
        return refused(Code.QUERY_TOO_DEEP, f"lists and objects of an argument nest at most {VALUE_DEPTH_MAX} deep")
    if shape.aliases > ALIASES_MAX:
        return refused(Code.MAX_COST_EXCEEDED, f"the operation has more than {ALIASES_MAX} aliases")
    if shape.objects > OBJECTS_MAX:
        return refused(Code.MAX_COST_EXCEEDED, f"the document's arguments hold more than {OBJECTS_MAX} objects")
    if shape.pairs > PAIRS_MAX or shape.spreads > SPREADS_MAX:
        return refused(Code.MAX_COST_EXCEEDED, "the document asks for the same fields too often: say each once")
    return None


class Shape:
    """Depth, aliases and repetitions of a document, which need not be valid: fragments may go in circles.

    `pairs`: of fields under one response key, anywhere in the document: as many as validation may have to compare.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = fragments_of(document)
        self._depths: dict[str, int] = {}
        self.depth = self.value_depth = self.aliases = self.spreads = self.objects = self.nodes = 0
        keys: Counter[str] = Counter()
        self._walk(document, keys)
        self.pairs = sum(number * number for number in keys.values())
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self.depth = max(self.depth, self._depth(definition.selection_set, 1))

    def _walk(self, document: DocumentNode, keys: Counter[str]) -> None:
        """Count the nodes, by what they are. Introspection counts like anything else but for its depth."""
        pending: list[tuple[Node, int]] = [(document, 0)]
        while pending:
            node, depth = pending.pop()
            self.nodes += 1
            if isinstance(node, FieldNode):
                keys[node.alias.value if node.alias else node.name.value] += 1
                self.aliases += node.alias is not None
            elif isinstance(node, FragmentSpreadNode):
                self.spreads += 1
            elif isinstance(node, ListValueNode | ObjectValueNode):
                depth += 1
                self.value_depth = max(self.value_depth, depth)
                self.objects += isinstance(node, ObjectValueNode)
            for key in node.keys:
                inner = getattr(node, key, None)
                if isinstance(inner, Node):
                    pending.append((inner, depth))
                elif isinstance(inner, list | tuple):
                    pending += [(item, depth) for item in inner if isinstance(item, Node)]

    def _depth(self, selection_set: SelectionSetNode, depth: int) -> int:
        deepest = depth - 1
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                # Introspection has a depth rule of its own (MaxIntrospectionDepthRule), and tools need theirs.
                if selection.name.value in ("__schema", "__type"):
                    continue
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
        """Cost that can be taken now, rounded down; 0 when in debt."""
        return max(0, int(self._now()))

    @property
    def overspent(self) -> bool:
        """Whether nothing at all is left."""
        return self.capacity > 0 and self._now() < 1

    def take(self, cost: int) -> bool:
        """Whether there is enough; if so it is taken."""
        capacity = self.capacity
        if capacity and self._now() < min(cost, capacity):
            return False
        self._level -= cost
        return True

    def spend(self, cost: int) -> None:
        """Take what cannot be refused any more, and go into debt for it, by what a minute restores at most."""
        self._level = max(self._now() - cost, -self.capacity)

    def _now(self) -> float:
        now = time.monotonic()
        level = self._level = min(self.capacity, self._level + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        return level

    def give_back(self, cost: int) -> None:
        """What was taken and not spent."""
        self._level = min(self.capacity, self._level + cost)

    def seconds_until(self, cost: int) -> float:
        """Until `cost` can be taken."""
        missing = min(cost, self.capacity) - self._now()
        return max(0.0, missing / self.per_second) if self.capacity else 0.0


class SharedBucket(Bucket):
    """A bucket that every process of the service takes from."""

    __slots__ = ("_shared",)

    def __init__(self, level: Level, capacity: int) -> None:
        super().__init__(capacity)
        self._shared = level

    def take(self, cost: int) -> bool:
        """Whether there is enough for `cost`; if so it is taken, in one step for all processes."""
        return self._shared.change(cost, min(cost, self.capacity))[1]

    def spend(self, cost: int) -> None:
        """Take `cost` from all processes' level, and go into debt for it."""
        self._shared.change(cost)

    def give_back(self, cost: int) -> None:
        """Add `cost` that was taken and not spent to all processes' level."""
        self._shared.change(-cost)

    def _now(self) -> float:
        return self._shared.change(0)[0]


class Buckets:
    """One bucket a key. A key that has not asked for long has a full bucket, so the oldest can be forgotten.

    `shared`: where several processes answer, a key has one budget for all of them.
    """

    def __init__(self, per_minute: int, shared: Shared | None = None) -> None:
        self._per_minute = per_minute
        self._shared = shared if per_minute else None
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key_id: str) -> Bucket:
        """The bucket of one API key, made full when it is new. The key longest unused may be forgotten for it."""
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = self._new(key_id)
            while len(self._buckets) > _KEYS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        return bucket

    def _new(self, key_id: str) -> Bucket:
        if self._shared is None:
            return Bucket(self._per_minute)
        return SharedBucket(self._shared.level(key_id, self._per_minute), self._per_minute)
