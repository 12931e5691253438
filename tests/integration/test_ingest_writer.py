"""The writer on a real PostgreSQL: what is acknowledged is stored once, exactly, and nothing else is."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ingesting import ANYONE, DELTA_SUMS, RAW_SUMS, RECENT, Ingest, body, call, eventually, ingesting

from policies import PRESETS, Role, Store, load_preset
from policies.policy.model import Action
from service.access.principal import Principal
from service.ingest.errors import QueueFullError, WriterClosedError
from service.ingest.formats.native.reader import read_native
from service.ingest.pipeline.writer import as_read
from service.ingest.prices.price_file import shipped_prices
from service.ingest.results import RowResult, Status
from service.keyring import AccountKeyName
from service.storage.errors import DatabaseUnavailableError
from service.storage.ids import decode_call_id
from service.storage.schema.models import AccountTier
from service.storage.sources import AMOUNT_UNKNOWN_NUMBERS

ACCEPTED, DUPLICATE, CONFLICT, REJECTED = Status.ACCEPTED, Status.DUPLICATE, Status.CONFLICT, Status.REJECTED
# What the writer's own connections run; pool connections that rest between two statements are left alone.
KILL_WRITERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
      AND (query LIKE '%call_staged%' OR query LIKE 'COPY%' OR query LIKE 'COMMIT%' OR query LIKE 'BEGIN%')
"""


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


def statuses(verdicts: list[RowResult]) -> list[Status]:
    return [verdict.status for verdict in verdicts]


async def sums_agree(ingest: Ingest) -> tuple[Any, ...]:
    """The sums over the calls, after comparing them with the sums over the deltas."""
    raw, deltas = (
        [tuple(row) for row in await ingest.fetch(RAW_SUMS)],
        [tuple(row) for row in await ingest.fetch(DELTA_SUMS)],
    )
    assert raw == deltas
    return raw[0]


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


# Errors and privacy ---------------------------------------------------------------------------------------------------


def failed(id_: str, **facts: Any) -> dict[str, Any]:
    error = {"type": "RateLimitError", "code": "429", "message": "Rate limit reached for bob@example.com"}
    return call(id_, **{"status": "failed", "user": "u-17", "error": error, **facts})


async def test_failed_call_gets_an_error_record_in_the_same_commit(ingest: Ingest) -> None:
    """The error stands in its own table under the call's id, sealed, at start plus latency."""
    await ingest.report(failed("a", latency_ms=812), failed("b"))

    [first, second] = await ingest.fetch(
        "SELECT call_error.*, call.error_at FROM call_error JOIN call USING (account_id, tier, id) "
        "ORDER BY occurred_at DESC"
    )
    assert RECENT + timedelta(milliseconds=812) == first["occurred_at"] == first["error_at"]
    assert first["fingerprint"] == second["fingerprint"]
    assert first["user_token"] == second["user_token"] is not None
    assert tuple(first[name] for name in ("error_type", "error_code", "rules", "rule_counts")) == (
        "RateLimitError",
        "429",
        ["email"],
        [1],
    )
    assert first["sealed"] != second["sealed"]


async def test_the_time_of_an_error_costs_no_call(ingest: Ingest) -> None:
    """An error before its call, or more than 24 hours after it, is stored at the end of its call."""

    def occurring(**after: float) -> dict[str, Any]:
        return {"type": "E", "message": "m", "occurred_at": (RECENT + timedelta(**after)).isoformat()}

    verdicts = await ingest.report(
        failed("a", error=occurring(seconds=-1)),
        failed("b", error=occurring(hours=25)),
        failed("c", error=occurring(seconds=1)),
    )

    assert statuses(verdicts) == [ACCEPTED] * 3
    rows = await ingest.fetch("SELECT occurred_at - started_at AS delay FROM call_error ORDER BY occurred_at")
    latency = timedelta(milliseconds=failed("a").get("latency_ms") or 0)
    assert [row["delay"] for row in rows] == sorted([latency, latency, timedelta(seconds=1)])


async def test_old_failed_call_is_stored_without_details(ingest: Ingest) -> None:
    """Past the window of errors a failed call keeps type and code, and neither record, token nor reference."""
    old = (RECENT - timedelta(days=31)).isoformat()

    assert statuses(await ingest.report(failed("a", started_at=old))) == [ACCEPTED]

    [row] = await ingest.fetch("SELECT error_at, user_token, error_type, error_code FROM call")
    assert tuple(row) == (None, None, "RateLimitError", "429")
    assert await ingest.value("SELECT count(*) FROM call_error") == 0


async def test_destroyed_keys_cost_details_and_never_the_call(ingest: Ingest) -> None:
    """When the keys of the account are destroyed, calls are stored without token and sealed details."""
    number = (await ingest.accounts.ensure(["acme"]))["acme"]
    await ingest.keyring.destroy([AccountKeyName(number)])

    assert statuses(await ingest.report(failed("a", account="acme"))) == [ACCEPTED]

    assert [tuple(row) for row in await ingest.fetch("SELECT user_token, sealed FROM call_error")] == [(None, None)]


@pytest.mark.parametrize("preset", PRESETS)
async def test_every_shipped_policy_stores_its_share(ingest: Ingest, preset: str) -> None:
    """Under each preset a failed call is stored and found again; the plain user is nowhere under any."""
    ingest.use_policy(load_preset(preset))

    row = failed("a", user="canary-user-17", amount="1", tags={"team": "x"}, api_key="prod")
    assert statuses(await ingest.report(row) + await ingest.report(row)) == [ACCEPTED, DUPLICATE]

    [stored] = await ingest.fetch("SELECT call::text AS text, error_at FROM call")
    errors = await ingest.fetch("SELECT call_error::text AS text, occurred_at FROM call_error")
    assert "canary" not in stored["text"] + "".join(error["text"] for error in errors)
    assert [stored["error_at"]] * len(errors) == [error["occurred_at"] for error in errors]
    assert (stored["error_at"] is None) == (not errors)


async def test_both_servers_store_alike(any_database_url: str, tmp_path: Path) -> None:
    """The oldest and the newest PostgreSQL take calls, errors, retries and conflicts the same way."""
    async with ingesting(any_database_url, tmp_path) as ingest:
        first = await ingest.report(call("a", amount="1", latency_ms=5), failed("b"))
        again = await ingest.report(failed("b"), call("a", amount="1"), call("a", amount="2"))

        assert statuses(first + again) == [ACCEPTED, ACCEPTED, DUPLICATE, DUPLICATE, CONFLICT]
        assert await sums_agree(ingest) == (2, 0, 0, Decimal(1))
        assert await ingest.value("SELECT count(*) FROM call_error") == 1


CANARIES = [f"canary-{n:02d}-correct horse battery staple {n:02d}" for n in range(9)]


async def test_content_is_in_no_column(ingest: Ingest) -> None:
    """Prompts, answers and tool arguments are nowhere in any table, whether the call failed or not, nor are users."""
    content = {
        "messages": [{"role": "user", "content": CANARIES[0]}],
        "prompt": CANARIES[1],
        "response": {"choices": [{"text": CANARIES[2]}]},
        "tools": [{"arguments": json.dumps({"q": CANARIES[3]})}],
        "something_unknown": CANARIES[4],
    }
    echo = {
        "type": "BadRequestError",
        "message": f"cannot answer: {CANARIES[0]}",
        "parameters": {"temperature": 0.1, "messages": [CANARIES[5]], "stop": CANARIES[6]},
        "traceback": CANARIES[7],
    }

    verdicts = await ingest.report(
        call("ok", user=CANARIES[8], **content), failed("bad", user=CANARIES[8], error=echo, **content)
    )

    assert statuses(verdicts) == [ACCEPTED, ACCEPTED]
    assert verdicts[0].dropped == {"messages": 1, "prompt": 1, "response": 1, "tools": 1, "unknown": 1}
    tables = "SELECT call::text FROM call UNION ALL SELECT call_error::text FROM call_error"
    stored = [row[0] for row in await ingest.fetch(f"{tables} UNION ALL SELECT usage_delta::text FROM usage_delta")]
    opened = await ingest.opened_errors()
    assert "cannot answer" in opened[0]
    assert "temperature" in opened[0]
    assert [text for text in stored + opened if "canary" in text or "horse battery" in text] == []


async def test_policy_that_changes_while_calls_wait_is_obeyed(ingest: Ingest) -> None:
    """Calls that were admitted under one policy and not yet stored are admitted again under the next."""
    policy = ingest.applied.policy
    fields = dict(policy.fields)
    fields["Call.apiKey"] = replace(fields["Call.apiKey"], action=Action.DROP)
    stricter = replace(policy, fields=fields)
    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await ingest.report(call("warm"))
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        first = asyncio.create_task(ingest.report(call("first", api_key="prod-web")))
        await waiting_for_lock(ingest)
        second = asyncio.create_task(ingest.report(call("second", api_key="prod-web")))
        await rows_waiting(ingest, 2)
        ingest.use_policy(stricter)
    await asyncio.gather(first, second)

    keys = dict(await ingest.fetch("SELECT source_id, api_key FROM call WHERE source_id <> 'warm'"))
    assert keys == {"first": "prod-web", "second": None}


async def waiting_for_lock(ingest: Ingest) -> None:
    """Return once the writer's statement stands behind a lock."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%call_staged%'"
    await eventually(lambda: ingest.value(statement))


async def rows_waiting(ingest: Ingest, rows: int) -> None:
    """Return once this many rows were taken and are not stored yet."""
    await eventually(lambda: ingest.writer.waiting_rows >= rows)


# Accounts -------------------------------------------------------------------------------------------------------------


async def bound(ingest: Ingest, *names: str) -> Principal:
    numbers = await ingest.accounts.ensure(names)
    return Principal("boundkey", Role.INGEST, tuple(numbers[name] for name in names))


async def account_names(ingest: Ingest) -> dict[str, str]:
    return dict(await ingest.fetch("SELECT source_id, name FROM call JOIN account ON account.id = account_id"))


async def test_account_comes_from_a_key_that_is_bound_to_one(ingest: Ingest) -> None:
    """A key bound to one account needs no account in the report, takes its own name, and no other."""
    key = await bound(ingest, "acme")
    await ingest.accounts.ensure(["umbrella"])

    verdicts = await ingest.report(
        call("a"), call("b", account="acme"), call("c", account="umbrella"), call("d", account="new"), principal=key
    )

    assert statuses(verdicts) == [ACCEPTED, ACCEPTED, REJECTED, REJECTED]
    assert verdicts[2].reason == verdicts[3].reason
    assert await account_names(ingest) == {"a": "acme", "b": "acme"}
    assert await ingest.accounts.find("new") is None


async def test_key_bound_to_several_accounts_must_name_one(ingest: Ingest) -> None:
    """With several accounts the report says which."""
    key = await bound(ingest, "acme", "umbrella")

    verdicts = await ingest.report(call("a"), call("b", account="umbrella"), principal=key)

    assert statuses(verdicts) == [REJECTED, ACCEPTED]
    assert await account_names(ingest) == {"b": "umbrella"}


async def test_unbound_key_makes_accounts(ingest: Ingest) -> None:
    """Without an account the report belongs to `default`; a new name becomes a new account."""
    await ingest.report(call("a"), call("b", account="brand-new"))

    assert await account_names(ingest) == {"a": "default", "b": "brand-new"}


async def test_account_that_looks_like_personal_data_is_no_account(ingest: Ingest) -> None:
    """Two accounts whose names would be masked alike must never become one."""
    verdicts = await ingest.report(call("a", account="bob@example.com"), call("b", account="eve@example.com"))

    assert statuses(verdicts) == [REJECTED, REJECTED]
    assert await ingest.value("SELECT count(*) FROM account WHERE name LIKE '%@%' OR name LIKE '%redacted%'") == 0


# Trouble --------------------------------------------------------------------------------------------------------------


async def test_full_queue_refuses_and_stores_nothing_of_the_refused(ingest: Ingest) -> None:
    """While the database stands still, rows beyond the queue are refused; those in it are stored later."""
    await ingest.report(call("warm"))
    writer = await ingest.another_writer(queue_rows=3, batch_rows=2)

    def submit(*ids: str) -> "asyncio.Task[list[RowResult]]":
        rows = read_native(body(*(call(id_) for id_ in ids)))
        return asyncio.create_task(writer.submit(rows, as_read, ANYONE, source="native"))

    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        waiting = submit("a", "b")
        await waiting_for_lock(ingest)
        with pytest.raises(QueueFullError):
            await submit("c", "d")
        third = submit("e")
    assert statuses(await waiting + await third) == [ACCEPTED, ACCEPTED, ACCEPTED]
    stored = [row[0] for row in await ingest.fetch("SELECT source_id FROM call ORDER BY 1")]
    assert stored == ["a", "b", "e", "warm"]
    assert writer.waiting_rows == 0


async def test_body_larger_than_the_queue_passes_in_parts(ingest: Ingest) -> None:
    """A body of more rows than the queue holds is stored all the same, some at a time."""
    writer = await ingest.another_writer(queue_rows=10, batch_rows=7)

    verdicts = await writer.submit(
        read_native(body(*(call(f"r{n}") for n in range(100)))), as_read, ANYONE, source="native"
    )

    assert Counter(statuses(verdicts)) == {ACCEPTED: 100}
    assert len({verdict.id for verdict in verdicts}) == 100


async def test_cancelled_client_does_not_cancel_the_batch(ingest: Ingest) -> None:
    """A client that goes away while its batch is stored loses its answer; its calls and its neighbours' are stored."""
    await ingest.report(call("warm"))
    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        first = asyncio.create_task(ingest.report(call("first")))
        await waiting_for_lock(ingest)
        gone = asyncio.create_task(ingest.report(call("gone")))
        stays = asyncio.create_task(ingest.report(call("stays")))
        await rows_waiting(ingest, 3)
        first.cancel()
        gone.cancel()
        await asyncio.gather(first, gone, return_exceptions=True)

    assert statuses(await stays) == [ACCEPTED]
    stored = {row[0] for row in await ingest.fetch("SELECT source_id FROM call")}
    assert {"warm", "first", "gone", "stays"} == stored
    assert ingest.writer.waiting_rows == 0


async def test_connections_killed_under_load_lose_and_double_nothing(ingest: Ingest) -> None:
    """With the writer's connections killed again and again, every acknowledged call is there, and counted once."""
    acknowledged: set[str] = set()
    sent = unknown = 0

    async def client(name: str) -> None:
        nonlocal sent, unknown
        for turn in range(500):
            if turn >= 12 and killing.done():
                break
            sent += 20
            rows = [call(f"{name}-{turn}-{n}", amount="0.01", input_tokens=1, latency_ms=5) for n in range(20)]
            try:
                verdicts = await ingest.report(*rows)
            except DatabaseUnavailableError:
                unknown += len(rows)
                continue
            acknowledged.update(row["id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict.id)

    async def killer() -> None:
        killed = 0
        connection = await asyncpg.connect(ingest.url)
        try:
            while killed < 4:
                killed += await connection.fetchval(KILL_WRITERS)
                await asyncio.sleep(0.003)
        finally:
            await connection.close()

    killing = asyncio.create_task(killer())
    await asyncio.gather(*(client(f"c{n}") for n in range(6)))
    assert killing.done(), "too few connections were killed: the test has shown nothing"

    stored = [row[0] for row in await ingest.fetch("SELECT source_id FROM call")]
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    assert len(acknowledged) + unknown == sent
    calls, tokens, _, amount = await sums_agree(ingest)
    assert (len(stored), len(stored), Decimal("0.01") * len(stored)) == (calls, tokens, amount)


async def test_database_that_is_away_stores_nothing_and_says_so(ingest: Ingest) -> None:
    """When no connection can be had the submission raises; afterwards the same report is accepted."""
    await ingest.report(call("warm"))
    name = await ingest.value("SELECT quote_ident(current_database())")
    operator = await asyncpg.connect(ingest.url)
    try:
        await operator.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
        )
        with pytest.raises(DatabaseUnavailableError):
            await ingest.report(call("a"))
    finally:
        await operator.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        await operator.close()

    assert statuses(await ingest.report(call("a"))) == [ACCEPTED]


async def test_partition_that_was_dropped_is_made_again(ingest: Ingest) -> None:
    """A partition that vanished behind the writer's back costs a second look, not the calls."""
    await ingest.report(call("a"))
    [partition] = [part for part in await ingest.partitions.list(Store.CALL) if part.start <= RECENT < part.end]
    await ingest.database.owner.execute(f"DROP TABLE {partition.name}")

    assert statuses(await ingest.report(call("b"))) == [ACCEPTED]


async def test_shutdown_stores_what_waits_and_takes_no_more(ingest: Ingest) -> None:
    """Closing the writer answers every submission that was taken before, and refuses those after."""
    writer = await ingest.another_writer(batch_rows=5)
    tasks = [
        asyncio.create_task(writer.submit(read_native(body(call(f"r{n}"))), as_read, ANYONE, source="native"))
        for n in range(30)
    ]
    await asyncio.sleep(0)

    await writer.close()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    taken = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert all(isinstance(answer, (list, WriterClosedError)) for answer in answers)
    assert len(taken) == await ingest.value("SELECT count(*) FROM call") > 0
    with pytest.raises(WriterClosedError):
        await writer.submit(read_native(body(call("late"))), as_read, ANYONE, source="native")


async def test_commits_are_durable_whatever_the_server_defaults_to(ingest: Ingest) -> None:
    """The test server defaults to `synchronous_commit = off`; the transaction that stores calls runs with `on`."""
    await ingest.note("current_setting('synchronous_commit')")
    await ingest.report(call("a"))

    assert await ingest.noted() == ["on"]
    assert await ingest.value("SHOW synchronous_commit") == "off"


async def test_ten_thousand_rows_in_one_body(ingest: Ingest) -> None:
    """A large NDJSON body is stored whole, in order, with every row's own id, and its retry adds nothing."""
    lines = [json.dumps(call(f"r{n}", amount="0.000001", input_tokens=1)) for n in range(10_000)]
    ndjson = "\n".join(lines).encode()

    first = await ingest.writer.submit(read_native(ndjson), as_read, ANYONE, source="native")
    again = await ingest.writer.submit(read_native(ndjson), as_read, ANYONE, source="native")

    assert Counter(statuses(first)) == {ACCEPTED: 10_000}
    assert Counter(statuses(again)) == {DUPLICATE: 10_000}
    assert [verdict.id for verdict in first] == [verdict.id for verdict in again]
    assert (10_000, 10_000, 0, Decimal("0.01")) == await sums_agree(ingest)
