"""Errors, their groups, and what is opened of what is sealed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from rows import SeededLedger, StoredCall, StoredError, error_id, open_seeded

from policies.admission.segments import ErrorDetails, Parameter, ParameterAction
from policies.policy.model import Role, View
from service.keyring import AccountKeyName, KeyringUnavailableError, PeriodKeyName
from service.query.model.scope import Scope

SECRET = "canary-5521"
DETAILS = ErrorDetails(
    message=("limit reached for ", ("email", f"{SECRET}@example.org"), ", key ", ("openai-key", None)),
    parameters={
        "temperature": Parameter(ParameterAction.KEPT, ("0.2",)),
        "model": Parameter(ParameterAction.MASKED, ('"', ("email", SECRET), '"')),
        "messages": Parameter(ParameterAction.SHAPED, ('{"count":2}',)),
        "seed": Parameter(ParameterAction.DROPPED, None),
    },
)
QUERY = """{ errors { nodes { id type code message disclosure occurredAt fingerprint parameters { name value action }
redactions { rule count } call { id status error { id message } } } } }"""


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


async def _one(seeded: SeededLedger, **error: object) -> tuple[StoredCall, str]:
    call = StoredCall(
        await seeded.now() - timedelta(hours=2),
        failed=True,
        error_type="RateLimitError",
        error_code="429",
        error=StoredError(delay_ms=812, rules={"email": 2, "openai-key": 1}, **error),  # type: ignore[arg-type]
    )
    [id_] = await seeded.put([call])
    return call, id_


async def test_an_error_is_shown_masked(seeded: SeededLedger) -> None:
    """Message and parameters come as masked text; what is kept under seal is shown to no role, the admin included."""
    call, id_ = await _one(seeded, details=DETAILS)
    number = await seeded.accounts.find("acme")
    assert number is not None

    data = await seeded.data(QUERY)

    assert SECRET not in str(data)
    error = error_id(number, call)
    message = "limit reached for [redacted:email], key [redacted:openai-key]"
    [node] = data["errors"]["nodes"]
    assert node.pop("occurredAt").endswith("Z")
    assert node == {
        "id": error,
        "type": "RateLimitError",
        "code": "429",
        "message": message,
        "disclosure": "MASKED",
        "fingerprint": "0000000000000001",
        "parameters": [
            {"name": "messages", "value": '{"count":2}', "action": "SHAPED"},
            {"name": "model", "value": '"[redacted:email]"', "action": "MASKED"},
            {"name": "seed", "value": None, "action": "DROPPED"},
            {"name": "temperature", "value": "0.2", "action": "KEPT"},
        ],
        "redactions": [{"rule": "email", "count": 2}, {"rule": "openai-key", "count": 1}],
        "call": {"id": id_, "status": "FAILED", "error": {"id": error, "message": message}},
    }
    by_id = await seeded.data(
        "query($e: ID!) { node(id: $e) { __typename id ... on CallError { message disclosure } ... on Call { model } "
        "} }",
        variables={"e": error},
    )
    assert by_id == {"node": {"__typename": "CallError", "id": error, "message": message, "disclosure": "MASKED"}}


async def _disclosure(seeded: SeededLedger, scope: Scope | None = None) -> tuple[str, object]:
    data = await seeded.data("{ errors { nodes { disclosure message type } } }", scope)
    [node] = data["errors"]["nodes"]
    assert node["type"] == "RateLimitError"
    return node["disclosure"], node["message"]


async def test_nothing_hidden_is_clear(seeded: SeededLedger) -> None:
    """CLEAR: no rule fired, and every parameter was kept as it came."""
    await _one(seeded, details=ErrorDetails(("all of it",), {"n": Parameter(ParameterAction.KEPT, ("1",))}))
    assert await _disclosure(seeded) == ("CLEAR", "all of it")


async def test_nothing_kept(seeded: SeededLedger) -> None:
    """NOT_KEPT: the policy kept no details."""
    await _one(seeded, details=None)
    assert await _disclosure(seeded) == ("NOT_KEPT", None)


async def test_a_destroyed_key_costs_only_what_it_sealed(seeded: SeededLedger) -> None:
    """KEY_DESTROYED after the period's key is gone on purpose; type and time are still there."""
    call, _ = await _one(seeded, details=DETAILS)
    day = (call.started_at + timedelta(milliseconds=812)).strftime("%Y-%m-%d")
    await seeded.keyring.destroy([PeriodKeyName(1, "personal", day)])
    seeded.keyring.forget()
    assert await _disclosure(seeded) == ("KEY_DESTROYED", None)


async def test_an_erased_account_is_unreadable(seeded: SeededLedger) -> None:
    """KEY_DESTROYED as well when the account's key is destroyed."""
    await _one(seeded, details=DETAILS)
    number = await seeded.accounts.find("acme")
    assert number is not None
    await seeded.keyring.destroy([AccountKeyName(number)])
    seeded.keyring.forget()
    assert await _disclosure(seeded) == ("KEY_DESTROYED", None)


async def test_a_lost_key_says_so(seeded: SeededLedger, tmp_path: Path) -> None:
    """KEY_LOST when a key is neither here nor destroyed by us, and when the sealed bytes were altered."""
    await _one(seeded, details=DETAILS)
    async with seeded.database.owner.acquire() as connection:
        await connection.execute("UPDATE call_error SET sealed = set_byte(sealed, 90, get_byte(sealed, 90) # 1)")
    assert await _disclosure(seeded) == ("KEY_LOST", None)
    for file in (tmp_path / "keyring").rglob("*"):
        if file.is_file() and "personal" in str(file):
            file.unlink()
    seeded.keyring.forget()
    assert await _disclosure(seeded) == ("KEY_LOST", None)


async def test_an_unreachable_keyring_costs_only_what_is_sealed(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEALED while the keys cannot be reached: less data, no error."""
    await _one(seeded, details=DETAILS)

    async def away(*_: object, **__: object) -> bytes:
        raise KeyringUnavailableError

    monkeypatch.setattr(type(seeded.keyring), "key", away)
    assert await _disclosure(seeded) == ("SEALED", None)


async def test_a_role_that_may_not_read_is_told_so(seeded: SeededLedger) -> None:
    """SEALED for a role that is denied message and parameters; asking for them is refused."""
    await _one(seeded, details=DETAILS)
    scope = seeded.scope(Role.VIEWER)
    denied = dict.fromkeys(("CallError.message", "CallError.parameters"), View.DENIED)
    scope = Scope(scope.key_id, scope.role, None, scope.policy, MappingProxyType({**scope.views, **denied}))
    data = await seeded.data("{ errors { nodes { disclosure } } }", scope)
    assert data["errors"]["nodes"] == [{"disclosure": "SEALED"}]


async def test_errors_end_with_their_window_and_calls_go_on(seeded: SeededLedger) -> None:
    """After thirty days the details are gone to the millisecond; the call still names the error's type."""
    now = await seeded.now()
    calls = [
        StoredCall(
            now - timedelta(days=30) + shift, failed=True, error_type="E", source_id=str(index), error=StoredError()
        )
        for index, shift in enumerate([timedelta(minutes=2), timedelta(milliseconds=-1), timedelta(days=-3)])
    ]
    ids = await seeded.put(calls)
    number = await seeded.accounts.find("acme")
    assert number is not None

    data = await seeded.data(
        "{ errors { totalCount nodes { call { id } } } calls { nodes { id errorType error { id } } } }"
    )

    assert data["errors"] == {"totalCount": 1, "nodes": [{"call": {"id": ids[0]}}]}
    assert [(node["errorType"], node["error"] is None) for node in data["calls"]["nodes"]] == [
        ("E", False),
        ("E", True),
        ("E", True),
    ]
    gone = await seeded.data("query($e: ID!) { node(id: $e) { id } }", variables={"e": error_id(number, calls[1])})
    assert gone == {"node": None}


async def test_groups_count_and_page(seeded: SeededLedger) -> None:
    """Groups come by count, first or last seen, page without gaps, and show the newest message."""
    now = await seeded.now()
    calls = []
    for fingerprint, count in ((-5, 4), (2**40, 2), (7, 2), (9, 1)):
        for index in range(count):
            details = ErrorDetails((f"{fingerprint} at {index}",))
            calls.append(
                StoredCall(
                    now - timedelta(hours=1 + index * 10, minutes=abs(fingerprint) % 50),
                    source_id=f"{fingerprint}/{index}",
                    model=f"m{index}",
                    failed=True,
                    error=StoredError(type=f"T{fingerprint}", fingerprint=fingerprint, details=details),
                )
            )
    await seeded.put(calls)
    query = """query($after: String, $order: ErrorGroupOrder) { errorGroups(first: 1, after: $after, orderBy: $order) {
      totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
      nodes { fingerprint type count firstSeen lastSeen models sampleMessage } } }"""

    for order, expected in (
        ({"field": "COUNT", "direction": "DESC"}, [-5, 2**40, 7, 9]),
        ({"field": "COUNT", "direction": "ASC"}, [9, 7, 2**40, -5]),
        ({"field": "LAST_SEEN", "direction": "DESC"}, None),
        ({"field": "FIRST_SEEN", "direction": "ASC"}, None),
    ):
        seen, after, groups = [], None, []
        while True:
            page = (await seeded.data(query, variables={"after": after, "order": order}))["errorGroups"]
            assert page["totalCount"] == 4
            assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
            [node] = page["nodes"]
            groups.append(node)
            seen.append(int.from_bytes(bytes.fromhex(node["fingerprint"]), "big", signed=True))
            assert node["sampleMessage"] == f"{seen[-1]} at 0"
            assert node["type"] == f"T{seen[-1]}"
            assert node["models"] == [f"m{index}" for index in range(int(node["count"]))]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert sorted(seen) == [-5, 7, 9, 2**40]
        if expected:
            assert seen == expected
        else:
            key = {"LAST_SEEN": "lastSeen", "FIRST_SEEN": "firstSeen"}[order["field"]]
            keys = [group[key] for group in groups]
            assert keys == sorted(keys, reverse=order["direction"] == "DESC")


async def test_errors_are_filtered_by_what_they_have(seeded: SeededLedger) -> None:
    """By fingerprint, rule, type and user, each with its complement."""
    now = await seeded.now()
    await seeded.put(
        [
            StoredCall(
                now - timedelta(hours=1),
                source_id="a",
                user="u1",
                failed=True,
                error=StoredError("A", None, fingerprint=-1, rules={"email": 1, "iban": 2}),
            ),
            StoredCall(
                now - timedelta(hours=2),
                source_id="b",
                user="u2",
                failed=True,
                error=StoredError("B", "500", fingerprint=2),
            ),
        ]
    )

    async def types(filter_: str) -> list[str]:
        data = await seeded.data(f"{{ errors(filter: {filter_}) {{ nodes {{ type }} }} }}")
        return [node["type"] for node in data["errors"]["nodes"]]

    assert await types('{fingerprint: {eq: "ffffffffffffffff"}}') == ["A"]
    assert await types('{redactedBy: {eq: "iban"}}') == ["A"]
    assert await types('{redactedBy: {ne: "iban"}}') == ["B"]
    assert await types('{redactedBy: {startsWith: "em"}}') == ["A"]
    assert await types("{redactedBy: {isNull: true}}") == ["B"]
    assert await types('{redactedBy: {notIn: ["email", "x"]}}') == ["B"]
    assert await types('{code: {ne: "500"}}') == ["A"]
    assert await types('{user: {id: "u2"}}') == ["B"]
    assert await types('{not: {user: {id: "u2"}}}') == ["A"]
    assert await types('{user: {id: "u3"}}') == []
