"""Role x field -> see | masked | denied. The decision; `service/query` is where it is enforced.

A field is denied unless the role's classes or named exceptions say otherwise, and nobody sees more of a field than of
what it repeats (`fields.ORIGINS`): denying `Call.apiKey` denies it in costs and facets too.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from policies.errors import SchemaCoverageError
from policies.policy.fields import DATA_FIELDS, ERROR_RECORD, INTERFACES, ORIGINS, SEALED, SHOWN_MASKED, STORES, USER
from policies.policy.model import Action, DataClass, Policy, Role, RoleRule, Store, View
from policies.policy.roots import IMPLIED, PLAIN_USER_FILTER, ROOT_FIELDS, SHOWS, WITHOUT_CALLS

ROOT_TYPES: Final = frozenset({"Query", "Mutation", "Subscription"})
_NODES: Final = (
    "Call Change CallError ErrorGroup PurgeRun Hold Erasure LedgerEntry Attestation ApiKey Account Export "
    "ExportSchedule Webhook WebhookDelivery Source Reconciliation ReconciliationDifference"
)
_PAYLOADS: Final = (
    "PlaceHold LiftHold PlanPurge RequestPurge RequestErasure EraseNotes RevealError CreateApiKey RotateApiKey "
    "RevokeApiKey CreateSessionToken CreateExport CancelExport CreateExportSchedule DeleteExportSchedule "
    "RequestAttestation CreateEvidence CreateWebhook RotateWebhookSecret EnableWebhook DeleteWebhook "
    "WebhookDelivery SetBudget"
)
_FACTS: Final = (
    "Node PageInfo Viewer FieldView RateLimit Policy PolicyField RoleView PolicyWindow RetentionReport ClassRetention "
    "KeyCounts Hold HoldScope PurgeRun PurgedPartition Erasure LedgerEntry Checkpoint Proof Attestation ApiKey Account "
    "Source Export ExportSchedule IngestReport IngestRefusal Change ChangeSum ChangeSums Webhook WebhookDelivery "
    "WebhookAttempt Budget BudgetTag Reconciliation ReconciliationTotal ReconciliationKind ReconciliationUnread "
    "ReconciliationDifference"
)
STRUCTURAL_TYPES: Final = frozenset(
    {*_FACTS.split(), "CostRowEdge"}
    | {f"{name}{end}" for name in _NODES.split() for end in ("Connection", "Edge")}
    | {f"{name}Payload" for name in _PAYLOADS.split()}
)
"""Types that hold no call data of their own: a role that may query the root field sees them."""

_RANK: Final = {View.DENIED: 0, View.MASKED: 1, View.SEE: 2}
_ERROR: Final = "Call.error"
_NOTHING: Final = RoleRule(Role.INGEST)


def view(policy: Policy, role: Role, field: str) -> View:
    """What `role` gets of `field`, named `Type.field` as in the schema; denied when the name is not known."""
    seen = view_table(policy, role).get(field)
    if seen is not None:
        return seen
    return View.SEE if field.partition(".")[0] in STRUCTURAL_TYPES else View.DENIED


@lru_cache(maxsize=64)
def view_table(policy: Policy, role: Role) -> Mapping[str, View]:
    """`view` of every data field and of their interfaces, computed once: for hot paths."""
    rule = policy.roles.get(role, _NOTHING)
    table = {field: _least(policy, rule, role, field) for field in DATA_FIELDS}
    for interface, types in INTERFACES.items():
        for field in [name.partition(".")[2] for name in DATA_FIELDS if name.startswith(f"{types[0]}.")]:
            seen = [table.get(f"{name}.{field}", View.DENIED) for name in types]
            table[f"{interface}.{field}"] = min(seen, key=_RANK.__getitem__)
    return MappingProxyType(table)


def own_view(policy: Policy, rule: RoleRule, field: str) -> View:
    """What the role's rule says of `field` by itself: its named exception, else its class."""
    entry = policy.fields.get(field)
    if entry is None or entry.data_class in (DataClass.SECRET, DataClass.CONTENT):
        return View.DENIED
    if field in rule.fields:
        return rule.fields[field]
    if entry.data_class in rule.mask:
        return View.MASKED
    if entry.data_class in rule.see:
        # Personal data is never seen as a class: that would show every field that is added to it later.
        return View.MASKED if entry.data_class is DataClass.PERSONAL else View.SEE
    return View.DENIED


def _least(policy: Policy, rule: RoleRule, role: Role, field: str) -> View:
    if role in WITHOUT_CALLS:
        return View.DENIED
    own = own_view(policy, rule, field)
    # What is sealed is opened by revealError alone, which is ledgered.
    if field in SEALED and own is View.SEE:
        own = View.MASKED
    # What older rows hold of it in clear is on the disk until it is removed, and is shown to no role.
    if own is View.SEE and _is_withdrawn(policy, field):
        own = View.MASKED
    views = [own, *(_least(policy, rule, role, origin) for origin in ORIGINS.get(field, ()))]
    least = min(views, key=_RANK.__getitem__)
    return View.DENIED if least is View.MASKED and field not in SHOWN_MASKED else least


def _is_withdrawn(policy: Policy, field: str) -> bool:
    """Whether the policy keeps no plain value of `field`. Without error records there are none to show anything of."""
    if STORES.get(field) is Store.CALL_ERROR and field != _ERROR and policy.action(ERROR_RECORD[0]) is Action.DROP:
        return False
    return field != USER and field in policy.fields and policy.action(field) in (Action.DROP, Action.MASK)


def may_ask(policy: Policy, role: Role, root_field: str) -> bool:
    """Whether `role` may use the root field (`calls`, `revealError`) of Query, Mutation or Subscription."""
    rule = policy.roles.get(role)
    granted = IMPLIED.get(root_field, root_field)
    return rule is not None and granted in rule.ask and granted in ROOT_FIELDS


def hidden_behind(policy: Policy, role: Role, root_field: str) -> str | None:
    """The first field that the answer of a root field is made of, and `role` does not see in clear; None: no field."""
    return next((name for name in SHOWS.get(root_field, ()) if view(policy, role, name) is not View.SEE), None)


def may_be_notified(policy: Policy, role: Role, root_field: str) -> bool:
    """Whether `role` would be answered by the root field, and so may be notified of what it answers."""
    return may_ask(policy, role, root_field) and hidden_behind(policy, role, root_field) is None


def filterable(policy: Policy, role: Role, field: str) -> bool:
    """Whether `role` may filter, order, group, facet or export by `field`: only by what it sees in clear, and is kept.

    The user is excepted: by pseudonym, who is masked may be filtered by. By plain id: `may_filter_by_plain_user`.
    """
    if policy.action(field) is Action.DROP:
        return False
    seen = view(policy, role, field)
    if field == USER:
        return seen is not View.DENIED
    return seen is View.SEE


def may_filter_by_plain_user(policy: Policy, role: Role) -> bool:
    """Whether `role` may name a user by the plain id in a filter (it is hashed at once, and never logged)."""
    rule = policy.roles.get(role)
    granted = rule is not None and rule.plain_user_filter and role in PLAIN_USER_FILTER
    return granted and filterable(policy, role, USER)


def at_most(policy: Policy, role: Role, other: Role) -> bool:
    """Whether `role` may ask, see and filter by nothing that `other` may not."""
    if role is other:
        return True
    asked = policy.roles[role].ask if role in policy.roles else frozenset[str]()
    if not all(may_ask(policy, other, root) for root in asked if may_ask(policy, role, root)):
        return False
    seen, others = view_table(policy, role), view_table(policy, other)
    if any(_RANK[view_] > _RANK[others[field]] for field, view_ in seen.items()):
        return False
    return may_filter_by_plain_user(policy, other) or not may_filter_by_plain_user(policy, role)


def masked_text(policy: Policy, field: str) -> str:
    """What stands for a clear text that a role gets masked: says by which class, and nothing of the text."""
    rule = policy.fields.get(field)
    return f"[redacted:{rule.data_class if rule is not None else DataClass.PERSONAL}]"


def check_schema(types: Mapping[str, Iterable[str]]) -> None:
    """Refuse a schema that has a field which no policy has to name.

    `types` are its object types and interfaces with their field names, introspection left out.
    `SchemaCoverageError` names every field that is missing.
    """
    missing = sorted(
        f"{name}.{field}"
        for name, fields in types.items()
        if name not in STRUCTURAL_TYPES
        for field in fields
        if not _covered(name, field)
    )
    if missing:
        raise SchemaCoverageError(missing)


def _covered(name: str, field: str) -> bool:
    if name in ROOT_TYPES:
        return IMPLIED.get(field, field) in ROOT_FIELDS
    return all(f"{implementer}.{field}" in STORES for implementer in INTERFACES.get(name, (name,)))
