"""Calls as the schema answers them, on a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import Role
from service.api.schema import build_schema
from service.storage.sources import AMOUNT_UNKNOWN_NUMBERS


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


async def test_a_call_is_answered_as_it_was_stored(seeded: SeededLedger) -> None:
    """Every field of a call comes back exactly: money to the last place, moments to the millisecond."""
    now = await seeded.now()
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
        trace_id="trace-1",
        session_id="session-1",
        attempt=2,
        cache_hit=False,
        deployment="eu-1",
        team="search",
        organization="Acme Inc",
        normalized_error="429_RATE_LIMIT_EXCEEDED",
        provider_request_id="req_9",
        units={"seconds": "12.50", "images": "2"},
    )
    [id_] = await seeded.put([call])

    data = await seeded.data(
        """{ calls { nodes { id sourceId source startedAt account apiKey user model servedModel provider operation
        status streamed inputTokens outputTokens totalTokens cacheReadTokens cacheWriteTokens reasoningTokens
        tokenEfficiency amount { amount currency source } amountParts { meter quantity unitPrice amount priceList }
        latencyMs timeToFirstTokenMs tags { key value } errorType errorCode error { id } traceId sessionId attempt
        cacheHit deployment team organization normalizedError providerRequestId units { name quantity } } } }"""
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
        "totalTokens": "1500",
        "cacheReadTokens": 800,
        "cacheWriteTokens": 0,
        "reasoningTokens": 0,
        "tokenEfficiency": 0.25,
        "amount": {"amount": "0.000000000123", "currency": "USD", "source": "REPORTED"},
        "amountParts": [
            {"meter": "input", "quantity": "1200", "unitPrice": "0.0000025", "amount": "0.003", "priceList": None}
        ],
        "latencyMs": 812,
        "timeToFirstTokenMs": 230,
        "tags": [{"key": "app", "value": "web"}, {"key": "team", "value": "search"}],
        "errorType": None,
        "errorCode": None,
        "error": None,
        "traceId": "trace-1",
        "sessionId": "session-1",
        "attempt": 2,
        "cacheHit": False,
        "deployment": "eu-1",
        "team": "search",
        "organization": "Acme Inc",
        "normalizedError": "429_RATE_LIMIT_EXCEEDED",
        "providerRequestId": "req_9",
        "units": [{"name": "images", "quantity": "2"}, {"name": "seconds", "quantity": "12.5"}],
    }


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('{traceId: {eq: "trace-1"}}', {"first", "retry"}),
        ('{traceId: {eq: "trace-1"}, attempt: {gt: 1}}', {"retry"}),
        ("{cacheHit: {eq: true}}", {"cached"}),
        ('{team: {startsWith: "sea"}, organization: {eq: "Acme"}}', {"first"}),
        ('{deployment: {in: ["eu-1"]}}', {"retry"}),
        ('{normalizedError: {contains: "RATE"}}', {"first"}),
        ("{sessionId: {isNull: false}}", {"cached"}),
        ('{providerRequestId: {eq: "req_9"}}', {"cached"}),
    ],
)
async def test_calls_are_found_by_what_they_belong_to(seeded: SeededLedger, filter_: str, found: set[str]) -> None:
    """Trace, session, attempt, cache, deployment, team, organization, error word and provider's id are filters."""
    now = await seeded.now() - timedelta(minutes=1)
    error = "429_RATE_LIMIT_EXCEEDED"
    await seeded.put(
        [
            StoredCall(now, source_id="first", trace_id="trace-1", team="search", organization="Acme", attempt=1,
                       normalized_error=error),
            StoredCall(now, source_id="retry", trace_id="trace-1", attempt=2, deployment="eu-1"),
            StoredCall(now, source_id="cached", session_id="s", cache_hit=True, provider_request_id="req_9"),
        ]
    )  # fmt: skip

    data = await seeded.data(f"{{ calls(filter: {filter_}) {{ nodes {{ sourceId }} }} }}")

    assert {node["sourceId"] for node in data["calls"]["nodes"]} == found


async def test_viewer_says_who_asks(seeded: SeededLedger) -> None:
    """`viewer` names role, accounts and the view of every field."""
    number = await seeded.join("acme")

    data = await seeded.data(
        "{ viewer { role accounts keyId fields { field view filterable } } }", seeded.scope(Role.PARTNER, number)
    )

    viewer = data["viewer"]
    assert (viewer["role"], viewer["accounts"], viewer["keyId"]) == ("PARTNER", ["acme"], "testkey2")
    views = {view["field"]: view for view in viewer["fields"]}
    assert views["Call.user"] == {"field": "Call.user", "view": "MASKED", "filterable": True}
    assert views["Call.model"]["view"] == "SEE"


async def test_viewer_says_what_may_be_asked(seeded: SeededLedger) -> None:
    """`rootFields` are those that the policy grants the role, and each of them is a root field of the schema."""
    number = await seeded.join("acme")
    asked: dict[Role, set[str]] = {}
    for role in (Role.PARTNER, Role.AUDITOR, Role.ADMIN):
        data = await seeded.data("{ viewer { rootFields } }", seeded.scope(role, number))
        asked[role] = set(data["viewer"]["rootFields"])

    roots = await seeded.data("{ __schema { types { name fields { name } } } }")
    known = {
        field["name"]
        for type_ in roots["__schema"]["types"]
        if type_["name"] in ("Query", "Mutation", "Subscription")
        for field in type_["fields"]
    }
    assert {"calls", "node", "nodes", "callRecorded", "createSessionToken"} <= asked[Role.PARTNER]
    assert not asked[Role.PARTNER] & {"policy", "apiKeys", "revealError", "ledger"}
    assert {"ledger", "retention", "account"} <= asked[Role.AUDITOR]
    assert not asked[Role.AUDITOR] & {"calls", "costs", "createSessionToken"}
    assert asked[Role.ADMIN] == known


CONNECTION = """query($first: Int, $after: String, $last: Int, $before: String, $o: [CallOrder!]) {
  calls(first: $first, after: $after, last: $last, before: $before, orderBy: $o) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { sourceId } } nodes { sourceId } } }"""


async def test_pages_by_every_combination_of_cursors(seeded: SeededLedger) -> None:
    """`first` or `last`, with `after`, `before` or both: the right rows, and what lies before and behind them."""
    now = await seeded.now()
    # Pairs at the same moment: a page may end between them.
    calls = [StoredCall(now - timedelta(hours=9 * (index // 2)), source_id=str(index)) for index in range(12)]
    await seeded.put(calls)
    for order in ([], [{"field": "STARTED_AT", "direction": "ASC"}]):
        whole = (await seeded.data(CONNECTION, variables={"o": order}))["calls"]
        names = [node["sourceId"] for node in whole["nodes"]]
        cursors = [edge["cursor"] for edge in whole["edges"]]
        assert len(set(names)) == len(set(cursors)) == 12
        assert whole["pageInfo"] == {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": cursors[0],
            "endCursor": cursors[-1],
        }
        for after in (None, 0, 3, 11):
            for before in (None, 11, 6, 4, 0):
                inside = list(range(12))[0 if after is None else after + 1 : 12 if before is None else before]
                for size, end in ((1, "first"), (4, "first"), (20, "first"), (1, "last"), (4, "last"), (20, "last")):
                    variables = {
                        "o": order,
                        end: size,
                        "after": None if after is None else cursors[after],
                        "before": None if before is None else cursors[before],
                    }
                    page = (await seeded.data(CONNECTION, variables=variables))["calls"]
                    expected = inside[:size] if end == "first" else inside[-size:]
                    assert [edge["node"]["sourceId"] for edge in page["edges"]] == [names[i] for i in expected]
                    assert [node["sourceId"] for node in page["nodes"]] == [names[i] for i in expected]
                    assert page["totalCount"] == 12
                    info = page["pageInfo"]
                    assert info["startCursor"] == (cursors[expected[0]] if expected else None)
                    assert info["endCursor"] == (cursors[expected[-1]] if expected else None)
                    if expected:
                        assert info["hasNextPage"] is (expected[-1] < 11), (variables, expected)
                        assert info["hasPreviousPage"] is (expected[0] > 0), (variables, expected)


async def test_nothing_reported_is_null(seeded: SeededLedger) -> None:
    """What was not reported is null, never zero or empty."""
    await seeded.put([StoredCall(await seeded.now())])
    fields = (
        "apiKey user servedModel provider operation streamed inputTokens outputTokens totalTokens cacheReadTokens "
        "cacheWriteTokens reasoningTokens tokenEfficiency latencyMs timeToFirstTokenMs errorType errorCode"
    )
    data = await seeded.data(
        f"{{ calls {{ nodes {{ {fields} amount {{ amount }} amountParts {{ meter }} "
        "tags { key } error { id } } } }"
    )
    assert set(data["calls"]["nodes"][0].values()) == {None}


async def test_a_clock_that_runs_ahead_hides_nothing(seeded: SeededLedger) -> None:
    """A call whose gateway's clock is days ahead is on the first page."""
    now = await seeded.now()
    await seeded.put([StoredCall(now + timedelta(days=3), source_id="ahead"), StoredCall(now, source_id="now")])
    data = await seeded.data("{ calls { nodes { sourceId } } }")
    assert [node["sourceId"] for node in data["calls"]["nodes"]] == ["ahead", "now"]


async def test_calls_are_found_by_why_their_amount_is_unknown(seeded: SeededLedger) -> None:
    """Both paths say why there is no amount, and the filter finds calls by it."""
    now = await seeded.now()
    numbers = [None, *AMOUNT_UNKNOWN_NUMBERS.values()]
    await seeded.put([StoredCall(now, source_id=str(number), amount_unknown=number) for number in numbers])

    async def found(condition: str) -> set[str]:
        query = f"{{ calls(filter: {{amountUnknown: {condition}}}) {{ nodes {{ sourceId amountUnknown }} }} }}"
        answers = []
        for compiled in (False, True):
            result = await build_schema(compiled=compiled).execute(query, context_value=seeded.context())
            assert result.errors is None, result.errors
            answers.append(result.data)
        assert answers[0] == answers[1]
        return {node["amountUnknown"] for node in answers[0]["calls"]["nodes"]}

    assert await found("{isNull: false}") == set(AMOUNT_UNKNOWN_NUMBERS)
    assert await found("{isNull: true}") == {None}
    assert await found("{eq: NEGATIVE}") == {"NEGATIVE"}
    assert await found("{in: [NOT_PRICED, UNREADABLE]}") == {"NOT_PRICED", "UNREADABLE"}
    assert await found("{ne: NOT_PRICED}") == {None, "NOT_REPORTED", "UNREADABLE", "NEGATIVE"}


async def test_a_total_beyond_32_bits_does_not_fail(seeded: SeededLedger) -> None:
    """`totalCount` is a number of up to 53 bits: three billion calls are three billion, as they are in `costs`."""
    await seeded.put([StoredCall(await seeded.now() - timedelta(hours=1))])
    async with seeded.database.owner.acquire() as connection:
        await connection.execute("UPDATE usage_delta SET calls = 3000000000")
    data = await seeded.data("{ calls { totalCount } costs { totals { calls } } }")
    assert data["calls"]["totalCount"] == 3_000_000_000
    assert data["costs"]["totals"][0]["calls"] == "3000000000"
