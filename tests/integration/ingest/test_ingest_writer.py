"""The writer on a real PostgreSQL: what is acknowledged is stored once, exactly, and nothing else is."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from bodies import read_native
from ingesting import (
    ACCEPTED,
    ANYONE,
    CONFLICT,
    DUPLICATE,
    RECENT,
    REJECTED,
    Ingest,
    body,
    call,
    statuses,
    sums_agree,
)

from service import offload
from service.ingest.pipeline import writer as pipeline
from service.ingest.pipeline.writer import as_read
from service.ingest.prices.price_file import shipped_prices
from service.storage.ids import decode_call_id
from service.storage.schema.models import AccountTier
from service.storage.sources import AMOUNT_UNKNOWN_NUMBERS

# Exactness ------------------------------------------------------------------------------------------------------------


async def test_money_is_stored_exactly(ingest: Ingest) -> None:
    """A string is stored as it is, a number without the noise of binary floats, both to twelve places."""
    await ingest.report(
        call("a", amount="0.000000000001"),
        call("b", amount=0.00022500000000000002),
        call("c", amount="999999999999999.999999999999"),
        call("d", amount=5.549999999999999e-06),
    )

    amounts = [row["amount"] for row in await ingest.fetch("SELECT amount FROM call ORDER BY source_id")]
    expected = ["0.000000000001", "0.000225", "999999999999999.999999999999", "0.00000555"]
    assert [Decimal(text) for text in expected] == amounts


async def test_every_fact_reaches_its_column(ingest: Ingest) -> None:
    """A complete row comes back from the table fact by fact."""
    facts = {
        "account": "acme",
        "api_key": "prod-web",
        "served_model": "gpt-4o-2024-11-20",
        "provider": "openai",
        "operation": "chat",
        "streamed": True,
        "input_tokens": 1200,
        "output_tokens": 30,
        "cache_read_tokens": 800,
        "cache_write_tokens": 1,
        "reasoning_tokens": 2,
        "currency": "EUR",
        "latency_ms": 812,
        "time_to_first_token_ms": 230,
    }
    facts |= {
        "trace_id": "trace-1",
        "session_id": "session-1",
        "attempt": 2,
        "cache_hit": False,
        "deployment": "eu-1",
        "team": "search",
        "organization": "Acme Inc",
        "normalized_error": "429_RATE_LIMIT_EXCEEDED",
        "provider_request_id": "req_9",
    }
    parts = [{"name": "input", "quantity": 3100, "unit_price": "0.000001", "amount": "0.0031"}]
    units = {"images": 2, "seconds": "12.50"}
    [verdict] = await ingest.report(call("a", amount="0.0031", amount_parts=parts, units=units, **facts))

    [row] = await ingest.fetch(
        "SELECT call.*, account.name AS account FROM call JOIN account ON account_id = account.id"
    )
    assert facts == {name: row[name] for name in facts}
    assert (1, 1, Decimal("0.0031")) == (row["source"], row["amount_source"], row["amount"])
    assert json.loads(row["amount_parts"]) == [
        {"meter": "input", "quantity": "3100", "unit_price": "0.000001", "amount": "0.0031"}
    ]
    assert json.loads(row["units"]) == {"images": "2", "seconds": "12.5"}
    key = decode_call_id(verdict.id or "")
    assert (row["account_id"], row["id"], RECENT) == (key.account_id, key.uuid, key.started_at)


async def test_call_without_amount_is_estimated_and_marked(ingest: Ingest) -> None:
    """A known model is priced and marked ESTIMATED, an unknown one has no amount, and deltas tell them apart."""
    await ingest.report(
        call("a", input_tokens=1_000_000, output_tokens=100_000),
        call("b", model="made-up-model", input_tokens=10, output_tokens=1),
    )

    rows = {row["source_id"]: row for row in await ingest.fetch("SELECT source_id, amount, amount_source FROM call")}
    assert (Decimal("3.5"), 3) == (rows["a"]["amount"], rows["a"]["amount_source"])
    assert (rows["b"]["amount"], rows["b"]["amount_source"]) == (None, None)
    figures = "SELECT sum(calls), sum(priced), sum(amount), sum(estimated) FROM usage_delta"
    assert [(2, 1, Decimal("3.5"), Decimal("3.5"))] == [tuple(row) for row in await ingest.fetch(figures)]


async def test_why_an_amount_is_unknown_is_stored(ingest: Ingest) -> None:
    """A call without an amount says why, one with an amount says nothing, and an estimate says how it came about."""
    await ingest.report(
        call("priced", input_tokens=1_000_000, output_tokens=100_000),
        call("zero", amount="0", model="made-up-model", input_tokens=1),
        call("no-price", model="made-up-model", input_tokens=10, output_tokens=1),
        call("no-tokens"),
        call("no-answer", status="failed", input_tokens=10),
    )

    rows = await ingest.fetch("SELECT source_id, amount, amount_unknown, amount_parts FROM call")
    assert {row["source_id"]: (row["amount"], row["amount_unknown"]) for row in rows} == {
        "priced": (Decimal("3.5"), None),
        "zero": (Decimal(0), None),
        "no-price": (None, AMOUNT_UNKNOWN_NUMBERS["NOT_PRICED"]),
        "no-tokens": (None, AMOUNT_UNKNOWN_NUMBERS["NOT_REPORTED"]),
        "no-answer": (None, AMOUNT_UNKNOWN_NUMBERS["NOT_REPORTED"]),
    }
    version = shipped_prices().version
    [parts] = [json.loads(row["amount_parts"]) for row in rows if row["amount_parts"] is not None]
    assert parts == [
        {"meter": "input", "quantity": "1000000", "unit_price": "0.0000025", "amount": "2.5", "price_list": version},
        {"meter": "output", "quantity": "100000", "unit_price": "0.00001", "amount": "1", "price_list": version},
    ]


async def test_deltas_carry_quarter_hours_and_latency_buckets(ingest: Ingest) -> None:
    """Calls of one key and quarter hour make one delta row, with a latency bucket a call that reported one."""
    start = RECENT.replace(minute=0, second=0)
    await ingest.report(
        call("a", started_at=start.isoformat(), latency_ms=1),
        call("b", started_at=(start + timedelta(minutes=14, seconds=59)).isoformat(), latency_ms=1000),
        call("c", started_at=(start + timedelta(minutes=14)).isoformat()),
        call("d", started_at=(start + timedelta(minutes=15)).isoformat()),
    )

    rows = await ingest.fetch("SELECT bucket_at, calls, latency_buckets FROM usage_delta ORDER BY bucket_at")
    assert [(start, 3), (start + timedelta(minutes=15), 1)] == [(row["bucket_at"], row["calls"]) for row in rows]
    assert sorted(rows[0]["latency_buckets"]) == [0, 73]
    assert rows[1]["latency_buckets"] == []


# Once, and only once --------------------------------------------------------------------------------------------------


async def test_retried_call_is_a_duplicate_and_counts_once(ingest: Ingest) -> None:
    """The same report again is a duplicate with the same id, and neither calls nor usage grow."""
    first = await ingest.report(call("a", amount="1.5", input_tokens=10, output_tokens=2))
    second = await ingest.report(call("a", amount="1.50", input_tokens=10, output_tokens=2))

    assert statuses(first + second) == [ACCEPTED, DUPLICATE]
    assert first[0].id == second[0].id
    assert (1, 10, 2, Decimal("1.5")) == await sums_agree(ingest)


async def test_same_id_with_other_content_is_a_conflict(ingest: Ingest) -> None:
    """Another amount, model, status or token count under a stored id is a conflict; what is stored stays."""
    await ingest.report(call("a", amount="1.5", input_tokens=10))
    others = [
        call("a", amount="1.6", input_tokens=10),
        call("a", amount="1.5", input_tokens=11),
        call("a", amount="1.5", input_tokens=10, model="gpt-4.1"),
        call("a", amount="1.5", input_tokens=10, status="failed"),
        call("a", amount="1.5", input_tokens=10, currency="EUR"),
    ]

    for other in others:
        assert statuses(await ingest.report(other)) == [CONFLICT]
    assert (1, 10, 0, Decimal("1.5")) == await sums_agree(ingest)


async def test_what_is_not_content_of_the_bill_makes_no_conflict(ingest: Ingest) -> None:
    """A retry with another latency, tag or estimated price is a duplicate."""
    await ingest.report(call("a", input_tokens=10, output_tokens=1, latency_ms=5))

    assert statuses(await ingest.report(call("a", input_tokens=10, output_tokens=1, latency_ms=6))) == [DUPLICATE]


async def test_duplicates_within_a_batch(ingest: Ingest) -> None:
    """Of equal ids in one body the first is stored; the others are duplicates of it, or conflict with it."""
    verdicts = await ingest.report(call("a", amount="1"), call("a", amount="1"), call("a", amount="2"), call("b"))

    assert statuses(verdicts) == [ACCEPTED, DUPLICATE, CONFLICT, ACCEPTED]
    assert (2, 0, 0, Decimal(1)) == await sums_agree(ingest)


async def test_duplicates_within_a_batch_behind_a_conflict(ingest: Ingest) -> None:
    """When the first of equal ids conflicts with what is stored, the next is judged by what is stored."""
    await ingest.report(call("a", amount="1"))

    verdicts = await ingest.report(call("a", amount="2"), call("a", amount="1"), call("a", amount="3"))

    assert statuses(verdicts) == [CONFLICT, DUPLICATE, CONFLICT]


async def test_concurrent_retries_over_two_writers_count_once(ingest: Ingest) -> None:
    """Many tasks and two writers bring the same 300 calls at once: each is accepted once, by one of them."""
    writers = [ingest.writer, await ingest.another_writer()]
    rows = [call(f"r{n}", amount="0.01", input_tokens=n) for n in range(300)]

    def shuffled(turn: int) -> bytes:
        return body(*(rows[turn * 37 :] + rows[: turn * 37]))

    answers = await asyncio.gather(
        *(writers[turn % 2].submit(read_native(shuffled(turn)), as_read, ANYONE, source="native") for turn in range(8))
    )

    counts = Counter(verdict.status for verdicts in answers for verdict in verdicts)
    assert counts == {ACCEPTED: 300, DUPLICATE: 2100}
    assert (300, sum(range(300)), 0, Decimal(3)) == await sums_agree(ingest)


async def test_retry_after_a_tier_change_is_a_duplicate(ingest: Ingest) -> None:
    """An account that moves to another tier keeps its old calls in the old one: a retry finds them."""
    policy = ingest.applied.policy
    gold = replace(policy.tiers["standard"], name="gold", number=2)
    ingest.use_policy(replace(policy, tiers={**policy.tiers, "gold": gold}))
    await ingest.report(call("a", account="acme", amount="1"))
    account = (await ingest.accounts.ensure(["acme"]))["acme"]
    midnight = RECENT.replace(hour=0, minute=0, second=0) + timedelta(days=1)
    await AccountTier.create(account_id=account, tier=2, from_at=midnight)
    await ingest.accounts.refresh()

    retried = await ingest.report(call("a", account="acme", amount="1"))
    after = await ingest.report(call("b", account="acme", started_at=midnight.isoformat()))

    assert statuses(retried + after) == [DUPLICATE, ACCEPTED]
    assert [row["tier"] for row in await ingest.fetch("SELECT tier FROM call ORDER BY source_id")] == [1, 2]


async def test_sub_millisecond_digits_do_not_make_another_call(ingest: Ingest) -> None:
    """The same moment written with more digits, or in another zone, is the same call."""
    stamp = RECENT.strftime("%Y-%m-%dT%H:%M:%S")
    zoned = (RECENT + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S")

    await ingest.report(call("a", started_at=f"{stamp}.123Z"))
    verdicts = await ingest.report(
        call("a", started_at=f"{stamp}.1239999999Z"), call("a", started_at=f"{zoned}.123+05:30")
    )

    assert statuses(verdicts) == [DUPLICATE, DUPLICATE]


async def test_equal_source_ids_of_two_accounts_are_two_calls(ingest: Ingest) -> None:
    """The account is part of a call's identity."""
    verdicts = await ingest.report(call("a", account="acme"), call("a", account="umbrella"))

    assert statuses(verdicts) == [ACCEPTED, ACCEPTED]
    assert verdicts[0].id != verdicts[1].id


# Bad rows -------------------------------------------------------------------------------------------------------------


async def test_bad_row_among_good_ones(ingest: Ingest) -> None:
    """A bad row is rejected in its place with a reason; its neighbours are stored."""
    verdicts = await ingest.report(call("a"), call("b", model=""), {"id": "c"}, call("d"))

    assert statuses(verdicts) == [ACCEPTED, REJECTED, REJECTED, ACCEPTED]
    assert verdicts[1].reason == "`model` must be a string of 1 to 512 characters"
    assert verdicts[2].reason == "`started_at` is required"
    assert await ingest.value("SELECT count(*) FROM call") == 2


async def test_rows_that_only_the_database_refuses_are_found_by_bisection(ingest: Ingest) -> None:
    """Rows that pass our checks and fail the table's are rejected one by one; all others are stored and counted."""
    await ingest.database.owner.execute("ALTER TABLE call ADD CHECK (model <> 'cursed')")
    rows = [call(f"r{n}", model="cursed" if n in (0, 77, 78, 199) else "gpt-4o", amount="1") for n in range(200)]

    verdicts = await ingest.report(*rows)

    refused = [index for index, verdict in enumerate(verdicts) if verdict.status is REJECTED]
    assert refused == [0, 77, 78, 199]
    assert {"the database refused the call (SQLSTATE 23514)"} == {verdicts[index].reason for index in refused}
    assert (196, 0, 0, Decimal(196)) == await sums_agree(ingest)


async def test_follower_of_a_refused_row_is_tried_by_itself(ingest: Ingest) -> None:
    """The second of two equal ids is stored when the database refused only the first."""
    await ingest.database.owner.execute("ALTER TABLE call ADD CHECK (model <> 'cursed')")

    verdicts = await ingest.report(call("a", model="cursed"), call("a"), call("a", model="cursed"))

    assert statuses(verdicts) == [REJECTED, ACCEPTED, CONFLICT]


async def test_windows_are_kept(ingest: Ingest) -> None:
    """Older than calls are kept or more than a day ahead: rejected. Just inside either: stored."""

    def at(**ago: float) -> str:
        return (RECENT - timedelta(**ago)).isoformat()

    verdicts = await ingest.report(
        call("old", started_at=at(days=401)),
        call("oldest", started_at=at(days=399)),
        call("ahead", started_at=at(hours=-25)),
        call("far", started_at=at(days=-2)),
        call("epoch", started_at="1969-12-31T23:59:59Z"),
        call("late", started_at="9999-12-31T23:59:59Z"),
    )

    assert statuses(verdicts) == [REJECTED, ACCEPTED, ACCEPTED, REJECTED, REJECTED, REJECTED]
    assert verdicts[0].reason == "`started_at` is older than calls are kept (400 days)"


async def test_parts_that_share_a_turn_are_stored_in_their_order(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to look through the first, a later one, which may correct it, does not overtake it."""
    monkeypatch.setattr(pipeline, "TURN_S", -1.0)
    monkeypatch.setattr(offload, "TURN_S", -1.0)
    writer, turn = ingest.writer, asyncio.Lock()
    parts = [list(read_native(body(*rows))) for rows in ([call(f"c{one}") for one in range(100)], [call("c99")])]

    first, second = await asyncio.gather(
        *(writer.submit(part, as_read, ANYONE, source="native", wait_for_room=True, turn=turn) for part in parts)
    )

    assert Counter(statuses(first)) == {ACCEPTED: 100}
    assert statuses(second) == [DUPLICATE]
