"""Ingest over HTTP, as a gateway sees it: keys, bodies, answers."""

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from ingesting import RECENT, Ingest, body, call, eventually, ingesting

from policies import Role
from service.access.keys import new_key
from service.ingest.http import routes
from service.ingest.pipeline.writer import Writer
from service.ingest.refusal_log import RefusalLog
from service.storage.ids import decode_call_id
from service.storage.schema.models import ApiKey

MAX_BODY_BYTES = 4 * 2**20
PACKED = gzip.compress(b"[]")


class Gateway:
    """Posts to an ingest service with one API key."""

    def __init__(self, ingest: Ingest, writer: Writer, session: aiohttp.ClientSession, url: str) -> None:
        self.ingest = ingest
        self.writer = writer
        self.session = session
        self.url = url
        self.key = ""

    async def use_key(self, role: Role, accounts: list[str] | None = None, **record: Any) -> None:
        """Create a key and use it from now on."""
        fresh = new_key(await self.ingest.keyring.secret("pepper"))
        numbers = None if accounts is None else list((await self.ingest.accounts.ensure(accounts)).values())
        await ApiKey.create(
            prefix=fresh.prefix, role=role, accounts=numbers, mac=fresh.mac, created_at=datetime.now(UTC), **record
        )
        self.key = fresh.text

    async def post(self, content: Any, path: str = "/v1/calls", **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Status, answer and headers. `Content_Encoding="gzip"` is sent as the header of that name."""
        sent = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        async with self.session.post(self.url + path, data=content, headers=sent) as response:
            return response.status, await response.json(), response.headers


@asynccontextmanager
async def gateway_to(ingest: Ingest, **options: Any) -> AsyncIterator[Gateway]:
    app = web.Application()
    writer = await ingest.another_writer(**options) if options else ingest.writer
    refusals = RefusalLog(ingest.database.writer)
    app.add_routes(routes(writer, ingest.authenticator, refusals, max_body_bytes=MAX_BODY_BYTES))
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            gateway = Gateway(ingest, writer, session, f"http://127.0.0.1:{port}")
            await gateway.use_key(Role.INGEST)
            yield gateway
    finally:
        await runner.cleanup()


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with ingesting(database_url, tmp_path) as ingest, gateway_to(ingest) as gateway:
        yield gateway


def error_of(answer: tuple[int, dict[str, Any], Any]) -> tuple[int, str]:
    """Status and code of a refusal, whose form is checked on the way."""
    status, document, _ = answer
    assert document.keys() == {"error"}
    assert document["error"].keys() == {"code", "message"}
    return status, document["error"]["code"]


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


async def test_litellm_rows_beside_infinity_are_stored(gateway: Gateway) -> None:
    """The batch that LiteLLM writes when a client's metadata holds 1e999 loses nobody's call."""
    rows = [payload("a"), payload("b", metadata={"requester_metadata": {"x": float("inf")}}), payload("c")]

    _, answer, _ = await gateway.post(json.dumps(rows).encode(), "/v1/litellm")

    assert answer["accepted"] == 3, answer


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


async def test_bound_key_does_not_judge_an_account_that_it_does_not_use(gateway: Gateway) -> None:
    """LiteLLM's team is not the account of a call that a bound key reports, whatever it looks like."""
    await gateway.use_key(Role.INGEST, ["acme"])
    teams = ["8f14e45f-ceea-467f-a0e6-bd6bd9e5b3b1", "sk-proj-" + "Ab3" * 12, "bob@example.com", "x" * 300]

    rows = [payload(f"t{n}", metadata={"user_api_key_team_id": team}) for n, team in enumerate(teams)]
    _, answer, _ = await gateway.post(json.dumps(rows).encode(), "/v1/litellm")

    assert answer["accepted"] == len(teams), answer
    assert await gateway.ingest.value("SELECT name FROM call JOIN account a ON a.id = account_id GROUP BY 1") == "acme"


async def test_bound_key_reports_for_its_account_only(gateway: Gateway) -> None:
    """A row for another account is rejected by itself, without a word on whether that account exists."""
    await gateway.ingest.accounts.ensure(["umbrella"])
    await gateway.use_key(Role.INGEST, ["acme"])

    _, answer, _ = await gateway.post(body(call("a"), call("b", account="umbrella"), call("c", account="nobody")))

    assert [result["status"] for result in answer["results"]] == ["accepted", "rejected", "rejected"]
    assert answer["results"][1]["reason"] == answer["results"][2]["reason"]


async def test_a_long_answer_is_whole(gateway: Gateway) -> None:
    """An answer of megabytes is sent in pieces: its length is said before, and each row is in it once."""
    status, answer, headers = await gateway.post(b"[" + b",".join([b"{}"] * 30_000) + b"]")

    assert (status, headers["Content-Type"], answer["rejected"]) == (200, "application/json", 30_000)
    assert int(headers["Content-Length"]) > 2**21
    assert [result["index"] for result in answer["results"]] == list(range(30_000))


# Size and gzip --------------------------------------------------------------------------------------------------------


async def test_gzip_body_is_taken(gateway: Gateway) -> None:
    """A gzip body is decoded here, whichever of its two names the encoding has."""
    for name, encoding in (("a", "gzip"), ("b", "x-gzip"), ("c", "GZIP")):
        status, answer, _ = await gateway.post(gzip.compress(body(call(name))), Content_Encoding=encoding)
        assert (status, answer["accepted"]) == (200, 1)


async def test_the_answer_to_a_large_body_says_what_to_set(gateway: Gateway) -> None:
    """Whoever reads it knows what to set on which side so that nothing is lost again."""
    _, answer, _ = await gateway.post(io.BytesIO(b" " * (MAX_BODY_BYTES + 1)))

    assert "`DEFAULT_BATCH_SIZE`" in answer["error"]["message"]
    assert "`CALLEDGER_MAX_BODY_BYTES`" in answer["error"]["message"]


async def test_large_bodies_are_413(gateway: Gateway) -> None:
    """Above the cap a body is refused: announced, in chunks, or hidden in gzip."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**16 + 1):
            yield b" " * 2**16

    too_large = b" " * (MAX_BODY_BYTES + 1)

    assert error_of(await gateway.post(io.BytesIO(too_large))) == (413, "body_too_large")
    assert error_of(await gateway.post(chunks())) == (413, "body_too_large")
    assert error_of(await gateway.post(gzip.compress(too_large), Content_Encoding="gzip")) == (413, "body_too_large")


async def test_gzip_bombs_are_413_long_before_their_end(gateway: Gateway) -> None:
    """A small body that becomes a large one is refused by its ratio, even below the cap for size."""
    bomb = gzip.compress(b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]")

    assert len(bomb) < 10_000
    assert error_of(await gateway.post(bomb, Content_Encoding="gzip")) == (413, "body_too_large")


async def test_small_bodies_may_compress_well(gateway: Gateway) -> None:
    """Up to a mebibyte the ratio does not matter: honest batches repeat themselves."""
    rows = gzip.compress(body(call("a")) + b" " * 900_000)

    assert (await gateway.post(rows, Content_Encoding="gzip"))[0] == 200


async def test_many_gzip_members_are_400(gateway: Gateway) -> None:
    """Concatenated members, whose decoding can be made quadratic, are refused at the second."""
    members = gzip.compress(body(call("a"))) + gzip.compress(b"") * 50_000

    assert error_of(await gateway.post(members, Content_Encoding="gzip")) == (400, "body_unreadable")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        gzip.compress(b"[]")[:-1],
        gzip.compress(b"[]")[:5],
        gzip.compress(b"[]") + b"\0",
        zlib.compress(b"[]"),
    ],
    ids=["empty", "plain", "end missing", "cut short", "trailing byte", "zlib"],
)
async def test_broken_gzip_is_400(gateway: Gateway, content: bytes) -> None:
    """What claims to be gzip and is not cannot be read."""
    assert error_of(await gateway.post(content, Content_Encoding="gzip")) == (400, "body_unreadable")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "x"])
async def test_other_encodings_are_415(gateway: Gateway, encoding: str) -> None:
    """One encoding is understood."""
    answer = await gateway.post(body(call("a")), Content_Encoding=encoding)

    assert error_of(answer) == (415, "encoding_not_supported")


async def test_full_queue_is_503_with_retry_after(gateway: Gateway) -> None:
    """While the database stands still and the queue is full, gateways are told to come back."""
    ingest = gateway.ingest
    await gateway.post(body(call("warm")))
    async with gateway_to(ingest, queue_rows=1, batch_rows=1) as narrow:
        async with ingest.database.owner.acquire() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE call IN SHARE MODE")
            first = asyncio.create_task(narrow.post(body(call("first"))))
            await eventually(lambda: narrow.writer.waiting_rows)
            refused = await narrow.post(body(call("second")))
        assert error_of(refused) == (503, "queue_full")
        assert int(refused[2]["Retry-After"]) > 0
        assert (await first)[1]["accepted"] == 1
        assert (await narrow.post(body(call("second"))))[0] == 200


# LiteLLM --------------------------------------------------------------------------------------------------------------


def payload(id_: str, **facts: Any) -> dict[str, Any]:
    """A StandardLoggingPayload as litellm 1.106 sends it, shortened."""
    start = RECENT.timestamp()
    return {
        "id": f"chatcmpl-{id_}",
        "litellm_call_id": id_,
        "call_type": "acompletion",
        "stream": True,
        "response_cost": 0.00022500000000000002,
        "status": "success",
        "custom_llm_provider": "openai",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "startTime": start,
        "endTime": start + 1.5,
        "completionStartTime": start + 0.25,
        "model": "gpt-4o",
        "model_group": "",
        "metadata": {"user_api_key_alias": "prod-web", "user_api_key_org_id": None},
        "messages": [{"role": "user", "content": "canary prompt of the litellm test"}],
        "response": {"choices": [{"message": {"content": "canary answer of the litellm test"}}]},
        "model_parameters": {"temperature": 0.2, "user": "u-17"},
        "error_information": {"error_code": "None", "error_class": "None", "error_message": "None"},
    } | facts


async def test_litellm_batch_is_read_whatever_its_form(gateway: Gateway) -> None:
    """An array with nulls, NDJSON and a single object are taken; Content-Type is always JSON."""
    forms = [
        json.dumps([payload("a"), None]),
        json.dumps(payload("b")) + "\n" + json.dumps(payload("c")),
        json.dumps(payload("d")),
    ]
    for form in forms:
        status, answer, _ = await gateway.post(form.encode(), "/v1/litellm", Content_Type="application/json")
        assert status == 200
        assert answer["dropped_fields"]["messages"] == answer["accepted"]

    rows = await gateway.ingest.fetch("SELECT * FROM call ORDER BY source_id")
    assert [row["source_id"] for row in rows] == ["a", "b", "c", "d"]
    assert {(row["source"], row["amount"], row["amount_source"], row["latency_ms"]) for row in rows} == {
        (2, Decimal("0.000225"), 2, 1500)
    }


async def test_litellm_content_is_nowhere(gateway: Gateway) -> None:
    """Prompt, answer and user of a payload are in no column; an echo in the error text is not under the seal either."""
    failure = payload(
        "f",
        status="failure",
        error_information={"error_class": "BadRequestError", "error_message": "bad: canary prompt of the litellm test"},
    )
    await gateway.post(json.dumps([payload("s"), failure]).encode(), "/v1/litellm")

    stored = " ".join(
        row[0]
        for row in await gateway.ingest.fetch(
            "SELECT call::text FROM call UNION ALL SELECT call_error::text FROM call_error"
        )
    )
    assert "BadRequestError" in stored
    assert "canary" not in stored
    assert "u-17" not in stored
    assert await gateway.ingest.value("SELECT rules FROM call_error") == ["content-echo"]


async def test_litellm_organisation_does_not_contradict_a_bound_key(gateway: Gateway) -> None:
    """The ids that LiteLLM puts there are its own: a key bound to one account decides, an unbound key takes them."""
    organised = {"user_api_key_org_id": "org-7f", "user_api_key_team_id": "team-1"}
    await gateway.post(json.dumps(payload("a", metadata=organised)).encode(), "/v1/litellm")
    await gateway.use_key(Role.INGEST, ["acme"])
    await gateway.post(json.dumps(payload("b", metadata=organised)).encode(), "/v1/litellm")

    names = await gateway.ingest.fetch("SELECT source_id, name FROM call JOIN account ON account.id = account_id")
    assert dict(names) == {"a": "org-7f", "b": "acme"}


async def test_nul_characters_cost_no_call(gateway: Gateway) -> None:
    """NUL, which PostgreSQL stores nowhere, in any text that is not the call's identity is taken out on the way."""
    native = call(
        "a",
        status="failed",
        tags={"team": "a"},
        error={"type": "Bad\0Error", "code": "4\0", "message": "m\0", "parameters": {"temperature": 1, "model": "\0"}},
    )
    nul = payload(
        "b",
        status="failure",
        custom_llm_provider="open\0ai",
        call_type="chat\0",
        request_tags=["team:x\0", "te\0am:y"],
        end_user="u\0",
        metadata={"user_api_key_alias": "prod\0web"},
        hidden_params={"litellm_model_name": "gpt\0"},
        error_information={"error_class": "Bad\0", "error_code": "\0", "error_message": "\0"},
    )

    _, first, _ = await gateway.post(body(native))
    _, second, _ = await gateway.post(json.dumps(nul).encode(), "/v1/litellm")

    assert (first["accepted"], second["accepted"]) == (1, 1), (first, second)
    assert await gateway.ingest.value("SELECT count(*) FROM call_error") == 2


async def test_litellm_account_that_is_no_name_is_not_the_default(gateway: Gateway) -> None:
    """An organisation that cannot be stored as it came is refused: its calls must not land on somebody else."""
    for organisation in ("x" * 5000, "x" * 300, "a\0", "a\ufffd", "bob@example.com"):
        entry = payload(organisation[:5], metadata={"user_api_key_org_id": organisation})
        _, answer, _ = await gateway.post(json.dumps(entry).encode(), "/v1/litellm")
        assert answer["rejected"] == 1, answer
    assert await gateway.ingest.value("SELECT count(*) FROM call") == 0
