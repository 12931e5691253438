"""Ingest over HTTP, as a gateway sees it: keys, bodies, answers."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from gateway import Gateway, error_of
from ingesting import RECENT, body, call

from policies import Role
from service.storage.ids import decode_call_id

PACKED = gzip.compress(b"[]")


async def test_answer_has_a_verdict_for_each_row(gateway: Gateway) -> None:
    """Counts, dropped fields, and a result with index, status and id or reason for each row, in order."""
    await gateway.post(body(call("known", amount="1"), call("changed", amount="1")))

    status, answer, headers = await gateway.post(
        body(
            call("new", messages=[{"content": "secret prompt"}], something=1),
            call("known", amount="1"),
            {"id": "bad"},
            call("changed", amount="2"),
        )
    )

    assert (status, headers["Content-Type"]) == (200, "application/json")
    results = answer.pop("results")
    assert answer == {
        "accepted": 1,
        "completed": 0,
        "duplicates": 1,
        "rejected": 1,
        "conflicts": 1,
        "refused": {"conflict": 1, "field_missing": 1},
        "dropped_fields": {"messages": 1, "unknown": 1},
    }
    assert [result["index"] for result in results] == [0, 1, 2, 3]
    assert [result["status"] for result in results] == ["accepted", "duplicate", "rejected", "conflict"]
    assert results[2] == {
        "index": 2,
        "status": "rejected",
        "code": "field_missing",
        "reason": "`started_at` is required",
    }
    assert decode_call_id(results[0]["id"]).started_at == RECENT


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(call("a"), indent=2).encode(),
        json.dumps([call("a")]).encode(),
        json.dumps(call("a")).encode() + b"\r\n\r\n",
        b"\xef\xbb\xbf" + json.dumps(call("a")).encode(),
        json.dumps(call("a")).encode() + b"\n" + json.dumps({"id": "b"}).encode(),
        b"not json\n" + json.dumps(call("a")).encode().replace(b"\n", b"")
        if False
        else json.dumps([call("a"), None]).encode(),
    ],
    ids=["pretty object", "array", "line", "byte order mark", "NDJSON", "null in array"],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-protobuf"])
async def test_form_is_found_by_looking(gateway: Gateway, content: bytes, content_type: str) -> None:
    """One object, an array and NDJSON are told apart by their bytes, whatever Content-Type says."""
    status, answer, _ = await gateway.post(content, Content_Type=content_type)

    assert (status, answer["accepted"]) == (200, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"5",
        b'"text"',
        b"{",
        b"[",
        b"[1,",
        b'{"a":}\n{"b":',
        b"\xff\xfe[\x00]\x00",
        b"\x1f\x8b\x08",
        b"[" * 99_999,
    ],
)
async def test_unreadable_body_is_400(gateway: Gateway, content: bytes) -> None:
    """A body that is JSON in no form is refused whole, with a reason and without its own text."""
    answer = await gateway.post(content)

    assert error_of(answer) == (400, "body_unreadable")
    assert "hello" not in answer[1]["error"]["message"]


async def test_line_that_is_no_json_is_rejected_by_itself(gateway: Gateway) -> None:
    """In NDJSON a broken line costs that line."""
    lines = [json.dumps(call("a")).encode(), b'{"id": "b", "prompt": "secret', json.dumps(call("c")).encode()]

    status, answer, _ = await gateway.post(b"\n".join(lines))

    assert (status, answer["accepted"], answer["rejected"]) == (200, 2, 1)
    assert answer["results"][1]["reason"] == "the row is not valid JSON"


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer nonsense", "Basic !!!", "Token x", "Bearer cl_aaaaaaaa_" + "x" * 49]
)
async def test_wrong_key_is_401(gateway: Gateway, header: str) -> None:
    """Without a valid key nothing is read, and the answer says how to send one."""
    answer = await gateway.post(body(call("a")), Authorization=header)

    assert error_of(answer) == (401, "unauthenticated")
    assert answer[2]["WWW-Authenticate"].startswith("Bearer")
    assert await gateway.ingest.value("SELECT count(*) FROM call") == 0


async def test_revoked_and_expired_keys_are_401(gateway: Gateway) -> None:
    """A key's end is an end."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    for record in ({"revoked_at": past}, {"expires_at": past}):
        await gateway.use_key(Role.INGEST, **record)
        assert error_of(await gateway.post(body(call("a")))) == (401, "unauthenticated")


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.INGEST, Role.ADMIN)])
async def test_roles_that_read_may_not_report(gateway: Gateway, role: Role) -> None:
    """Only `ingest` and `admin` report calls; a right key of another role is 403."""
    await gateway.use_key(role)

    assert error_of(await gateway.post(body(call("a")))) == (403, "forbidden")


async def test_a_broken_row_of_an_array_costs_no_other(gateway: Gateway) -> None:
    """What one client sends through a gateway never decides over the calls of another, in an array as in NDJSON."""
    broken = [b'{"id": "x"', b'{"id": NaN}', b'{"id": "cut', b'{"x": ' + b"[" * 9000 + b"]" * 9000 + b"}"]
    for number, row in enumerate(broken):
        good = [json.dumps(call(f"{number}-{name}")).encode() for name in "ab"]
        _, answer, _ = await gateway.post(b"[" + b", ".join([good[0], row, good[1]]) + b"]")
        assert [result["status"] for result in answer["results"]] == ["accepted", "rejected", "accepted"], row
        _, answer, _ = await gateway.post(b"\n".join([good[0], row, good[1]]))
        assert [result["status"] for result in answer["results"]] == ["duplicate", "rejected", "duplicate"], row


async def test_what_python_writes_costs_the_figure_and_no_call(gateway: Gateway) -> None:
    """Infinity in content is dropped with it; as an amount it is left out, said, and never estimated instead."""
    usage = {"input_tokens": 5, "output_tokens": 5}
    figures = [call("b", amount=float("inf"), **usage), call("c", amount="-1", **usage)]
    content = call("a", messages=[float("nan")], metadata={"x": float("-inf")})

    _, answer, _ = await gateway.post(json.dumps([content, *figures]).encode())

    assert answer["accepted"] == 3
    assert answer["results"][1]["warnings"] == [
        "`amount` is not a finite number: `NaN` and `Infinity` are no amounts: left out"
    ]
    assert answer["dropped_fields"] == {"amount": 2, "messages": 1, "unknown": 1}
    assert await gateway.ingest.value("SELECT count(*) FROM call WHERE amount IS NULL AND source_id <> 'a'") == 2


async def test_random_looking_accounts_and_ids_are_kept(gateway: Gateway) -> None:
    """Ids are as random as keys: they are stored as reported, and found again."""
    ids = ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "2NNEsZy9PVCDTZXEqLqfKYZ4aMD", "V1StGXR8_Z5jdHi6B-myT", "x" * 256, "x" * 512]
    ids += ["tz4a98xxat96iws9zmbrgj3a", "q83vEjRWeJCrze8SNFZ4kA==", "4532015112830366", "team-8f14e45f"]
    names = [id_ for id_ in ids if len(id_) <= 200]
    names += ["org_2aBcDeFgHiJkLmNoPqRsTuVwXyZ", "8f14e45fceea167a5a36dedd4bea2543"]

    _, first, _ = await gateway.post(body(*(call(id_) for id_ in ids)))
    _, second, _ = await gateway.post(body(*(call(f"n-{n}", account=n, api_key=n, model=n) for n in names)))

    assert (first["accepted"], second["accepted"]) == (len(ids), len(names)), (first, second)
    assert await gateway.ingest.value("SELECT count(*) FROM call WHERE source_id = ANY ($1)", ids) == len(ids)
    stored = await gateway.ingest.fetch(
        "SELECT a.name, api_key, model FROM call JOIN account a ON a.id = account_id WHERE a.name <> 'default'"
    )
    assert sorted(tuple(row) for row in stored) == sorted((name,) * 3 for name in names)


async def test_bound_key_reports_for_its_account_only(gateway: Gateway) -> None:
    """A row for another account is rejected by itself, without a word on whether that account exists."""
    await gateway.ingest.accounts.ensure(["umbrella"])
    await gateway.use_key(Role.INGEST, ["acme"])

    _, answer, _ = await gateway.post(body(call("a"), call("b", account="umbrella"), call("c", account="nobody")))

    assert [result["status"] for result in answer["results"]] == ["accepted", "rejected", "rejected"]
    assert answer["results"][1]["reason"] == answer["results"][2]["reason"]
