"""Laws of documents and views."""

from dataclasses import replace
from types import MappingProxyType

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies import (
    DATA_FIELDS,
    PRESETS,
    ROOT_FIELDS,
    DataClass,
    Policy,
    PolicyDocumentError,
    Role,
    RoleRule,
    Store,
    Tier,
    View,
    canonical,
    digest,
    filterable,
    load_preset,
    may_ask,
    may_filter_by_plain_user,
    parse,
    view,
    view_table,
)

DEFAULT = load_preset("default")
RANK = {View.DENIED: 0, View.MASKED: 1, View.SEE: 2}
READERS = [Role.VIEWER, Role.PARTNER, Role.SUPPORT, Role.ADMIN]
CLASSES = [DataClass.OPERATIONAL, DataClass.BILLING, DataClass.PERSONAL]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)


@st.composite
def tiers(draw: st.DrawFn) -> dict[str, Tier]:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True), min_size=1, max_size=3, unique=True))
    numbers = draw(st.lists(st.integers(1, 99), min_size=len(names), max_size=len(names), unique=True))
    made: dict[str, Tier] = {}
    for name, number in zip(names, numbers, strict=True):
        call = draw(st.integers(1, 2000))
        days = {
            Store.CALL: call,
            Store.CALL_ERROR: draw(st.integers(1, call)),
            Store.USAGE_QUARTER: call,
            Store.USAGE_DAY: draw(st.integers(call, 36525)),
        }
        readable = {DataClass.PERSONAL: draw(st.integers(1, days[Store.USAGE_DAY]))}
        made[name] = Tier(name, number, MappingProxyType(days), MappingProxyType(readable))
    return made


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Lawful policies: a preset with other names, tiers, tags and parameters."""
    preset = load_preset(draw(st.sampled_from(PRESETS)))
    own_tiers = draw(tiers())
    tags = draw(st.frozensets(st.from_regex(r"[A-Za-z0-9_.:-]{1,12}", fullmatch=True), max_size=6))
    paths = draw(st.frozensets(st.sampled_from(sorted(preset.parameters)))) if preset.parameters else frozenset()
    return replace(
        preset,
        name=draw(NAMES),
        description=draw(NAMES),
        version=draw(st.integers(1, 2**31 - 1)),
        default_tier=draw(st.sampled_from(sorted(own_tiers))),
        tiers=MappingProxyType(own_tiers),
        tag_keys=tags,
        national_ids=draw(st.frozensets(st.sampled_from(["gb-nhs", "pl-pesel", "us-itin"]))),
        tag_dimensions=draw(st.frozensets(st.sampled_from(sorted(tags)))) if tags else frozenset(),
        parameters=MappingProxyType({path: preset.parameters[path] for path in paths}),
    )


@settings(deadline=None, max_examples=40)
@given(policies())
def test_canonical_text_parses_to_the_same_policy(policy: Policy) -> None:
    """parse . canonical is the identity, canonical text is a fixed point, and the digest follows."""
    again = parse(canonical(policy).decode())

    assert again == policy
    assert canonical(again) == canonical(policy)
    assert digest(again) == digest(policy)


@given(st.integers(0, 14_000), st.integers(1, 60), st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_damaged_document_parses_or_is_refused(at: int, length: int, put: str) -> None:
    """Whatever is done to a document, the answer is a lawful policy or a PolicyDocumentError."""
    text = canonical(DEFAULT).decode()

    try:
        policy = parse(text[:at] + put + text[at + length :])
    except PolicyDocumentError as error:
        assert str(error)
    else:
        assert parse(canonical(policy).decode()) == policy


@st.composite
def rules(draw: st.DrawFn) -> RoleRule:
    """Any rule at all, lawful or not: views must hold even for what the document would refuse."""
    exceptions = draw(st.dictionaries(st.sampled_from(DATA_FIELDS), st.sampled_from(View), max_size=8))
    return RoleRule(
        role=draw(st.sampled_from(READERS)),
        ask=draw(st.frozensets(st.sampled_from(sorted(ROOT_FIELDS)), max_size=8)),
        see=draw(st.frozensets(st.sampled_from(DataClass))),
        mask=draw(st.frozensets(st.sampled_from(DataClass))),
        fields=MappingProxyType(exceptions),
        plain_user_filter=draw(st.booleans()),
    )


def under(rule: RoleRule) -> Policy:
    return replace(DEFAULT, roles=MappingProxyType(dict(DEFAULT.roles) | {rule.role: rule}))


def shows_at_most(less: RoleRule, more: RoleRule) -> bool:
    small, large, role = under(less), under(more), less.role
    return (
        all(RANK[seen] <= RANK[view_table(large, role)[field]] for field, seen in view_table(small, role).items())
        and all(filterable(large, role, field) or not filterable(small, role, field) for field in DATA_FIELDS)
        and all(may_ask(large, role, root) or not may_ask(small, role, root) for root in ROOT_FIELDS)
        and (may_filter_by_plain_user(large, role) or not may_filter_by_plain_user(small, role))
    )


@settings(deadline=None)
@given(rules(), st.data())
def test_taking_a_grant_away_never_shows_more(rule: RoleRule, data: st.DataObject) -> None:
    """Deny is monotone: less in `ask`, less in `see`, a class moved from seen to masked or from masked to nothing."""
    asks = data.draw(st.frozensets(st.sampled_from(sorted(rule.ask)))) if rule.ask else rule.ask
    see = data.draw(st.frozensets(st.sampled_from(sorted(rule.see)))) if rule.see else rule.see
    # What was masked and is not in `see` may lose its mask too. Unmasking a class that is seen is no taking away.
    mask = frozenset(data_class for data_class in rule.mask if data_class in rule.see or data.draw(st.booleans()))
    less = replace(rule, ask=asks, see=see, mask=mask | (rule.see - see if data.draw(st.booleans()) else frozenset()))

    assert shows_at_most(less, rule)


@settings(deadline=None)
@given(rules(), st.sampled_from(DATA_FIELDS), st.sampled_from([View.MASKED, View.DENIED]))
def test_lowering_a_field_never_shows_more(rule: RoleRule, field: str, lowered: View) -> None:
    """An exception that lowers one field lowers that field or nothing, and raises none."""
    assume(RANK[lowered] <= RANK[view(under(rule), rule.role, field)])

    less = replace(rule, fields=MappingProxyType(dict(rule.fields) | {field: lowered}))

    assert RANK[view(under(less), rule.role, field)] <= RANK[lowered]
    assert shows_at_most(less, rule)


@settings(deadline=None)
@given(rules())
def test_nobody_sees_what_is_sealed_or_all_that_is_personal(rule: RoleRule) -> None:
    """Whatever a role's rule says, sealed fields are at most masked, and only a named exception shows a person."""
    policy = under(rule)

    assert all(
        view(policy, rule.role, field) is not View.SEE for field in ("CallError.message", "ErrorParameter.value")
    )
    if "Call.user" not in rule.fields:
        assert view(policy, rule.role, "Call.user") is not View.SEE


@settings(deadline=None)
@given(rules(), st.sampled_from([Role.INGEST, Role.AUDITOR, Role.COMPLIANCE]))
def test_roles_without_calls_stay_without(rule: RoleRule, role: Role) -> None:
    """No rule, lawful or not, shows call data to ingest, auditor or compliance."""
    policy = under(replace(rule, role=role))

    assert set(view_table(policy, role).values()) == {View.DENIED}
    assert not may_filter_by_plain_user(policy, role)
