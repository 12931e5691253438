"""policy.toml <-> Policy. Whatever is not understood is refused, saying where it stands and what to write instead."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, TypeVar

from policies.errors import UnknownPresetError
from policies.policy.checks import check, check_known
from policies.policy.fields import DATA_FIELDS, STORES
from policies.policy.model import (
    Action,
    DataClass,
    FieldRule,
    ParameterRule,
    Policy,
    PseudonymPeriod,
    Role,
    RoleRule,
    Store,
    Tier,
    View,
)
from policies.policy.parameter_rules import parse_parameters
from policies.policy.roots import ROOT_FIELDS
from policies.policy.toml_reader import TomlTable, words

PRESETS: Final = ("default", "strict", "billing-only")
DAYS_MAX: Final = 36525
"""A hundred years: a longer window is a typing error."""
NUMBER_MAX: Final = 99
VERSION_MAX: Final = 2**31 - 1

_Key = TypeVar("_Key", bound=StrEnum)
_Item = TypeVar("_Item")
_Value = TypeVar("_Value")

_APPLIED_KEPT: Final = 16
"""Policies that were applied are few, and read again at each change, each look at the ledger and each reload."""


class _DefaultAction(StrEnum):
    DROP = "drop"


def parse(toml_text: str) -> Policy:
    """The policy that a document says. `PolicyDocumentError` when anything in it is unknown, missing or unlawful."""
    root = TomlTable.of_text(toml_text)
    policy = _policy(root)
    check(policy, root)
    return policy


@lru_cache(maxsize=_APPLIED_KEPT)
def parse_applied(toml_text: str) -> Policy:
    """The policy that a document said to the version of this program that applied it. `PolicyDocumentError` as `parse`.

    A field that came later has no entry: it is dropped and shown to no role, which is the default action, until a
    policy names it. Names that are gone mean nothing any more.
    """
    root = TomlTable.of_text(toml_text)
    policy = _policy(root)
    check_known(policy, root)
    return policy


def unnamed(policy: Policy) -> list[str]:
    """The fields of this version that the policy has no entry for, in the order of the schema."""
    return [name for name in DATA_FIELDS if name not in policy.fields]


def completed(policy: Policy, preset: Policy) -> Policy:
    """The policy with an entry for each field of this version: those that it lacks as the preset has them."""
    fields = {name: policy.fields.get(name, preset.fields[name]) for name in DATA_FIELDS}
    roles = {
        role: replace(rule, ask=rule.ask & ROOT_FIELDS, fields=_known(rule)) for role, rule in policy.roles.items()
    }
    return replace(policy, fields=_frozen(fields), roles=_frozen(roles))


def _known(rule: RoleRule) -> Mapping[str, View]:
    return _frozen({name: view for name, view in rule.fields.items() if name in STORES})


def _policy(root: TomlTable) -> Policy:
    # It can only be this; writing it down keeps the reader from wondering.
    root.choice("default_action", _DefaultAction)
    tags = root.table("tags", advice="write `[tags]` with `keys = []` to keep none")
    policy = Policy(
        name=root.text("name", length_max=100),
        version=root.integer("version", low=1, high=VERSION_MAX),
        description=root.text("description"),
        default_tier=root.text("default_tier", advice="name one of the tiers", length_max=64),
        pseudonym_period=root.choice("pseudonym_period", PseudonymPeriod),
        fields=_frozen(_fields(root.table("fields"))),
        parameters=_frozen(parse_parameters(root.table("parameters", advice="write `[parameters]` to keep none"))),
        tag_keys=frozenset(tags.texts("keys")),
        tag_dimensions=frozenset(tags.texts("dimensions")),
        national_ids=_national_ids(root),
        tiers=_frozen(_tiers(root.table("tiers", advice="write `[tiers.standard]`"))),
        roles=_frozen(_roles(root.table("roles", advice="write `[roles.admin]`"))),
    )
    tags.done()
    root.done()
    return policy


@lru_cache(maxsize=len(PRESETS))
def load_preset(name: str) -> Policy:
    """A shipped policy by name. `UnknownPresetError` when there is none of that name."""
    return parse(preset_text(name))


@lru_cache(maxsize=len(PRESETS))
def preset_text(name: str) -> str:
    """The document of a shipped policy, comments and all: where to start one's own."""
    if name not in PRESETS:
        raise UnknownPresetError(f"there is no preset `{name[:100]}`; there are {words(PRESETS)}")
    return files("policies").joinpath("presets", f"{name}.toml").read_text("utf-8")


def digest(policy: Policy) -> str:
    """`sha256:` and 64 hex digits of the canonical bytes."""
    return "sha256:" + hashlib.sha256(canonical(policy)).hexdigest()


def canonical(policy: Policy) -> bytes:
    """The one text of a policy, UTF-8: parses to the same policy, and equal policies have equal bytes."""
    lines = [
        f"name = {_toml(policy.name)}",
        f"version = {policy.version}",
        f"description = {_toml(policy.description)}",
        'default_action = "drop"',
        f"default_tier = {_toml(policy.default_tier)}",
        f"pseudonym_period = {_toml(policy.pseudonym_period)}",
        "",
        "[fields]",
        *(f"{_toml(name)} = {_field_toml(rule)}" for name, rule in sorted(policy.fields.items())),
        "",
        "[parameters]",
        *(f"{_toml(path)} = {_parameter_toml(rule)}" for path, rule in sorted(policy.parameters.items())),
        "",
        "[tags]",
        f"keys = {_list_toml(policy.tag_keys)}",
        f"dimensions = {_list_toml(policy.tag_dimensions)}",
        "",
        "[redaction]",
        f"national_ids = {_list_toml(policy.national_ids)}",
    ]
    for name, tier in sorted(policy.tiers.items()):
        lines += ["", f"[tiers.{_toml(name)}]", f"number = {tier.number}"]
        lines += [f"store_days = {_table_toml(tier.store_days)}", f"readable_days = {_table_toml(tier.readable_days)}"]
    for role, rule in sorted(policy.roles.items()):
        lines += ["", f"[roles.{role}]", f"ask = {_list_toml(rule.ask)}"]
        lines += [f"see = {_list_toml(rule.see)}", f"mask = {_list_toml(rule.mask)}"]
        lines += [f"plain_user_filter = {_toml(rule.plain_user_filter)}", f"[roles.{role}.fields]"]
        lines += [f"{_toml(field)} = {_toml(view)}" for field, view in sorted(rule.fields.items())]
    return ("\n".join(lines) + "\n").encode()


def _national_ids(root: TomlTable) -> frozenset[str]:
    if not root.has("redaction"):
        return frozenset()
    table = root.table("redaction")
    named = frozenset(table.texts("national_ids"))
    table.done()
    return named


def _fields(table: TomlTable) -> dict[str, FieldRule]:
    rules: dict[str, FieldRule] = {}
    for name in table.remaining():
        entry = table.table(name, advice='write { class = "...", action = "...", store = "..." }')
        rules[name] = FieldRule(
            entry.choice("class", DataClass), entry.choice("action", Action), entry.choice("store", Store)
        )
        entry.done()
    return rules


def _tiers(table: TomlTable) -> dict[str, Tier]:
    tiers: dict[str, Tier] = {}
    for name in table.remaining():
        entry = table.table(name)
        number = entry.integer("number", low=1, high=NUMBER_MAX)
        store_days = _days(entry.table("store_days"), Store)
        readable_days = _days(entry.table("readable_days", advice="write at least { personal = 30 }"), DataClass)
        tiers[name] = Tier(name, number, _frozen(store_days), _frozen(readable_days))
        entry.done()
    return tiers


def _days(table: TomlTable, keys: type[_Key]) -> dict[_Key, int]:
    days = {key: table.integer(key, low=1, high=DAYS_MAX) for key in keys if table.has(key)}
    table.done()
    return days


def _roles(table: TomlTable) -> dict[Role, RoleRule]:
    roles = {role: _role(role, table.table(role)) for role in Role if table.has(role)}
    table.done()
    return roles


def _role(role: Role, table: TomlTable) -> RoleRule:
    fields: dict[str, View] = {}
    if table.has("fields"):
        exceptions = table.table("fields")
        fields = {name: exceptions.choice(name, View) for name in exceptions.remaining()}
    rule = RoleRule(
        role=role,
        ask=frozenset(table.texts("ask")),
        see=table.choices("see", DataClass),
        mask=table.choices("mask", DataClass),
        fields=_frozen(fields),
        plain_user_filter=table.flag("plain_user_filter", default=False),
    )
    table.done()
    return rule


def _frozen(values: Mapping[_Item, _Value]) -> Mapping[_Item, _Value]:
    return MappingProxyType(dict(values))


def _field_toml(rule: FieldRule) -> str:
    return f"{{ class = {_toml(rule.data_class)}, action = {_toml(rule.action)}, store = {_toml(rule.store)} }}"


def _parameter_toml(rule: ParameterRule) -> str:
    if rule.shape:
        return '{ action = "shape" }'
    parts = [f"type = {_toml(str(rule.type))}"]
    bounds = {"min": rule.minimum, "max": rule.maximum, "max_length": rule.max_length, "pattern": rule.pattern}
    parts += [f"{key} = {_toml(value)}" for key, value in bounds.items() if value is not None]
    if rule.values:
        parts.append(f"values = {_list_toml(rule.values)}")
    return f"{{ {', '.join(parts)} }}"


def _table_toml(values: Mapping[_Key, int]) -> str:
    return "{ " + ", ".join(f"{key} = {days}" for key, days in sorted(values.items())) + " }"


def _list_toml(values: "frozenset[str] | frozenset[DataClass] | tuple[str, ...]") -> str:
    return "[" + ", ".join(_toml(str(value)) for value in sorted(values)) + "]"


def _toml(value: str | float | bool) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
