"""`calledger accounts`: who is in the ledger."""

from datetime import UTC, datetime
from pathlib import Path

from service.commands.common import quiet_runtime, run, table
from service.commands.options import Data, noun
from service.storage.models import Account

app = noun("Show accounts and their tiers.")


@app.command("list")
def list_accounts(data: Data = None) -> None:
    """List accounts, with the tier that their calls are of now.

    An account begins with its first call, or with the first key that is bound to it.
    A table on a terminal; in a pipe a line an account, tab-separated: account, tier, since.

    \b
    Example: calledger accounts list
    """
    run(lambda: _list(data))


async def _list(data: Path | None) -> None:
    async with quiet_runtime(data) as runtime:
        now = datetime.now(UTC)
        rows = []
        for account in await Account.all().order_by("name"):
            number = runtime.accounts.tier(account.id, now)
            tier = runtime.applied.policy.tier_number(number)
            rows.append((account.name, tier.name if tier else f"{number} (not in the policy)", account.created_at))
    table(("account", "tier", "since"), rows)
