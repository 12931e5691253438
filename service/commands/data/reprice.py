"""`calledger reprice`: estimates by the price lists of now, for calls that are stored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
import typer

from service.commands.common import in_runtime, progress, say, table
from service.commands.options import Data, verb
from service.errors import OperatorError, RequestError
from service.ingest.amendments.repricing import Repriced, RepriceRange, Repricing
from service.ingest.prices.price_sources import load_prices
from service.ledger import LedgerKind
from service.runtime.runtime import Runtime

app = verb()


@app.command()
def reprice(
    since: Annotated[str, typer.Option(metavar="MOMENT", help="Calls from then on: 2026-11-01 or 2026-11-01T06:00Z.")],
    until: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="Calls before then; by default all up to now.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Calls of this account only.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Calls of this model only, as reported.")] = None,
    write: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Write it; without it the difference is shown alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    data: Data = None,
) -> None:
    """Price stored calls by the price lists of now: those without an amount, and our own estimates.

    Shows by account and model how many calls would get an amount, how many estimates would differ, and what they come
    to before and after. With --apply a call without an amount is completed by its estimate, and an estimate that
    differs gets a correction with the difference; the ledger has what was done, by which lists. What was reported or
    billed is never touched, nor is a call that its gateway has corrected. Ended at any moment, run it again to go on;
    when nothing differs any more, it writes nothing.

    \b
    Look first:  calledger reprice --since 2026-11-01
    Then:        calledger reprice --since 2026-11-01 --apply
    """
    start = _moment("--since", since)
    end = datetime.now(UTC) if until is None else _moment("--until", until)
    if start >= end:
        raise typer.BadParameter("--since must be earlier than --until")

    async def work(runtime: Runtime) -> Repriced:
        """Price the calls anew, or compare."""
        account_id = None if account is None else await _account(runtime, account)
        return await _reprice(
            runtime, RepriceRange(start, end, account_id, model), write=write, note=_note(account, model)
        )

    names: dict[int, str] = {}

    async def named(runtime: Runtime) -> Repriced:
        """Do the work, and look up the accounts that are in it."""
        result = await work(runtime)
        ids = {account_id for account_id, _, _ in result.differences if account_id is not None}
        names.update({account_id: await runtime.accounts.name(account_id) for account_id in ids})
        return result

    result = in_runtime(data, named)
    if as_json:
        say(orjson.dumps(_json(result, names, written=write)).decode())
    else:
        _print(result, names, written=write)


def _moment(option: str, text: str) -> datetime:
    """A UTC day, or a moment with its offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} `{text[:40]}` is no moment: write 2026-11-01 or 2026-11-01T06:00Z"
        ) from None
    if moment.tzinfo is None:
        if len(text) != 10:
            raise typer.BadParameter(f"{option} `{text[:40]}` has no offset: end it by Z for UTC")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


async def _account(runtime: Runtime, name: str) -> int:
    found = await runtime.accounts.find(name)
    if found is None:
        raise RequestError(f"there is no account `{name[:200]}`")
    return found


def _note(account: str | None, model: str | None) -> str | None:
    """What the calls were chosen by, for the ledger's erasable note."""
    chosen = [f"{what} {name}" for what, name in (("account", account), ("model", model)) if name is not None]
    return ", ".join(chosen) or None


async def _reprice(runtime: Runtime, within: RepriceRange, *, write: bool, note: str | None) -> Repriced:
    prices = load_prices(runtime.settings)
    repricing = Repricing(runtime.database, runtime.accounts, prices, lambda: runtime.applied.policy)
    if not repricing.keeps("amount"):
        raise OperatorError("the policy keeps no amounts: there is nothing to price")
    about: dict[str, Any] = {
        "since": f"{within.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{within.until:%Y-%m-%dT%H:%M:%SZ}",
        "price_lists": [one.version.replace("@", ":") for one in prices.lists],  # an @ could be an address
    }
    if write:
        await runtime.ledger.append(LedgerKind.REPRICE_INTENT, about, actor="cli", note=note)
    whole = False
    try:
        with progress() as bar:
            task = bar.add_task("pricing", total=(within.until - within.since).total_seconds())
            async for reached in repricing.run(within, write=write):
                done = (reached - within.since).total_seconds()
                bar.update(task, completed=done, description=f"pricing: {repricing.result.seen} calls")
        whole = True
    finally:
        if write:
            facts = about | _sums(repricing.result) | {"whole": whole}
            await runtime.ledger.append(LedgerKind.REPRICE_RESULT, facts, actor="cli", note=note)
    return repricing.result


def _sums(result: Repriced) -> dict[str, Any]:
    """Counts, and by currency what the changed calls came to before and come to now."""
    sums: dict[str, dict[str, str]] = {}
    for currency in sorted({currency for _, _, currency in result.differences}):
        some = [one for (_, _, its), one in result.differences.items() if its == currency]
        before, after = sum((one.before for one in some), Decimal(0)), sum((one.after for one in some), Decimal(0))
        sums[currency.lower()] = {"before": f"{before:f}", "after": f"{after:f}"}
    return {
        "completed": sum(one.completed for one in result.differences.values()),
        "corrected": sum(one.corrected for one in result.differences.values()),
        "amounts": sums,
    }


def _rows(result: Repriced, names: Mapping[int, str]) -> list[tuple[object, ...]]:
    rows = [
        (
            "(others)" if account is None else names[account],
            "(others)" if model is None else model,
            currency,
            one.completed,
            one.corrected,
            f"{one.before:f}",
            f"{one.after:f}",
            f"{one.after - one.before:+f}",
        )
        for (account, model, currency), one in result.differences.items()
    ]
    return sorted(rows, key=lambda row: tuple(map(str, row)))


_HEADINGS = ("account", "model", "currency", "without amount", "other estimate", "before", "after", "difference")


def _print(result: Repriced, names: Mapping[int, str], *, written: bool) -> None:
    rows = _rows(result, names)
    if rows:
        table(_HEADINGS, rows)
    for why, count in sorted(result.left.items()):
        say(f"{count} calls left as they are: {why}")
    sums = _sums(result)
    done = "were" if written else "would be"
    say(f"of {result.seen} calls {sums['completed']} {done} completed, {sums['corrected']} {done} corrected")
    if rows and not written:
        say("nothing is written: add --apply")


def _json(result: Repriced, names: Mapping[int, str], *, written: bool) -> dict[str, Any]:
    keys = ("account", "model", "currency", "completed", "corrected", "before", "after", "difference")
    differences = [dict(zip(keys, row, strict=True)) for row in _rows(result, names)]
    return {"written": written, "calls": result.seen, **_sums(result), "left": result.left, "differences": differences}
