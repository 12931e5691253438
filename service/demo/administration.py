"""What people did about the demo's data: budgets, a hold, an erasure, a shorter window with its purge. All of it is
real: in the ledger, under the same checks, and gone for good where it says so.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from policies import Store
from policies.policy.model import DataClass
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind, page_erasures
from service.retention.holds.holds import HOLDABLE, HoldScope, page_holds, place_hold
from service.retention.purge.planning import due_plans
from service.retention.purge.runner import run_purge
from service.runtime.runtime import Runtime
from service.storage.control.budgets import BudgetOf, list_budgets
from service.storage.control.policies import policy_transaction
from service.webhooks.budgets import THRESHOLDS, Budgets

ACTOR: Final = "demo"
ERROR_DAYS: Final = 25
"""The window of errors after the demo's change of policy: five days less than the calls that it loads."""
# Account, currency, API key of the gateway (None: all), amount of a day.
_BUDGETS: Final = (
    ("acme", "USD", None, "2.50"),
    ("acme", "USD", "prod-batch", "0.40"),
    ("globex", "USD", None, "2"),
    ("huaxing", "CNY", None, "2"),
    ("initech", "EUR", None, "0.20"),
)
_PRESET: Final = ("default", 1)


async def administer(runtime: Runtime) -> None:
    """Do what was not done yet: a start may have been interrupted at any point."""
    await _set_budgets(runtime)
    await _hold(runtime)
    await _erase(runtime)
    await _shorten(runtime)


async def _set_budgets(runtime: Runtime) -> None:
    """What is meant to be spent in a day: some of it is near its end by the evening, or beyond."""
    database = runtime.database
    if await list_budgets(database.owner, None, 1):
        return
    ids = await runtime.accounts.ensure({budget[0] for budget in _BUDGETS})
    budgets = Budgets(database, runtime.ledger)
    for account, currency, api_key, amount in _BUDGETS:
        await budgets.set(BudgetOf(ids[account], currency, api_key), Decimal(amount), THRESHOLDS, ACTOR)


async def _hold(runtime: Runtime) -> None:
    context = runtime.retention
    if await page_holds(context.owner, 1):
        return
    now = await context.now()
    await place_hold(
        context,
        name="case 2026-041",
        owner="Legal, Globex",
        reason="dispute about answers of the assistant in its first week",
        scope=HoldScope("globex", now - timedelta(days=31), now - timedelta(days=23)),
        classes=list(HOLDABLE),
        expires_at=now + timedelta(days=180),
        actor=ACTOR,
    )


async def _erase(runtime: Runtime) -> None:
    context = runtime.retention
    if await page_erasures(context.owner, 1):
        return
    user, reason = "acme-user-17", "request of the person, ticket 5512"
    await request_erasure(context, kind=ErasureKind.USER, account="acme", user=user, reason=reason, actor=ACTOR)


async def _shorten(runtime: Runtime) -> None:
    """Keep errors five days shorter than the preset does, and purge at once what is past that."""
    before = runtime.applied.policy
    if (before.name, runtime.applied.version) != _PRESET or runtime.settings.policy is not None:
        return
    tiers = {
        name: replace(
            tier,
            store_days={**tier.store_days, Store.CALL_ERROR: ERROR_DAYS},
            readable_days={**tier.readable_days, DataClass.PERSONAL: ERROR_DAYS},
        )
        for name, tier in before.tiers.items()
    }
    async with policy_transaction(runtime.database.owner) as transaction:
        shorter = replace(before, version=before.version + 1, tiers=tiers)
        await transaction.put_in_force(shorter, applied_by=ACTOR, ledger=runtime.ledger)
    await runtime.reload_policy()
    context = runtime.retention
    due = (await due_plans(context, await context.now())).all
    if due:
        await run_purge(context, requested_by=ACTOR, plan_digest=due.digest())
