"""Bodies of LiteLLM over HTTP."""

import json
from decimal import Decimal
from typing import Any

from gateway import Gateway
from ingesting import RECENT, body, call

from policies import Role


async def test_litellm_rows_beside_infinity_are_stored(gateway: Gateway) -> None:
    """The batch that LiteLLM writes when a client's metadata holds 1e999 loses nobody's call."""
    rows = [payload("a"), payload("b", metadata={"requester_metadata": {"x": float("inf")}}), payload("c")]

    _, answer, _ = await gateway.post(json.dumps(rows).encode(), "/v1/litellm")

    assert answer["accepted"] == 3, answer


async def test_bound_key_does_not_judge_an_account_that_it_does_not_use(gateway: Gateway) -> None:
    """LiteLLM's team is not the account of a call that a bound key reports, whatever it looks like."""
    await gateway.use_key(Role.INGEST, ["acme"])
    teams = ["8f14e45f-ceea-467f-a0e6-bd6bd9e5b3b1", "sk-proj-" + "Ab3" * 12, "bob@example.com", "x" * 300]

    rows = [payload(f"t{n}", metadata={"user_api_key_team_id": team}) for n, team in enumerate(teams)]
    _, answer, _ = await gateway.post(json.dumps(rows).encode(), "/v1/litellm")

    assert answer["accepted"] == len(teams), answer
    assert await gateway.ingest.value("SELECT name FROM call JOIN account a ON a.id = account_id GROUP BY 1") == "acme"


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
