"""Calls as the schema answers them, on a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rows import Shelf, StoredCall, open_shelf

from policies.model import Role


@pytest.fixture
async def shelf(database_url: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    async with open_shelf(database_url, tmp_path) as shelf:
        yield shelf


async def test_a_call_is_answered_as_it_was_stored(shelf: Shelf) -> None:
    """Every field of a call comes back exactly: money to the last place, moments to the millisecond."""
    now = await shelf.now()
    call = StoredCall(
        now - timedelta(hours=1),
        source_id="req-1",
        served_model="gpt-4o-2024-11-20",
        provider="openai",
        operation="chat",
        api_key="prod",
        user="u-17",
        streamed=True,
        input_tokens=1200,
        output_tokens=300,
        cache_read_tokens=800,
        cache_write_tokens=0,
        reasoning_tokens=0,
        amount=Decimal("0.000000000123"),
        currency="USD",
        amount_source=2,
        amount_parts=[{"meter": "input", "quantity": "1200", "unit_price": "0.0000025", "amount": "0.003"}],
        latency_ms=812,
        time_to_first_token_ms=230,
        tags={"team": "search", "app": "web"},
    )
    [id_] = await shelf.put([call])

    data = await shelf.data(
        """{ calls { nodes { id sourceId source startedAt account apiKey user model servedModel provider operation
        status streamed inputTokens outputTokens totalTokens cacheReadTokens cacheWriteTokens reasoningTokens
        tokenEfficiency amount { amount currency source } amountParts { meter quantity unitPrice amount } latencyMs
        timeToFirstTokenMs tags { key value } errorType errorCode error { id } } } }"""
    )

    [node] = data["calls"]["nodes"]
    assert node.pop("user").startswith("usr_")
    assert node == {
        "id": id_,
        "sourceId": "req-1",
        "source": "native",
        "startedAt": call.started_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{call.started_at.microsecond // 1000:03d}Z",
        "account": "acme",
        "apiKey": "prod",
        "model": "gpt-4o",
        "servedModel": "gpt-4o-2024-11-20",
        "provider": "openai",
        "operation": "chat",
        "status": "SUCCEEDED",
        "streamed": True,
        "inputTokens": 1200,
        "outputTokens": 300,
        "totalTokens": 1500,
        "cacheReadTokens": 800,
        "cacheWriteTokens": 0,
        "reasoningTokens": 0,
        "tokenEfficiency": 0.25,
        "amount": {"amount": "0.000000000123", "currency": "USD", "source": "REPORTED"},
        "amountParts": [{"meter": "input", "quantity": "1200", "unitPrice": "0.0000025", "amount": "0.003"}],
        "latencyMs": 812,
        "timeToFirstTokenMs": 230,
        "tags": [{"key": "app", "value": "web"}, {"key": "team", "value": "search"}],
        "errorType": None,
        "errorCode": None,
        "error": None,
    }


async def test_viewer_says_who_asks(shelf: Shelf) -> None:
    """`viewer` names role, accounts and the view of every field."""
    number = await shelf.join("acme")

    data = await shelf.data(
        "{ viewer { role accounts keyId fields { field view filterable } } }", shelf.scope(Role.PARTNER, number)
    )

    viewer = data["viewer"]
    assert (viewer["role"], viewer["accounts"], viewer["keyId"]) == ("PARTNER", ["acme"], "testkey2")
    views = {view["field"]: view for view in viewer["fields"]}
    assert views["Call.user"] == {"field": "Call.user", "view": "MASKED", "filterable": True}
    assert views["Call.model"]["view"] == "SEE"
