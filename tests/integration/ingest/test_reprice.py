"""Stored calls are priced anew: completions and corrections, once, and never what was billed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ingesting import RECENT, Ingest, call, ingesting, new_writer

from service.ingest.amendments.repricing import Repriced, RepriceRange, Repricing
from service.ingest.prices.price_file import read_price_list
from service.ingest.prices.price_list import Prices
from service.ingest.results import Status

SINCE, UNTIL = RECENT - timedelta(hours=2), RECENT + timedelta(hours=2)


def prices(per_million: str, name: str = "ours", currency: str = "USD") -> Prices:
    entry = f'[[prices]]\nmodel = "m"\ninput = "{per_million}"\noutput = "0"\n'
    return Prices(read_price_list(f'name = "{name}"\ncurrency = "{currency}"\n{entry}'.encode(), name))


FIRST, SECOND = prices("2"), prices("3", "newer")


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    """Calls without a price list of their model, and after `report_priced` with one."""
    async with ingesting(database_url, tmp_path) as there:
        yield there


async def report_priced(ingest: Ingest, lists: Prices, *rows: dict[str, Any]) -> None:
    writer, ingest.writer = ingest.writer, new_writer(ingest, prices=lists)
    await ingest.writer.start()
    verdicts = await ingest.report(*rows)
    await ingest.writer.close()
    ingest.writer = writer
    assert {verdict.status for verdict in verdicts} == {Status.ACCEPTED}


async def reprice(ingest: Ingest, lists: Prices, *, write: bool = True, within: RepriceRange | None = None) -> Repriced:
    repricing = Repricing(ingest.database, ingest.accounts, lists, lambda: ingest.applied.policy)
    async for _ in repricing.run(within or RepriceRange(SINCE, UNTIL), write=write):
        pass
    return repricing.result


async def net(ingest: Ingest) -> dict[str, tuple[str, int]]:
    """What each call comes to with its corrections, and how many of these it has, by the gateway's id."""
    rows = await ingest.fetch(
        """
        SELECT call.source_id, (call.amount + coalesce(sum(correction.amount), 0))::text AS net, count(correction.id)
        FROM call LEFT JOIN call AS correction
            ON correction.account_id = call.account_id AND correction.correction_of = call.id
        WHERE call.correction_of IS NULL GROUP BY call.source_id, call.amount
        """
    )
    return {row["source_id"]: (row["net"] and f"{Decimal(row['net']).normalize():f}", row["count"]) for row in rows}


TOKENS = {"model": "m", "input_tokens": 1_000_000, "output_tokens": 5}


async def test_unknown_amounts_are_completed_estimates_corrected_and_bills_left(ingest: Ingest) -> None:
    """One run puts all right, shows it by account and model, and a second one writes nothing; the sums stay right."""
    await ingest.report(
        call("unknown", account="acme", **TOKENS),
        call("billed", account="acme", amount="9", currency="USD", **TOKENS),
        call("negative", amount="-1", currency="USD", **TOKENS),
        call("failed", status="failed", error={"type": "x"}, **{**TOKENS, "output_tokens": 0}),
        call("other", **{**TOKENS, "model": "no-price"}),
    )
    await report_priced(ingest, FIRST, call("estimate", account="acme", **TOKENS))
    before = await net(ingest)
    assert before["estimate"] == ("2", 0)

    looked = await reprice(ingest, SECOND, write=False)
    assert await net(ingest) == before
    done = await reprice(ingest, SECOND)
    again = await reprice(ingest, SECOND)

    assert looked == done
    [((_, model, currency), difference)] = done.differences.items()
    assert (model, currency) == ("m", "USD")
    assert (difference.completed, difference.corrected) == (1, 1)
    assert (difference.before, difference.after) == (2, 6)
    assert done.left == {"no list has a price": 3}
    assert (again.differences, again.left) == ({}, done.left)
    assert {key: value for key, value in (await net(ingest)).items() if key in before} == {
        **before,
        "unknown": ("3", 0),
        "estimate": ("3", 1),
    }
    await ingest.assert_sums_are_right()


async def test_each_change_says_by_which_list_it_was_made_and_is_in_the_feed(ingest: Ingest) -> None:
    """Completions have the parts of an estimate, corrections one part with the list, and both are changes."""
    await ingest.report(call("unknown", **TOKENS))
    await report_priced(ingest, FIRST, call("estimate", **TOKENS))
    await reprice(ingest, SECOND)

    version = SECOND.lists[0].version
    rows = await ingest.fetch(
        """
        SELECT amount::text, amount_source, amount_unknown, amount_parts, correction_of IS NOT NULL AS corrects, model
        FROM call WHERE amount_parts @> jsonb_build_array(jsonb_build_object('price_list', $1::text))
        ORDER BY amount
        """,
        version,
    )
    assert [(Decimal(row["amount"]), row["amount_source"], row["amount_unknown"], row["corrects"]) for row in rows] == [
        (Decimal(1), 3, None, True),
        (Decimal(3), 3, None, False),
    ]
    assert {row["model"] for row in rows} == {"m"}
    assert '"difference"' in rows[0]["amount_parts"]
    kinds = await ingest.fetch("SELECT kind FROM call_change_new ORDER BY kind")
    assert [row["kind"] for row in kinds] == [0, 0, 1, 2]


async def test_prices_that_go_and_come_back_are_followed(ingest: Ingest) -> None:
    """Each run adds its difference under a number of its own, and down to nothing if the price is nothing."""
    await report_priced(ingest, FIRST, call("estimate", **TOKENS))
    for lists, expected in ((SECOND, "3"), (FIRST, "2"), (prices("0"), "0"), (SECOND, "3")):
        await reprice(ingest, lists)
        assert (await net(ingest))["estimate"][0] == expected
    assert (await net(ingest))["estimate"][1] == 4
    await ingest.assert_sums_are_right()


async def test_an_amount_that_is_billed_later_takes_the_place_of_the_estimate_and_its_corrections(
    ingest: Ingest,
) -> None:
    """Net is what was billed, to the last digit; from then on nothing prices the call any more."""
    await report_priced(ingest, FIRST, call("estimate", **TOKENS))
    await reprice(ingest, SECOND)

    [verdict] = await ingest.report(call("estimate", amount="0.5", currency="USD", **TOKENS))
    [again] = await ingest.report(call("estimate", amount="0.5", currency="USD", **TOKENS))
    done = await reprice(ingest, FIRST)

    assert (verdict.status, again.status) == (Status.COMPLETED, Status.DUPLICATE)
    assert (await net(ingest))["estimate"] == ("0.5", 2)
    assert done.differences == {}
    await ingest.assert_sums_are_right()


async def test_a_bill_may_be_less_than_what_the_estimate_was_lowered_by(ingest: Ingest) -> None:
    """What took the estimate down is taken back with it, and is not held against the bill."""
    await report_priced(ingest, SECOND, call("estimate", **TOKENS))
    await reprice(ingest, prices("0.5"))

    [verdict] = await ingest.report(call("estimate", amount="1", currency="USD", **TOKENS))

    assert (verdict.status, (await net(ingest))["estimate"]) == (Status.COMPLETED, ("1", 2))
    await ingest.assert_sums_are_right()


async def test_what_a_gateway_corrected_and_what_is_in_another_currency_is_left(ingest: Ingest) -> None:
    """A correction that was reported is a bill: the estimate under it is not ours to change any more."""
    await report_priced(ingest, FIRST, call("corrected", **TOKENS), call("dollars", **TOKENS))
    await ingest.report(
        call("refund", started_at=(RECENT + timedelta(minutes=1)).isoformat(), model="m", amount="-0.5",
             currency="USD", corrects="corrected")
    )  # fmt: skip

    done = await reprice(ingest, SECOND, within=RepriceRange(SINCE, UNTIL))
    euros = await reprice(ingest, prices("3", currency="EUR"))

    assert done.left == {"corrected by its gateway": 1}
    assert euros.left == {"corrected by its gateway": 1, "priced in another currency now": 1}
    assert (await net(ingest))["corrected"] == ("1.5", 1)
    await ingest.assert_sums_are_right()


async def test_only_the_calls_of_the_range_account_and_model_are_priced(ingest: Ingest) -> None:
    """The start is in, the end is not."""
    hour = timedelta(hours=1)
    for name, moment in (("early", RECENT - hour), ("at", RECENT), ("end", RECENT + hour)):
        await ingest.report(call(name, account="acme", **TOKENS, started_at=moment.isoformat()))
    await ingest.report(call("theirs", account="other", **TOKENS))
    acme = await ingest.accounts.find("acme")

    await reprice(ingest, FIRST, within=RepriceRange(RECENT, RECENT + hour, acme, "other-model"))
    assert {amount for amount, _ in (await net(ingest)).values()} == {None}
    await reprice(ingest, FIRST, within=RepriceRange(RECENT, RECENT + hour, acme, "m"))

    assert {name for name, (amount, _) in (await net(ingest)).items() if amount} == {"at"}


async def test_two_at_a_time_and_one_that_is_cancelled_write_each_change_once(ingest: Ingest) -> None:
    """Batches are decided on locked rows: whoever comes second finds nothing left of them to do."""
    rows = [call(f"c{number}", **TOKENS) for number in range(1500)]
    await report_priced(ingest, FIRST, *rows)
    await ingest.report(*(call(f"u{number}", **TOKENS) for number in range(1500)))
    first = asyncio.create_task(reprice(ingest, SECOND))
    await asyncio.sleep(0.2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    done = await asyncio.gather(reprice(ingest, SECOND), reprice(ingest, SECOND))

    assert sum(one.completed + one.corrected for part in done for one in part.differences.values()) <= 3000
    assert set((await net(ingest)).values()) >= {("3", 1), ("3", 0)}
    amounts = await ingest.fetch("SELECT count(*), sum(amount)::text AS total FROM call")
    assert (amounts[0]["count"], Decimal(amounts[0]["total"])) == (4500, 9000)
    await ingest.assert_sums_are_right()


async def test_accounts_under_erasure_are_left_alone(ingest: Ingest) -> None:
    """Nothing is written to what is about to be gone."""
    await ingest.report(call("gone", account="leaving", **TOKENS))
    account = await ingest.accounts.find("leaving")
    await ingest.database.owner.execute(
        """
        INSERT INTO erasure (id, kind, account_id, requested_by, requested_at, blocked_by)
        VALUES (gen_random_uuid(), 'ACCOUNT', $1, 'test', now(), '[]')
        """,
        account,
    )

    done = await reprice(ingest, FIRST, within=RepriceRange(SINCE, UNTIL, account))

    assert (done.seen, (await net(ingest))["gone"]) == (0, (None, 0))
