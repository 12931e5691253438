"""Webhooks and budgets compared with the ledger."""

from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg

from policies.evidence.record import Record, RecordedWebhook
from service.storage.control.budgets import EVERY_BUDGET, budget_of
from service.storage.control.webhooks import EVERY_WEBHOOK, WebhookRecord, webhook_of
from service.webhooks.facts import budget_facts, webhook_facts

WEBHOOKS: Final = EVERY_WEBHOOK
BUDGETS: Final = EVERY_BUDGET


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
    for row in rows:
        budget = budget_of(row)
        name, known = f"budget `{budget.id}`", record.budgets.get(str(budget.id))
        if known is None or known.ended is not None:
            entry = "in no entry of" if known is None else f"removed by entry {known.ended} of"
            yield f"{name} is {entry} the ledger and here: remove it"
            continue
        here, there = {**budget_facts(budget), "actor": budget.set_by}, {**known.facts, "actor": known.actor}
        for fact in sorted(here.keys() | there.keys()):
            if here.get(fact) != there.get(fact):
                yield f"{name}: {fact} is not as entry {known.index} of the ledger has it: set it anew"
    here = {str(row["id"]) for row in rows}
    for id_, known in record.budgets.items():
        if known.ended is None and id_ not in here:
            yield f"budget `{id_}` is in entry {known.index} of the ledger and not here: set it anew"
