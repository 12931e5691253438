"""`serve --demo`: sample calls of the last 30 days, and a key for each kind of reader."""

from datetime import datetime

from policies import Role
from service.commands.common import progress, say
from service.demo.administration import administer
from service.demo.invoice import compare_invoice
from service.demo.loading import load_calls
from service.errors import OperatorError
from service.ledger import LedgerKind, read_record
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import any_key, live_keys_named
from service.storage.schema.installed import any_account, installation, mark_as_demo

_KEY_NAME = "demo "

DEMO_KEYS = (
    (Role.ADMIN, ()),
    (Role.VIEWER, ()),
    (Role.PARTNER, ("acme",)),
    (Role.SUPPORT, ()),
    (Role.AUDITOR, ()),
    (Role.COMPLIANCE, ()),
    (Role.INGEST, ()),
)


class RealCallsError(OperatorError):
    """this ledger is in real use: --demo wants an empty one, so choose another directory with --data"""


async def load_demo(runtime: Runtime) -> None:
    """Load sample calls into an empty ledger and print a key for each reader; a second start prints new keys.

    Raises RealCallsError for a ledger that is in real use.
    """
    installed = await installation()
    assert installed is not None, "a ledger that is open is installed"
    record = await read_record(runtime.ledger, kinds=(LedgerKind.STARTED,))
    if not (installed.demo and record.demo):
        if await any_account():
            raise RealCallsError
        # The ledger first: a table that says it alone would take a ledger in use for a demo.
        await runtime.ledger.append(LedgerKind.STARTED, {"demo": True}, actor="system")
        await mark_as_demo()
    # The keys are made last: without any, a start was interrupted, and the same calls are loaded again.
    if not await any_key(name_begins=_KEY_NAME):
        await _load(runtime, installed.created_at)
    for key_id in await live_keys_named(_KEY_NAME):
        await runtime.api_keys.revoke(key_id)
    for role, accounts in DEMO_KEYS:
        key = await runtime.api_keys.create(role, accounts=list(accounts) or None, name=f"{_KEY_NAME}{role}")
        say(f"{role:<10} {key.text}")


async def _load(runtime: Runtime, now: datetime) -> None:
    with progress() as bar:
        task = bar.add_task("loading sample calls", total=None)
        await load_calls(runtime, now, lambda done, total: bar.update(task, completed=done, total=total))
    await administer(runtime)
    await compare_invoice(runtime, now)
