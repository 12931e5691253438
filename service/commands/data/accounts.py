"""`calledger accounts`: lists accounts, and moves them between tiers."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from policies.policy.model import Tier
from service.commands.common import in_runtime, say, table
from service.commands.options import Data, noun
from service.retention.tiers import Move, move_account
from service.runtime.runtime import Runtime
from service.storage.schema.installed import list_accounts as all_accounts

app = noun("Show accounts and their tiers.")


@app.command("list")
def list_accounts(data: Data = None) -> None:
    """List accounts, with the tier of their calls now.

    An account begins with its first call, or with the first key that is bound to it.
    A table on a terminal; in a pipe one line per account, tab-separated: account, tier, since.

    \b
    Example: calledger accounts list
    """
    in_runtime(data, _list)


async def _list(runtime: Runtime) -> None:
    now = datetime.now(UTC)
    rows = []
    await runtime.accounts.load_all()
    for account in await all_accounts():
        tier_number = runtime.accounts.tier(account.id, now)
        tier = runtime.applied.policy.tier_number(tier_number)
        rows.append((account.name, tier.name if tier else f"{tier_number} (not in the policy)", account.created_at))
    table(("account", "tier", "since"), rows)


@app.command("tier")
def tier(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")],
    tier: Annotated[str, typer.Argument(metavar="TIER", help="A tier of the policy in force.")],
    day: Annotated[
        datetime | None,
        typer.Option(
            "--from", metavar="DATE", formats=["%Y-%m-%d"], help="First day, UTC [default: as soon as may be]."
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Move an account to another tier, from a UTC midnight at least 25 hours away.

    What the account has by then keeps the windows of its old tier; later calls get those of the new one.

    \b
    Example: calledger accounts tier acme gold --from 2027-01-01
    """
    move = in_runtime(data, lambda runtime: _move(runtime, account, tier, day))
    say(f"{move.account}: tier {move.new.name} from {move.from_at:%Y-%m-%d} 00:00 UTC on")
    if move.old is not None:
        say(f"calls that start before that day stay in tier {move.old.name}: {_windows(move.old)}")
    say(f"calls from that day on: {_windows(move.new)}")
    if move.until is not None:
        say(f"only until {move.until:%Y-%m-%d}: another move was planned for then")


async def _move(runtime: Runtime, account: str, tier: str, day: datetime | None) -> Move:
    first = None if day is None else day.date()
    return await move_account(runtime.retention, account, tier, day=first, actor="cli")


def _windows(tier: Tier) -> str:
    return ", ".join(f"{store} {days} days" for store, days in tier.store_days.items())
