"""The policy as values: what `document.parse` makes of a policy.toml, and what every decision reads.

All names are those of the document and, in upper case, of the GraphQL enums. Everything is frozen; mappings are
read-only views, so that a policy can be shared by every task of a process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

NO_STRINGS: frozenset[str] = frozenset()


class DataClass(StrEnum):
    """What kind of data a field holds. The last two are never stored."""

    OPERATIONAL = "operational"
    BILLING = "billing"
    PERSONAL = "personal"
    SECRET = "secret"  # noqa: S105 the name of a class, no secret
    CONTENT = "content"


class Action(StrEnum):
    """What admission does to a field."""

    KEEP = "keep"
    MASK = "mask"
    HASH = "hash"
    SEAL = "seal"
    DROP = "drop"


class Store(StrEnum):
    """A table whose partitions are dropped at the end of its window."""

    CALL = "call"
    CALL_ERROR = "call_error"
    USAGE_QUARTER = "usage_quarter"
    USAGE_DAY = "usage_day"


class View(StrEnum):
    """What a role gets of a field."""

    SEE = "see"
    MASKED = "masked"
    DENIED = "denied"


class Role(StrEnum):
    """Who asks; a property of the API key."""

    INGEST = "ingest"
    VIEWER = "viewer"
    PARTNER = "partner"
    SUPPORT = "support"
    AUDITOR = "auditor"
    COMPLIANCE = "compliance"
    ADMIN = "admin"


class ParameterType(StrEnum):
    """JSON type of a request parameter that may be kept."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    ENUM = "enum"


class PseudonymPeriod(StrEnum):
    """How long a user's pseudonym stays the same."""

    DAY = "day"
    MONTH = "month"


NO_VIEWS: Mapping[str, View] = MappingProxyType({})
NOT_PURGED: Mapping[Store, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Class, action and store of one GraphQL field."""

    data_class: DataClass
    action: Action
    store: Store


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """One path of the parameter allow-list, with its type and bound.

    `path` is dotted, `[]` stands for every element of a list (`tools[].type`). With `shape` only counts, roles and
    lengths are kept and the type is None. `minimum` and `maximum` bound numbers, `max_length` (characters) and the
    optional RE2 `pattern` bound text, `values` lists what an enum may be.
    """

    path: str
    shape: bool = False
    type: ParameterType | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tier:
    """A named set of windows, in days; `number` is what rows carry and never changes.

    `purged_until` is no part of the document: up to when each store has been purged here. A longer window does not
    bring back what is gone, so it does not reach further.
    """

    name: str
    number: int
    store_days: Mapping[Store, int]
    readable_days: Mapping[DataClass, int]
    purged_until: Mapping[Store, datetime] = field(default_factory=lambda: NOT_PURGED, compare=False)

    def readable(self, data_class: DataClass, store: Store) -> int:
        """Days for which a value of `data_class` in `store` can be read: never longer than its row lives."""
        kept = self.store_days[store]
        return min(kept, self.readable_days.get(data_class, kept))


@dataclass(frozen=True, slots=True)
class Window:
    """For how many days values of a class can be read in one store, for the accounts of one tier."""

    data_class: DataClass
    tier: str
    store: Store
    days: int


@dataclass(frozen=True, slots=True)
class RoleRule:
    """What one role may ask, and how it sees the classes; `fields` are the named exceptions."""

    role: Role
    ask: frozenset[str] = NO_STRINGS
    see: frozenset[DataClass] = frozenset()
    mask: frozenset[DataClass] = frozenset()
    fields: Mapping[str, View] = field(default_factory=lambda: NO_VIEWS)
    plain_user_filter: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A complete policy, made by `document.parse` or `document.load_preset` only: those check it."""

    name: str
    version: int
    description: str
    default_tier: str
    pseudonym_period: PseudonymPeriod
    fields: Mapping[str, FieldRule]
    parameters: Mapping[str, ParameterRule]
    tag_keys: frozenset[str]
    tag_dimensions: frozenset[str]
    national_ids: frozenset[str]
    tiers: Mapping[str, Tier]
    roles: Mapping[Role, RoleRule]
    _numbered: Mapping[int, Tier] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbered", {tier.number: tier for tier in self.tiers.values()})

    def __hash__(self) -> int:
        # Mappings do not hash; equal policies have equal names and versions, which is all that a hash promises.
        return hash((self.name, self.version, len(self.fields)))

    @property
    def summed_tags(self) -> frozenset[str]:
        """The tags that costs can be grouped by, where tags are kept at all: there are sums of them."""
        return self.tag_dimensions if self.action("Call.tags") is Action.KEEP else NO_STRINGS

    def action(self, field: str) -> Action:
        """What admission does to `field` (`Call.model`): drop, unless the policy says otherwise."""
        rule = self.fields.get(field)
        return Action.DROP if rule is None else rule.action

    def tier_number(self, number: int) -> Tier | None:
        """The tier that rows carry as `number`."""
        return self._numbered.get(number)

    def windows(self) -> list[Window]:
        """One entry for each class, tier and store that some kept field uses, in the order of the enums."""
        used = {(rule.data_class, rule.store) for rule in self.fields.values() if rule.action is not Action.DROP}
        return [
            Window(data_class, tier.name, store, tier.readable(data_class, store))
            for data_class in DataClass
            for tier in self.tiers.values()
            for store in Store
            if (data_class, store) in used
        ]
