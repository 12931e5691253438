"""Rules that a document as a whole must keep, beyond being well formed. `document.parse` calls `check` last."""

import re
from difflib import get_close_matches
from typing import Final

from policies.policy.fields import (
    ACTIONS,
    ADMITTED_PARTS,
    DATA_FIELDS,
    ERROR_RECORD,
    ORIGINS,
    SEALED,
    SHOWN_MASKED,
    STORES,
)
from policies.policy.model import Action, DataClass, FieldRule, Policy, RoleRule, Store, Tier, View
from policies.policy.roots import CEILINGS, PLAIN_USER_FILTER, ROOT_FIELDS, WITHOUT_CALLS
from policies.policy.toml_reader import TomlTable, words
from policies.policy.views import own_view, view
from policies.redaction.validators.national import NATIONAL

NEVER_STORED: Final = frozenset({DataClass.SECRET, DataClass.CONTENT})
TAG_KEYS_MAX: Final = 100
_TAG_KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_TIER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_KNOWN: Final = frozenset(DATA_FIELDS)


def check(policy: Policy, root: TomlTable) -> None:
    """Raise `PolicyDocumentError` for the first rule that the policy breaks; `root` gives the lines."""
    _check_names(policy, TomlTable({}, ("fields",), root.lines))
    for role, rule in policy.roles.items():
        _check_root_fields_known(TomlTable({}, ("roles", role), root.lines), rule)
        for field in rule.fields:
            _check_exception_known(TomlTable({}, ("roles", role, "fields"), root.lines), field)
    check_known(policy, root)


def check_known(policy: Policy, root: TomlTable) -> None:
    """`check`, but for names that are missing or not known, as in a policy that another version applied."""
    fields = TomlTable({}, ("fields",), root.lines)
    for name, rule in policy.fields.items():
        if name in _KNOWN:
            _check_field(policy, fields, name, rule)
    _check_error_record(policy, fields)
    _check_tags(policy, TomlTable({}, ("tags",), root.lines))
    _check_national_ids(policy, TomlTable({}, ("redaction",), root.lines))
    _check_tiers(policy, root)
    for tier in policy.tiers.values():
        _check_clear_columns(policy, fields, tier)
    for role, rule in policy.roles.items():
        table = TomlTable({}, ("roles", role), root.lines)
        _check_root_fields(table, rule)
        _check_classes(table, rule)
        for field in rule.fields:
            if field in policy.fields and field in _KNOWN:
                _check_exception(policy, TomlTable({}, ("roles", role, "fields"), root.lines), rule, field)


def _check_names(policy: Policy, table: TomlTable) -> None:
    for name in policy.fields:
        if name not in _KNOWN:
            table.fail("is not a field of call data", key=name, advice=_near(name))
    missing = [name for name in DATA_FIELDS if name not in policy.fields]
    if missing:
        action = Action.DROP if Action.DROP in ACTIONS[missing[0]] else Action.KEEP
        entry = f'"{missing[0]}" = {{ class = "...", action = "{action}", store = "{STORES[missing[0]]}" }}'
        table.fail(
            f"{words(missing)} have no entry" if len(missing) > 1 else f"`{missing[0]}` has no entry",
            advice=f"write {entry}",
        )


def _check_field(policy: Policy, table: TomlTable, name: str, rule: FieldRule) -> None:
    if rule.data_class in NEVER_STORED and rule.action is not Action.DROP:
        table.fail(f"class `{rule.data_class}` is never stored", key=name, advice='write action = "drop"')
    if rule.action not in ACTIONS[name]:
        allowed = words(sorted(ACTIONS[name]))
        table.fail(f"cannot have action `{rule.action}`", key=name, advice=f"write one of {allowed}")
    if rule.store is not STORES[name]:
        table.fail(f"is not in store `{rule.store}`", key=name, advice=f'write store = "{STORES[name]}"')
    keyed = rule.action is Action.HASH or (name in SEALED and rule.action is not Action.DROP)
    if keyed and rule.data_class is not DataClass.PERSONAL:
        table.fail("is under the keys of class `personal`", key=name, advice='write class = "personal"')
    if rule.action is Action.DROP and name in ORIGINS and name not in ADMITTED_PARTS | SEALED:
        _check_dropped_copy(policy, table, name)


def _check_dropped_copy(policy: Policy, table: TomlTable, name: str) -> None:
    # Admission drops what a report carries. A figure that is computed from kept fields would still be there.
    no_records = STORES[name] is Store.CALL_ERROR and policy.action(ERROR_RECORD[0]) is Action.DROP
    if not no_records and all(policy.action(origin) is not Action.DROP for origin in ORIGINS[name]):
        table.fail(f"is made from {words(ORIGINS[name])}", key=name, advice="drop that instead, or deny this to roles")


def _check_error_record(policy: Policy, table: TomlTable) -> None:
    dropped = [name for name in ERROR_RECORD if policy.action(name) is Action.DROP]
    if dropped and len(dropped) < len(ERROR_RECORD):
        table.fail(
            "an error record cannot be kept without it",
            key=dropped[0],
            advice=f"keep or drop all of {words(ERROR_RECORD)}",
        )


def _check_tags(policy: Policy, table: TomlTable) -> None:
    if len(policy.tag_keys) > TAG_KEYS_MAX:
        table.fail(f"lists more than {TAG_KEYS_MAX} tags", key="keys")
    for key in sorted(policy.tag_keys):
        if not _TAG_KEY.fullmatch(key):
            table.fail(f"`{key[:100]}` cannot be a tag", key="keys", advice="write 1 to 64 of A-Z a-z 0-9 _ . : -")
    lost = sorted(policy.tag_dimensions - policy.tag_keys)
    if lost:
        table.fail(f"`{lost[0][:100]}` is never stored", key="dimensions", advice="list it in `keys` too")


def _check_national_ids(policy: Policy, table: TomlTable) -> None:
    unknown = sorted(policy.national_ids - NATIONAL.keys())
    if unknown:
        near = get_close_matches(unknown[0], NATIONAL, n=1)
        advice = f"did you mean `{near[0]}`?" if near else f"known are {words(sorted(NATIONAL))}"
        table.fail(f"`{unknown[0][:100]}` is no national id", key="national_ids", advice=advice)


def _check_tiers(policy: Policy, root: TomlTable) -> None:
    if policy.default_tier not in policy.tiers:
        advice = f"name one of {words(policy.tiers)}" if policy.tiers else "write `[tiers.standard]`"
        root.fail(f"there is no tier `{policy.default_tier}`", key="default_tier", advice=advice)
    numbers: dict[int, str] = {}
    for name, tier in policy.tiers.items():
        table = TomlTable({}, ("tiers", name), root.lines)
        if not _TIER_NAME.fullmatch(name):
            table.fail("is no name for a tier", advice="write 1 to 64 of a-z 0-9 _ -")
        if tier.number in numbers:
            table.fail(f"tier `{numbers[tier.number]}` has the same number", key="number", advice="write another")
        numbers[tier.number] = name
        _check_windows(table, tier)


def _check_windows(table: TomlTable, tier: Tier) -> None:
    days = tier.store_days
    missing = [store for store in Store if store not in days]
    if missing:
        table.fail(f"store `{missing[0]}` has no window", key="store_days", advice=f"write {missing[0]} = DAYS")
    if days[Store.USAGE_QUARTER] != days[Store.CALL]:
        table.fail(
            "`usage_quarter` must be kept as long as `call`",
            key="store_days",
            advice=f"write usage_quarter = {days[Store.CALL]}",
        )
    if days[Store.CALL_ERROR] > days[Store.CALL]:
        table.fail("an error cannot outlive its call", key="store_days", advice="shorten `call_error`")
    if days[Store.USAGE_DAY] < days[Store.CALL]:
        table.fail("sums would be gone before their calls", key="store_days", advice="lengthen `usage_day`")
    if DataClass.PERSONAL not in tier.readable_days:
        table.fail("class `personal` has no window", key="readable_days", advice="write personal = DAYS")
    for data_class, readable in tier.readable_days.items():
        if data_class in NEVER_STORED:
            table.fail(f"class `{data_class}` is never stored", key="readable_days", advice="leave it out")
        if readable > max(days.values()):
            table.fail(
                f"`{data_class}` is readable for longer than anything is kept",
                key="readable_days",
                advice=f"write at most {max(days.values())}",
            )


def _check_clear_columns(policy: Policy, table: TomlTable, tier: Tier) -> None:
    for name, rule in policy.fields.items():
        if rule.action not in (Action.KEEP, Action.MASK) or name in SEALED:
            continue
        kept, readable = tier.store_days[rule.store], tier.readable(rule.data_class, rule.store)
        if readable < kept:
            table.fail(
                f"would stay in clear for {kept} days, and class `{rule.data_class}` may be read for {readable} "
                f"(tier `{tier.name}`)",
                key=name,
                advice=f"write action = {_ending(name)}, give it another class, or make the windows equal",
            )


def _ending(name: str) -> str:
    return " or ".join(f'"{action}"' for action in (Action.HASH, Action.SEAL, Action.DROP) if action in ACTIONS[name])


def _check_root_fields_known(table: TomlTable, rule: RoleRule) -> None:
    for root_field in sorted(rule.ask - ROOT_FIELDS):
        near = get_close_matches(root_field, ROOT_FIELDS, n=1)
        advice = f"did you mean `{near[0]}`?" if near else "name each root field of the schema"
        table.fail(f"`{root_field[:100]}` is no root field", key="ask", advice=advice)


def _check_root_fields(table: TomlTable, rule: RoleRule) -> None:
    for root_field in sorted(rule.ask & ROOT_FIELDS):
        if root_field not in CEILINGS[rule.role]:
            who = words([role for role in CEILINGS if root_field in CEILINGS[role]])
            table.fail(f"role `{rule.role}` may never ask `{root_field}`", key="ask", advice=f"that is for {who}")
    if rule.plain_user_filter and rule.role not in PLAIN_USER_FILTER:
        table.fail("may never filter by a user's plain id", key="plain_user_filter", advice="leave it out")


def _check_classes(table: TomlTable, rule: RoleRule) -> None:
    for key, classes in (("see", rule.see), ("mask", rule.mask)):
        never = sorted(classes & NEVER_STORED)
        if never:
            table.fail(f"class `{never[0]}` is never stored", key=key, advice="leave it out")
        if classes and rule.role in WITHOUT_CALLS:
            table.fail("is never shown call data", key=key, advice="leave it out, or make a key of another role")
    if DataClass.PERSONAL in rule.see:
        advice = f'move it to `mask` and name fields: [roles.{rule.role}.fields] "Call.user" = "see"'
        table.fail("would show every personal field that is ever added", key="see", advice=advice)
    both = sorted(rule.see & rule.mask)
    if both:
        table.fail(f"class `{both[0]}` is both seen and masked", key="mask", advice="leave one of the two")


def _check_exception_known(table: TomlTable, field: str) -> None:
    if "*" in field:
        table.fail("is a pattern", key=field, advice="name each field: a pattern would show what is added later")
    if field not in _KNOWN:
        table.fail("is not a field of call data", key=field, advice=_near(field))


def _check_exception(policy: Policy, table: TomlTable, rule: RoleRule, field: str) -> None:
    if rule.role in WITHOUT_CALLS:
        table.fail("is never shown call data", key=field, advice="leave it out")
    if policy.fields[field].data_class in NEVER_STORED and rule.fields[field] is not View.DENIED:
        table.fail("is never stored", key=field, advice="leave it out")
    declared = own_view(policy, rule, field)
    if field in SEALED and declared is View.SEE:
        table.fail("is sealed", key=field, advice='write "masked"; revealError opens it, into the ledger')
    if declared is View.MASKED and field not in SHOWN_MASKED:
        table.fail("has no masked form", key=field, advice='write "see" or "denied"')
    if view(policy, rule.role, field) is not declared and declared is not View.DENIED:
        origins = words(ORIGINS.get(field, ()))
        table.fail(f'"{declared}" is never reached', key=field, advice=f"the role must get as much of {origins}")


def _near(name: str) -> str:
    near = get_close_matches(name, DATA_FIELDS, n=1)
    return f"did you mean `{near[0]}`?" if near else "write `Type.field` as in schema.graphql"
