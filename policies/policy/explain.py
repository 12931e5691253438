"""What a policy does, in words and as data: behind `policy explain` and `policy diff`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from policies.errors import PolicyError
from policies.policy.fields import DATA_FIELDS, ORIGINS, REMOVED, SEALED, STORES
from policies.policy.model import Action, DataClass, FieldRule, Policy, PseudonymPeriod, Role, Store, Tier, View
from policies.policy.views import filterable, view, view_table

_DOES: Mapping[Action, str] = {
    Action.KEEP: "kept in clear",
    Action.MASK: "kept masked; what is taken out is gone for good",
    Action.HASH: "kept as a pseudonym under a key that is destroyed; never the plain value",
    Action.SEAL: "kept sealed under a key that is destroyed; shown masked, opened by revealError",
    Action.DROP: "not kept",
}


class UnknownFieldError(PolicyError):
    """there is no such field of call data"""


class Effect(StrEnum):
    """What a change of policy does to data or to who sees it."""

    PURGES = "purges"
    KEEPS = "keeps"
    SHOWS = "shows"
    HIDES = "hides"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TierWindow:
    """For one tier: after how many days the row is dropped, and for how many the value can be read."""

    tier: str
    dropped_after_days: int
    readable_days: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a policy says of one field."""

    field: str
    data_class: DataClass
    action: Action
    store: Store
    windows: tuple[TierWindow, ...]
    views: Mapping[Role, View]
    filterable_by: tuple[Role, ...]
    origins: tuple[str, ...]

    def lines(self) -> list[str]:
        """The policy for people to read, one fact per line."""
        lines = [
            self.field,
            f"  class   {self.data_class}",
            f"  action  {self.action}: {_DOES[self.action]}",
            f"  store   {self.store}",
        ]
        lines += [f"  window  {line}" for line in self._window_lines()]
        older = self._older()
        if older is not None:
            lines.append(f"  before  {older}")
        for role, seen in self.views.items():
            note = ", may be filtered by" if role in self.filterable_by else ""
            lines.append(f"  view    {role}: {seen}{note}")
        if self.origins:
            lines.append(f"  seen at most as {', '.join(self.origins)}")
        return lines

    def _older(self) -> str | None:
        """What becomes of values from before, when an earlier policy kept them."""
        if self.action not in (Action.DROP, Action.MASK) or self.field in SEALED:
            return None
        shown = "shown to nobody" if self.action is Action.DROP else "shown masked"
        if self.field not in REMOVED:
            return f"older values are {shown} from the moment the policy is applied, and end with their row"
        return (
            f"older values are {shown} from the moment the policy is applied, and removed CALLEDGER_PURGE_DELAY hours "
            "(72) later, within the hour"
        )

    def _window_lines(self) -> Iterator[str]:
        for window in self.windows:
            dropped = f"{window.tier}: row dropped after {window.dropped_after_days} days"
            if self.action is Action.DROP:
                yield f"{window.tier}: nothing is kept"
            else:
                yield f"{dropped}; readable for {window.readable_days}"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two policies. `before` and `after` are words of the document, empty for "not there"."""

    effect: Effect
    what: str
    before: str
    after: str
    meaning: str

    def line(self) -> str:
        """For people: `purges   tiers.standard call_error: 30 -> 14 days (...)`."""
        meaning = f" ({self.meaning})" if self.meaning else ""
        return f"{self.effect:8} {self.what}: {self.before or 'nothing'} -> {self.after or 'nothing'}{meaning}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one policy to another, in the order of the document."""

    changes: tuple[Change, ...]

    @property
    def purges(self) -> bool:
        """Whether stored data would be destroyed because of the change: that waits, or wants its plan named."""
        return any(change.effect is Effect.PURGES for change in self.changes)

    @property
    def keeps_more(self) -> bool:
        """Whether anything is kept that was not, or longer: that wants a second admin."""
        return any(change.effect is Effect.KEEPS for change in self.changes)


def explain(policy: Policy, field: str) -> Explanation:
    """All that `policy` says of `field` (`Call.user`). `UnknownFieldError`, naming the nearest, when there is none."""
    rule = policy.fields.get(field)
    if rule is None and field in STORES:
        # It came after the policy was applied, so nobody has said yet what it holds.
        rule = FieldRule(DataClass.PERSONAL, Action.DROP, STORES[field])
    if rule is None:
        near = get_close_matches(field, DATA_FIELDS, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else "; write `Type.field` as in schema.graphql"
        raise UnknownFieldError(f"there is no field `{field[:100]}` of call data{hint}")
    # Hashed and sealed values end by their key, all others with their row.
    keyed = rule.action is Action.HASH or field in SEALED
    windows = tuple(
        TierWindow(
            tier.name,
            tier.store_days[rule.store],
            tier.readable(rule.data_class, rule.store) if keyed else tier.store_days[rule.store],
        )
        for tier in policy.tiers.values()
    )
    views = {role: view(policy, role, field) for role in Role}
    able = tuple(role for role in Role if filterable(policy, role, field))
    origins = ORIGINS.get(field, ())
    return Explanation(field, rule.data_class, rule.action, rule.store, windows, views, able, origins)


def diff(old: Policy, new: Policy) -> Difference:
    """The changes from `old` to `new`, each with its effect."""
    return Difference(
        (
            *_general(old, new),
            *_fields(old, new),
            *_lists(old, new),
            *_tiers(old, new),
            *(change for role in Role for change in _role(old, new, role)),
        )
    )


def _general(old: Policy, new: Policy) -> Iterator[Change]:
    pairs = {
        "name": (old.name, new.name),
        "version": (str(old.version), str(new.version)),
        "description": (old.description, new.description),
        "default_tier": (old.default_tier, new.default_tier),
    }
    for what, (before, after) in pairs.items():
        if before != after:
            yield Change(Effect.OTHER, what, before, after, "")
    if old.pseudonym_period is not new.pseudonym_period:
        # A longer period links more calls of one user: more is known, as if more were kept.
        effect = Effect.KEEPS if new.pseudonym_period is PseudonymPeriod.MONTH else Effect.OTHER
        meaning = "how long the calls of one user can be linked"
        yield Change(effect, "pseudonym_period", old.pseudonym_period, new.pseudonym_period, meaning)


def _fields(old: Policy, new: Policy) -> Iterator[Change]:
    for name in DATA_FIELDS:
        before, after = old.action(name), new.action(name)
        if before is not after:
            yield Change(_action_effect(before, after), name, before, after, _DOES[after] + " from now on")
        was, now = old.fields.get(name), new.fields.get(name)
        if was is not None and now is not None and was.data_class is not now.data_class:
            yield Change(Effect.OTHER, f"{name} class", was.data_class, now.data_class, "")


_RANK: Mapping[Action, int] = {Action.DROP: 0, Action.MASK: 1, Action.HASH: 2, Action.SEAL: 2, Action.KEEP: 3}


def _action_effect(before: Action, after: Action) -> Effect:
    # What is stored already lives to the end of its window: a weaker action destroys nothing.
    return Effect.KEEPS if _RANK[after] > _RANK[before] else Effect.OTHER


def _lists(old: Policy, new: Policy) -> Iterator[Change]:
    for path in sorted(old.parameters.keys() | new.parameters.keys()):
        was, now = old.parameters.get(path), new.parameters.get(path)
        if was != now:
            before, after = ("" if rule is None else str(rule.type or "shape") for rule in (was, now))
            effect = Effect.OTHER if now is None else Effect.KEEPS
            meaning = "its bounds changed" if before == after else ""
            yield Change(effect, f"parameter {path}", before, after, meaning)
    for key in sorted(old.tag_keys ^ new.tag_keys):
        added = key in new.tag_keys
        yield Change(Effect.KEEPS if added else Effect.OTHER, f"tag {key}", *_there(added), "")
    for key in sorted(old.tag_dimensions ^ new.tag_dimensions):
        yield Change(Effect.OTHER, f"tag {key} as a dimension", *_there(key in new.tag_dimensions), "")
    for name in sorted(old.national_ids ^ new.national_ids):
        added = name in new.national_ids
        # What is no longer looked for stays in the text.
        yield Change(Effect.OTHER if added else Effect.KEEPS, f"redaction of {name}", *_there(added), "")


def _tiers(old: Policy, new: Policy) -> Iterator[Change]:
    for name in sorted(old.tiers.keys() | new.tiers.keys()):
        was, now = old.tiers.get(name), new.tiers.get(name)
        if was is None or now is None:
            yield _tier_change(name, old, now)
            continue
        if was.number != now.number:
            meaning = "rows carry the number: they would belong to another tier"
            yield Change(Effect.PURGES, f"tier {name} number", str(was.number), str(now.number), meaning)
        yield from _windows(name, was, now)

    if old.default_tier != new.default_tier:
        # Accounts without a tier of their own move.
        yield from _windows("by default", old.tiers[old.default_tier], new.tiers[new.default_tier])


def _tier_change(name: str, old: Policy, now: Tier | None) -> Change:
    if now is None:
        return Change(Effect.PURGES, f"tier {name}", *_there(False), "its accounts need another tier first")
    if all(_outlasts(now, tier) for tier in old.tiers.values()):
        return Change(Effect.KEEPS, f"tier {name}", *_there(True), "keeps longer than any tier did")
    return Change(Effect.OTHER, f"tier {name}", *_there(True), "")


def _outlasts(new: Tier, old: Tier) -> bool:
    pairs = [(new.store_days[store], old.store_days[store]) for store in Store]
    pairs += [(new.readable(one, store), old.readable(one, store)) for one in DataClass for store in Store]
    return any(longer > shorter for longer, shorter in pairs)


def _windows(name: str, was: Tier, now: Tier) -> Iterator[Change]:
    for store in Store:
        before, after = was.store_days[store], now.store_days[store]
        if before != after:
            yield _window(f"tier {name} {store}", before, after, "rows older than that are purged")
    for data_class in DataClass:
        before, after = was.readable_days.get(data_class), now.readable_days.get(data_class)
        if before != after:
            longest = max(was.store_days[Store.CALL], now.store_days[Store.CALL])
            what = f"tier {name} readable {data_class}"
            yield _window(what, before or longest, after or longest, "keys older than that are destroyed")


def _window(what: str, before: int, after: int, shortened: str) -> Change:
    shorter = after < before
    meaning = shortened if shorter else "kept longer from now on; what is gone does not come back"
    return Change(Effect.PURGES if shorter else Effect.KEEPS, what, f"{before} days", f"{after} days", meaning)


def _role(old: Policy, new: Policy, role: Role) -> Iterator[Change]:
    asks = [policy.roles[role].ask if role in policy.roles else frozenset[str]() for policy in (old, new)]
    for root in sorted(asks[0] ^ asks[1]):
        gained = root in asks[1]
        yield Change(Effect.SHOWS if gained else Effect.HIDES, f"role {role} ask {root}", *_there(gained), "")
    before, after = view_table(old, role), view_table(new, role)
    order = list(View)
    for name in DATA_FIELDS:
        if before[name] is not after[name]:
            more = order.index(after[name]) < order.index(before[name])
            effect = Effect.SHOWS if more else Effect.HIDES
            yield Change(effect, f"role {role} view of {name}", before[name], after[name], "")
    plain = [role in policy.roles and policy.roles[role].plain_user_filter for policy in (old, new)]
    if plain[0] != plain[1]:
        effect = Effect.SHOWS if plain[1] else Effect.HIDES
        yield Change(effect, f"role {role} filter by plain user id", *_there(plain[1]), "")


def _there(added: bool) -> tuple[str, str]:
    return ("", "there") if added else ("there", "")
