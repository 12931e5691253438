"""The error records of failed calls on a real PostgreSQL: stored in the same commit, sealed, and never content."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ingesting import ACCEPTED, CONFLICT, DUPLICATE, RECENT, Ingest, call, failed, ingesting, statuses, sums_agree

from policies import PRESETS, load_preset
from service.keyring import AccountKeyName


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
