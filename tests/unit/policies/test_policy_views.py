"""Who sees what: the table of roles and fields."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from policies import (
    DATA_FIELDS,
    ROOT_FIELDS,
    STRUCTURAL_TYPES,
    Role,
    SchemaCoverageError,
    View,
    check_schema,
    filterable,
    load_preset,
    masked_text,
    may_ask,
    may_filter_by_plain_user,
    parse,
    preset_text,
    view,
    view_table,
)
from policies.policy.fields import ORIGINS, SEALED
from policies.policy.roots import CEILINGS
from policies.policy.views import hidden_behind, may_be_notified
from service.delivery.recipient import Recipient
from service.query.model.scope import Scope
from service.webhooks.events import WebhookEvent

POLICY = load_preset("default")
READERS = (Role.VIEWER, Role.PARTNER, Role.SUPPORT, Role.ADMIN)
BLIND = (Role.INGEST, Role.AUDITOR, Role.COMPLIANCE)


@pytest.mark.parametrize("role", BLIND)
def test_some_roles_are_shown_no_call(role: Role) -> None:
    """Ingest, auditor and compliance are denied every data field and every root field that leads to one."""
    assert set(view_table(POLICY, role).values()) == {View.DENIED}
    assert not any(
        may_ask(POLICY, role, root)
        for root in ("calls", "errors", "errorGroups", "costs", "call", "facets", "node", "callRecorded", "revealError")
    )


def test_who_is_refused_a_root_field_for_what_it_shows_is_not_told_of_it_either() -> None:
    """Comparisons show models and amounts: a role to which one of them is hidden is not told of comparisons."""
    rule = POLICY.roles[Role.VIEWER]
    fields = {**rule.fields, "Amount.amount": View.DENIED}
    blind = replace(POLICY, roles={**POLICY.roles, Role.VIEWER: replace(rule, fields=fields)})

    assert may_be_notified(POLICY, Role.VIEWER, "reconciliations")
    assert may_ask(blind, Role.VIEWER, "reconciliations")
    assert hidden_behind(blind, Role.VIEWER, "reconciliations") == "Amount.amount"
    assert not may_be_notified(blind, Role.VIEWER, "reconciliations")
    assert may_be_notified(blind, Role.VIEWER, "budgets")
    context: Any = SimpleNamespace(scope=Scope("k", Role.VIEWER, None, blind, view_table(blind, Role.VIEWER)))
    webhook: Any = SimpleNamespace(events=["reconciliation.finished", "spend.threshold"])
    told = [one for one in WebhookEvent if Recipient(webhook, context).receives(one)]
    assert told == [WebhookEvent.SPEND_THRESHOLD, WebhookEvent.TEST]


def test_ingest_may_only_ask_who_it_is() -> None:
    """A key that reports calls reads nothing but its own rights."""
    assert [root for root in sorted(ROOT_FIELDS) if may_ask(POLICY, Role.INGEST, root)] == ["viewer"]


@pytest.mark.parametrize("role", READERS)
def test_readers_see_facts_and_masked_text(role: Role) -> None:
    """Whoever reads calls sees operational and billing fields, and what is sealed only masked."""
    assert view(POLICY, role, "Call.model") is View.SEE
    assert view(POLICY, role, "Amount.amount") is View.SEE
    assert {view(POLICY, role, field) for field in SEALED} == {View.MASKED}


def test_the_pseudonym_is_a_named_exception() -> None:
    """Viewer, support and admin see pseudonyms because they are named; a partner does not."""
    seen = {role: view(POLICY, role, "Call.user") for role in READERS}

    assert seen == {
        Role.VIEWER: View.SEE,
        Role.PARTNER: View.MASKED,
        Role.SUPPORT: View.SEE,
        Role.ADMIN: View.SEE,
    }


def test_users_are_filtered_by_pseudonym_and_rarely_by_plain_id() -> None:
    """Masked or seen, a user may be filtered by pseudonym; by plain id only support and admin may."""
    assert [role for role in Role if filterable(POLICY, role, "Call.user")] == list(READERS)
    assert [role for role in Role if may_filter_by_plain_user(POLICY, role)] == [Role.SUPPORT, Role.ADMIN]


@pytest.mark.parametrize("role", Role)
def test_a_filter_is_no_oracle(role: Role) -> None:
    """What a role does not see in clear it may not filter by, the user excepted."""
    able = {field for field in DATA_FIELDS if filterable(POLICY, role, field)} - {"Call.user"}

    assert all(view(POLICY, role, field) is View.SEE for field in able)
    assert not able & SEALED


def test_only_admins_make_keys_and_only_some_reveal() -> None:
    """Root fields go to the roles that they are for."""
    assert [role for role in Role if "createApiKey" in CEILINGS[role]] == [Role.ADMIN]
    assert [role for role in Role if may_ask(POLICY, role, "revealError")] == [Role.SUPPORT, Role.ADMIN]
    assert [role for role in Role if may_ask(POLICY, role, "placeHold")] == [Role.COMPLIANCE, Role.ADMIN]
    assert not may_ask(POLICY, Role.ADMIN, "dropEverything")


def denying(field: str) -> str:
    return preset_text("default").replace("[roles.viewer.fields]", f'[roles.viewer.fields]\n"{field}" = "denied"', 1)


@pytest.mark.parametrize(
    ("field", "copies"),
    [
        ("Call.apiKey", ["CostKey.apiKey", "Facets.apiKeys"]),
        ("Call.model", ["CostKey.model", "Facets.models", "ErrorGroup.models"]),
        (
            "Call.amount",
            ["Amount.amount", "Amount.currency", "Money.amount", "CostRow.amount", "CostFigures.averageCost"],
        ),
        ("Call.errorType", ["CallError.type", "ErrorGroup.type", "Facets.errorTypes"]),
        (
            "Call.inputTokens",
            ["Call.totalTokens", "Call.tokenEfficiency", "CostRow.inputTokens", "CostRow.tokenEfficiency"],
        ),
        ("Call.tags", ["Tag.key", "Tag.value", "CostKey.tags"]),
        ("CallError.message", ["ErrorGroup.sampleMessage"]),
    ],
)
def test_a_denied_field_has_no_side_door(field: str, copies: list[str]) -> None:
    """Denying a field denies what repeats it or is computed from it, in views and filters alike."""
    policy = parse(denying(field))

    assert {view(policy, Role.VIEWER, name) for name in [field, *copies]} == {View.DENIED}
    assert not any(filterable(policy, Role.VIEWER, name) for name in [field, *copies])
    assert view(policy, Role.VIEWER, "Call.startedAt") is View.SEE


def test_an_interface_is_seen_as_by_its_least() -> None:
    """A field asked for through CostFigure is denied when a type behind it denies it."""
    policy = parse(denying("CostFigures.amount"))

    assert view(policy, Role.VIEWER, "CostRow.amount") is View.SEE
    assert view(policy, Role.VIEWER, "CostFigure.amount") is View.DENIED
    assert view(policy, Role.VIEWER, "CostFigure.calls") is View.SEE


@pytest.mark.parametrize("field", ["Call.prompt", "Prompt.text", "", "Call", "call.model", "Call.model.x"])
def test_an_unknown_field_is_denied(field: str) -> None:
    """A name that the policies do not know is denied to every role."""
    assert {view(POLICY, role, field) for role in Role} == {View.DENIED}
    assert not any(filterable(POLICY, role, field) for role in Role)


def test_masked_text_says_only_its_class() -> None:
    """What stands for a masked text holds nothing of it."""
    assert masked_text(POLICY, "Call.apiKey") == "[redacted:operational]"
    assert masked_text(POLICY, "No.such") == "[redacted:personal]"


def schema() -> dict[str, list[str]]:
    types: dict[str, list[str]] = {}
    for name in DATA_FIELDS:
        types.setdefault(name.partition(".")[0], []).append(name.partition(".")[2])
    return types | {"CostFigure": ["calls"], "PageInfo": ["endCursor"], "Query": ["calls"]}


def test_a_schema_that_is_covered_starts() -> None:
    """Data types with entries, structural types and known root fields are accepted."""
    check_schema(schema())


def test_every_missing_field_is_named() -> None:
    """A new field, a new type, a new root field and a new field of an interface are all reported at once."""
    types = schema()
    types["Call"].append("prompt")
    types["CostFigure"].append("margin")
    types["Query"].append("everything")
    types["Diary"] = ["entry"]

    with pytest.raises(SchemaCoverageError) as caught:
        check_schema(types)

    assert caught.value.missing == ["Call.prompt", "CostFigure.margin", "Diary.entry", "Query.everything"]
    assert "`Call.prompt`" in str(caught.value)


def test_no_data_type_is_structural() -> None:
    """A type is either data, with entries, or structure, without: never both."""
    assert not STRUCTURAL_TYPES & {name.partition(".")[0] for name in DATA_FIELDS}


def test_origins_are_fields() -> None:
    """The table of what repeats what names only fields, and never goes in circles."""

    def chain(field: str, above: tuple[str, ...]) -> None:
        assert field not in above
        assert field in DATA_FIELDS
        for origin in ORIGINS.get(field, ()):
            chain(origin, (*above, field))

    for field in ORIGINS:
        chain(field, ())
