"""The state that the ledger describes: its entries, folded in their order into the state that they describe.

The database has tables of the same things, for speed and for what an entry must not hold (names, reasons). Whoever can
write to the database can change a row; nobody can change an entry unseen. So the rows are held against this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from policies.evidence.entry import Leaf, LedgerKind, moment
from policies.evidence.recorded import (
    RecordedAccount,
    RecordedAttestation,
    RecordedErasure,
    RecordedExport,
    RecordedHold,
    RecordedIdlePurges,
    RecordedKey,
    RecordedPolicy,
    RecordedPurge,
    RecordedSetting,
    RecordedWebhook,
)

RECORDED: Final = (
    *(LedgerKind.API_KEY_CREATED, LedgerKind.API_KEY_ROTATED, LedgerKind.API_KEY_REVOKED),
    LedgerKind.SESSION_TOKENS_CREATED,
    *(LedgerKind.ERASURE_INTENT, LedgerKind.ERASURE_RESULT),
    *(LedgerKind.HOLD_PLACED, LedgerKind.HOLD_LIFTED, LedgerKind.PURGE_INTENT, LedgerKind.PURGE_RESULT),
    *(LedgerKind.KEY_DESTROYED, LedgerKind.POLICY_APPLIED, LedgerKind.TIER_CHANGED, LedgerKind.NOTHING_DUE),
    *(LedgerKind.ACCOUNTS_NAMED, LedgerKind.ERASURE_RESTRICTED, LedgerKind.EXPORTED, LedgerKind.EVIDENCE_CREATED),
    *(LedgerKind.STARTED, LedgerKind.FIELD_REMOVED),
    *(LedgerKind.WEBHOOK_CREATED, LedgerKind.WEBHOOK_DELETED, LedgerKind.BUDGET_SET),
    *(LedgerKind.SOURCE_ADDED, LedgerKind.SOURCE_REMOVED),
    *(LedgerKind.ATTESTATION_REQUESTED, LedgerKind.ATTESTED, LedgerKind.RESTORED),
)
"""Kinds of which a record is made; others change nothing in it."""
KEY_KINDS: Final = (
    *(LedgerKind.API_KEY_CREATED, LedgerKind.API_KEY_ROTATED, LedgerKind.API_KEY_REVOKED),
    LedgerKind.ERASURE_INTENT,
)
"""Kinds that say which API keys there are."""
WEBHOOK_KINDS: Final = (
    *(LedgerKind.WEBHOOK_CREATED, LedgerKind.WEBHOOK_DELETED, LedgerKind.API_KEY_ROTATED, LedgerKind.ERASURE_INTENT),
)
"""Kinds that say which webhooks there are, and whose."""


@dataclass(slots=True)
class Record:
    """The state after the entries that were added, in their order."""

    keys: dict[str, RecordedKey] = field(default_factory=dict[str, RecordedKey])
    holds: dict[str, RecordedHold] = field(default_factory=dict[str, RecordedHold])
    erasures: dict[str, RecordedErasure] = field(default_factory=dict[str, RecordedErasure])
    purges: dict[str, RecordedPurge] = field(default_factory=dict[str, RecordedPurge])
    idle_purges: dict[str, RecordedIdlePurges] = field(default_factory=dict[str, RecordedIdlePurges])
    idle_since: str | None = None
    """Since when such purges have entries; RFC 3339."""
    last_purge: str | None = None
    """When the last purge ended, or found nothing due; RFC 3339."""
    accounts: dict[int, RecordedAccount] = field(default_factory=dict[int, RecordedAccount])
    policies: dict[int, RecordedPolicy] = field(default_factory=dict[int, RecordedPolicy])
    tiers: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    first_tiers: dict[int, int] = field(default_factory=dict[int, int])
    destroyed: set[str] = field(default_factory=set[str])
    exports: dict[str, RecordedExport] = field(default_factory=dict[str, RecordedExport])
    webhooks: dict[str, RecordedWebhook] = field(default_factory=dict[str, RecordedWebhook])
    budgets: dict[str, RecordedSetting] = field(default_factory=dict[str, RecordedSetting])
    sources: dict[str, RecordedSetting] = field(default_factory=dict[str, RecordedSetting])
    removals: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict[tuple[str, int], tuple[int, int]])
    """Of fields that were removed since a version of the policy: the entry, and how many rows."""
    attestations: dict[str, RecordedAttestation] = field(default_factory=dict[str, RecordedAttestation])
    replayed: list[range] = field(default_factory=list[range])
    """Entries that came back from the mirror when an older database was restored: rows of them may be gone."""
    demo: bool = False
    """Whether an entry says that sample calls were loaded."""

    def was_replayed(self, index: int) -> bool:
        """Whether an entry came back from the mirror: what it says may be in no table."""
        return any(index in replayed for replayed in self.replayed)

    def add(self, index: int, leaf: Leaf) -> None:
        """Take up an entry. KeyError or TypeError when its facts are not those of its kind."""
        step = _STEPS.get(leaf.kind)
        if step is not None:
            step(self, index, leaf, leaf.facts)


def _key_created(record: Record, index: int, _: Leaf, facts: Mapping[str, Any]) -> None:
    accounts = None if facts["accounts"] is None else tuple(facts["accounts"])
    record.keys[facts["key"]] = RecordedKey(index, facts["role"], accounts, facts["expires_at"], facts.get("mac"))


def _key_rotated(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    key = record.keys.get(facts["key"])
    if key is not None:
        # Moments of leaves compare as texts; another takes its place, so it never ends later than it would have.
        ends_at = min(filter(None, (key.expires_at, facts["ends_at"])))
        record.keys[facts["key"]] = replace(key, expires_at=ends_at)
    for name, webhook in record.webhooks.items():
        if webhook.key == facts["key"]:
            record.webhooks[name] = replace(webhook, key=facts["successor"])


def _key_revoked(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    key = record.keys.get(facts["key"])
    if key is not None and key.ended is None:
        record.keys[facts["key"]] = replace(key, ended=index, ended_at=leaf.recorded_at)


def _sessions_created(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    key = record.keys.get(facts["key"])
    if key is not None:
        record.keys[facts["key"]] = replace(key, sessions_hour=max(key.sessions_hour or "", facts["hour"]))


def _hold_placed(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    record.holds[facts["hold"]] = RecordedHold(index, leaf.actor, leaf.recorded_at, facts)


def _hold_lifted(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    hold = record.holds.get(facts["hold"])
    if hold is not None and hold.lifted is None:
        record.holds[facts["hold"]] = replace(hold, lifted=index, lifted_by=leaf.actor)


def _erasure_requested(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    account, kind = facts["account"], facts["kind"]
    periods = facts.get("periods")
    record.erasures[facts["erasure"]] = RecordedErasure(index, leaf.actor, kind, account, periods=periods)
    if kind == "ACCOUNT":
        for name, key in record.keys.items():
            record.keys[name] = _without(key, account, index, leaf)
        for name, webhook in record.webhooks.items():
            if webhook.ended is None and webhook.facts["accounts"] == [account]:
                record.webhooks[name] = replace(webhook, ended=index)
        for settings in (record.budgets, record.sources):
            for name, one in settings.items():
                if one.ended is None and one.facts["account"] == account:
                    settings[name] = replace(one, ended=index)


def _erasure_done(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    known = record.erasures.get(facts["erasure"]) or RecordedErasure(index, leaf.actor, None, None)
    record.erasures[facts["erasure"]] = replace(known, rows=facts["rows"], unreadable_at=facts.get("unreadable_at"))


def _erasure_restricted(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    known = record.erasures.get(facts["erasure"]) or RecordedErasure(index, leaf.actor, None, None)
    holds = None if isinstance(facts["holds"], Mapping) else tuple(facts["holds"])
    record.erasures[facts["erasure"]] = replace(known, restricted_at=leaf.recorded_at, holds=holds)


def _purge_begins(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    record.purges[facts["run"]] = RecordedPurge(index, leaf.actor, facts["plan"])


def _purge_ended(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    known = record.purges.get(facts["run"]) or RecordedPurge(index, leaf.actor, None)
    record.purges[facts["run"]] = replace(known, result=facts)
    if facts["state"] == "DONE":
        _seen(record, facts.get("finished_at") or moment(leaf.recorded_at))


def _nothing_due(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    finished = facts["finished_at"]
    record.idle_since = record.idle_since or moment(leaf.recorded_at)
    known = record.idle_purges.get(facts["run"])
    if known is None:
        known = RecordedIdlePurges(index, leaf.actor, facts["plan"], facts["planned_at"], finished)
    record.idle_purges[facts["run"]] = replace(known, finished_at=max(known.finished_at, finished))
    _seen(record, finished)


def _seen(record: Record, finished_at: str) -> None:
    record.last_purge = max(record.last_purge or finished_at, finished_at)


def _accounts_named(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    for account, name in zip(facts["accounts"], facts["names"], strict=True):
        # The first is what it was named; nobody renames an account, and an erasure has its own entry.
        record.accounts.setdefault(account, RecordedAccount(index, name, leaf.recorded_at))


def _export_made(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    # What the operator's shell takes, or a bundle that a command makes, is in no table.
    if "export" in facts:
        record.exports[facts["export"]] = RecordedExport(index, leaf.actor, leaf.recorded_at, facts)


def _webhook_made(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    record.webhooks[facts["webhook"]] = RecordedWebhook(index, leaf.actor, facts)


def _webhook_deleted(record: Record, index: int, _: Leaf, facts: Mapping[str, Any]) -> None:
    webhook = record.webhooks.get(facts["webhook"])
    if webhook is not None and webhook.ended is None:
        record.webhooks[facts["webhook"]] = replace(webhook, ended=index)


def _budget_set(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    ended = index if facts["amount"] is None else None
    record.budgets[facts["budget"]] = RecordedSetting(index, leaf.actor, facts, ended)


def _source_added(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    record.sources[facts["source"]] = RecordedSetting(index, leaf.actor, facts)


def _source_removed(record: Record, index: int, _: Leaf, facts: Mapping[str, Any]) -> None:
    source = record.sources.get(facts["source"])
    if source is not None and source.ended is None:
        record.sources[facts["source"]] = replace(source, ended=index)


def _field_removed(record: Record, index: int, _: Leaf, facts: Mapping[str, Any]) -> None:
    record.removals[facts["field"], facts["version"]] = (index, facts["rows"])


def _attestation_requested(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    asked = RecordedAttestation(index, leaf.actor, leaf.recorded_at, facts["days"], facts["full"])
    record.attestations[facts["attestation"]] = asked


def _attested(record: Record, index: int, _: Leaf, facts: Mapping[str, Any]) -> None:
    known = record.attestations.get(facts.get("attestation", ""))  # older statements are not stored
    # A database that was restored to before it was made has it waiting once more, and may make it a second time.
    if known is not None and (known.made is None or record.was_replayed(known.made)):
        record.attestations[facts["attestation"]] = replace(known, made=index, digest=facts["statement"])


def _restored(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    if "from" in facts:
        record.replayed.append(range(facts["from"], facts["to"]))


def _started(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    record.demo = record.demo or facts.get("demo") is True


def _keys_destroyed(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    record.destroyed.update(facts["keys"])


def _policy_applied(record: Record, index: int, leaf: Leaf, facts: Mapping[str, Any]) -> None:
    version, digest = facts["version"], facts["digest"]
    approved_by, applied_at = facts.get("approved_by"), facts.get("applied_at")
    record.policies[version] = RecordedPolicy(index, leaf.actor, version, digest, approved_by, applied_at)


def _tier_changed(record: Record, _: int, __: Leaf, facts: Mapping[str, Any]) -> None:
    account = facts["account"]
    if account not in record.first_tiers and facts["from_tier"] is not None:
        record.first_tiers[account] = facts["from_tier"]
    record.tiers[account, facts["from"]] = facts["to_tier"]


def _without(key: RecordedKey, account: int, index: int, leaf: Leaf) -> RecordedKey:
    """A key when one of its accounts is erased; one that had no other ends."""
    if key.ended is not None or key.accounts is None or account not in key.accounts:
        return key
    left = tuple(one for one in key.accounts if one != account)
    return replace(key, accounts=left) if left else replace(key, ended=index, ended_at=leaf.recorded_at)


_STEPS: Final = {
    LedgerKind.API_KEY_CREATED: _key_created,
    LedgerKind.API_KEY_ROTATED: _key_rotated,
    LedgerKind.API_KEY_REVOKED: _key_revoked,
    LedgerKind.SESSION_TOKENS_CREATED: _sessions_created,
    LedgerKind.HOLD_PLACED: _hold_placed,
    LedgerKind.HOLD_LIFTED: _hold_lifted,
    LedgerKind.ERASURE_INTENT: _erasure_requested,
    LedgerKind.ERASURE_RESTRICTED: _erasure_restricted,
    LedgerKind.ERASURE_RESULT: _erasure_done,
    LedgerKind.EXPORTED: _export_made,
    LedgerKind.EVIDENCE_CREATED: _export_made,
    LedgerKind.WEBHOOK_CREATED: _webhook_made,
    LedgerKind.WEBHOOK_DELETED: _webhook_deleted,
    LedgerKind.BUDGET_SET: _budget_set,
    LedgerKind.SOURCE_ADDED: _source_added,
    LedgerKind.SOURCE_REMOVED: _source_removed,
    LedgerKind.FIELD_REMOVED: _field_removed,
    LedgerKind.STARTED: _started,
    LedgerKind.PURGE_INTENT: _purge_begins,
    LedgerKind.PURGE_RESULT: _purge_ended,
    LedgerKind.NOTHING_DUE: _nothing_due,
    LedgerKind.ACCOUNTS_NAMED: _accounts_named,
    LedgerKind.KEY_DESTROYED: _keys_destroyed,
    LedgerKind.POLICY_APPLIED: _policy_applied,
    LedgerKind.TIER_CHANGED: _tier_changed,
    LedgerKind.ATTESTATION_REQUESTED: _attestation_requested,
    LedgerKind.ATTESTED: _attested,
    LedgerKind.RESTORED: _restored,
}
