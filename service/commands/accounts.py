"""`calledger accounts`: who is in the ledger."""

from datetime import UTC, datetime

import typer

from service.commands.common import Data, quiet_runtime, run, table
from service.storage.models import Account

app = typer.Typer(help="Show accounts and their tiers.", no_args_is_help=True)


@app.command("list")
def list_accounts(data: Data = None) -> None:
    """List accounts with the tier that their calls are of now. An account begins with its first call or key."""

    async def work() -> None:
        async with quiet_runtime(data) as runtime:
            now = datetime.now(UTC)
            rows = []
            for account in await Account.all().order_by("name"):
                number = runtime.accounts.tier(account.id, now)
                tier = runtime.applied.policy.tier_number(number)
                rows.append((account.name, tier.name if tier else f"{number} (not in the policy)", account.created_at))
        table(("account", "tier", "since"), rows)

    run(work)
