"""Webhooks, budgets and sources compared with the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from policies.evidence.record import Record
from policies.evidence.recorded import RecordedSetting, RecordedWebhook
from service.storage.control.budgets import EVERY_BUDGET, budget_of
from service.storage.control.webhooks import EVERY_WEBHOOK, WebhookRecord, webhook_of
from service.storage.gateways.pull_sources import EVERY_SOURCE, source_facts, source_of
from service.webhooks.ledger_facts import budget_facts, webhook_facts

WEBHOOKS: Final = EVERY_WEBHOOK
BUDGETS: Final = EVERY_BUDGET
SOURCES: Final = EVERY_SOURCE


def webhook_differences(known: RecordedWebhook | None, webhook: WebhookRecord) -> Iterable[str]:
    """What a webhook's row has otherwise than its entries, in words. To one with a difference nothing is sent."""
    name = f"webhook `{webhook.id}`"
    if known is None:
        yield f"{name} is in no entry of the ledger: it is sent nothing; delete it"
    elif known.ended is not None:
        yield f"{name} was deleted by entry {known.ended} of the ledger and is here: it is sent nothing"
    else:
        here = {**webhook_facts(webhook), "key": webhook.requested_by}
        there = {**known.facts, "key": known.key}
        for fact in sorted(here.keys() | there.keys()):
            if here.get(fact) != there.get(fact):
                yield f"{name}: {fact} is not as entry {known.index} of the ledger has it: it is sent nothing"


def webhooks(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    """The differences between the table `webhook` and the ledger, in words."""
    for row in rows:
        yield from webhook_differences(record.webhooks.get(str(row["id"])), webhook_of(row))
    here = {str(row["id"]) for row in rows}
    for id_, known in record.webhooks.items():
        if known.ended is None and id_ not in here:
            yield f"webhook `{id_}` is in entry {known.index} of the ledger and not here: make it anew"


def budgets(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    """The differences between the table `budget` and the ledger, in words."""
    here = {str(one.id): {**budget_facts(one), "actor": one.set_by} for one in (budget_of(row) for row in rows)}
    return _settings("budget", "set it anew", record.budgets, here)


def sources(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    """The differences between the table `source` and the ledger, in words."""
    here = {str(one.id): source_facts(one) for one in (source_of(row) for row in rows)}
    return _settings("source", "add it anew", record.sources, here)


def _settings(
    what: str, advice: str, recorded: Mapping[str, RecordedSetting], here: Mapping[str, Mapping[str, Any]]
) -> Iterable[str]:
    """The differences between rows, by id, and their entries; an actor is compared where the row has one."""
    for id_, facts in here.items():
        name, known = f"{what} `{id_}`", recorded.get(id_)
        if known is None or known.ended is not None:
            entry = "in no entry of" if known is None else f"removed by entry {known.ended} of"
            yield f"{name} is {entry} the ledger and here: remove it"
            continue
        there = {**known.facts, "actor": known.actor} if "actor" in facts else known.facts
        for fact in sorted(facts.keys() | there.keys()):
            if facts.get(fact) != there.get(fact):
                yield f"{name}: {fact} is not as entry {known.index} of the ledger has it: {advice}"
    for id_, known in recorded.items():
        if known.ended is None and id_ not in here:
            yield f"{what} `{id_}` is in entry {known.index} of the ledger and not here: {advice}"
