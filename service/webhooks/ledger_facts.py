"""The facts of a webhook and of a budget in the ledger: written when it is made, and later compared with the tables."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from service.storage.control.budgets import BudgetRecord
from service.storage.control.webhooks import WebhookRecord


def webhook_facts(webhook: WebhookRecord) -> Mapping[str, Any]:
    """The facts of WEBHOOK_CREATED: which events it is sent, of which accounts, and a digest of what it asked for."""
    return {
        "webhook": str(webhook.id),
        "events": sorted(webhook.events),
        "request": _digest(webhook.request),
        "role": webhook.role,
        "accounts": None if webhook.accounts is None else list(webhook.accounts),
    }


def budget_facts(budget: BudgetRecord) -> Mapping[str, Any]:
    """The facts of BUDGET_SET, with a digest of the names that it is of."""
    of = budget.of
    return {
        "budget": str(budget.id),
        "account": of.account_id,
        "of": _digest([of.currency, of.api_key, of.tag_key, of.tag_value]),
        "amount": format(budget.amount.normalize(), "f"),
        "thresholds": list(budget.thresholds),
    }


def _digest(value: object) -> str:
    return "sha256:" + sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
