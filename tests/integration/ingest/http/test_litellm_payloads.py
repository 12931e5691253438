"""Every kind of entry that LiteLLM posts, against a running service: what is stored, and what it cost."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from running import RunningService

NOW = datetime.now(UTC).timestamp() - 7200
USAGE = {"prompt_tokens": 2006, "completion_tokens": 300}
PRICED = {"response_cost": 0.005615, "cost_breakdown": {"input_cost": 0.002615, "output_cost": 0.003}}
UNPRICED = {"response_cost": 0.0, "response_cost_failure_debug_info": {"error_str": "not mapped"}}
NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "metadata": {}}
REFUSED = {"status": "failure", "response_cost": 0.0, **NO_TOKENS}
BATCH = {
    "id": "batch_abc", "model": "", "call_type": "aretrieve_batch", "hidden_params": {"batch_models": ["gpt-4o-mini"]},
    "response": {"id": "batch_abc", "created_at": int(NOW)}, "response_cost": 0.00045,
}  # fmt: skip
TEAM = {
    "user_api_key_hash": "0cc410f6c1a138cac0064dd543ff2539" * 2, "user_api_key_team_id": "team-1",
    "user_api_key_team_alias": "Search", "user_api_key_org_id": "acme", "user_api_key_org_alias": "Acme Inc",
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "chat": PRICED,
    "proxy": PRICED | {"model_group": "smart", "metadata": TEAM | {"usage_object": USAGE}},
    "unknown price": UNPRICED | {"model": "unpriced-model"},
    "priced here": UNPRICED,
    "cache hit": UNPRICED | {"cache_hit": True, "saved_cache_cost": 0.005},
    "refused": REFUSED,
    "stream that broke": UNPRICED | {"status": "failure", "model_parameters": {"stream": True}},
    "negative": {"response_cost": -1.0},
    "unreadable": {"response_cost": 1e300},
    "bad count": PRICED | {"prompt_tokens": -1},
    "batch made": UNPRICED | BATCH | {"call_type": "acreate_batch", "response_cost": 0.0, **NO_TOKENS},
    "batch": BATCH,
    "batch again": BATCH | {"startTime": NOW + 60, "response": {"created_at": int(NOW) - 5000}},
    "file": UNPRICED | {"call_type": "afile_content", "model": "", **NO_TOKENS},
    "answer read": {"call_type": "aget_responses", "model": "", "response_cost": 0.0, "response": {"model": "gpt-4o"}},
    "image": {"call_type": "aimage_generation", "response_cost": 0.16, "usage": {"output_image_count": 2}},
    "rerank": {"call_type": "arerank", "response_cost": 0.002, "prompt_tokens": 0, "completion_tokens": 0},
    "failed attempt": REFUSED | {"trace_id": "trace-7", "error_information": {"normalized_error": "500_X"}},
    "fallback": PRICED | {"trace_id": "trace-7",
                          "hidden_params": {"additional_headers": {"x-litellm-attempted-fallbacks": 1}}},
}  # fmt: skip
CALLS = """
query ($filter: CallFilter) { calls(filter: $filter, first: 100) { totalCount nodes {
  sourceId account apiKey model servedModel operation status streamed traceId attempt cacheHit team teamId organization
  normalizedError units { name quantity } amount { amount source } amountUnknown amountParts { meter amount }
} } }
"""


def entry(kind: str) -> dict[str, Any]:
    known = {
        "litellm_call_id": kind, "id": f"answer of {kind}", "call_type": "acompletion", "status": "success",
        "model": "openai/gpt-4o", "custom_llm_provider": "openai", "startTime": NOW, "endTime": NOW + 1,
        "completionStartTime": NOW + 0.5, **USAGE, "metadata": {"usage_object": USAGE}, "messages": [{"content": "x"}],
    }  # fmt: skip
    return known | KINDS[kind]


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, dict[str, Any]]]:
    """A service that one entry of each kind was posted to, and its answer."""
    service = RunningService(tmp_path_factory.mktemp("litellm") / "data")
    try:
        yield service, service.report(service.new_key("ingest"), *map(entry, KINDS), path="/v1/litellm")
    finally:
        service.stop()


def calls(service: RunningService, **filter_: Any) -> dict[str, dict[str, Any]]:
    answer = service.ask(service.admin_key, CALLS, filter=filter_)
    assert "errors" not in answer, answer
    return {node["sourceId"]: node for node in answer["data"]["calls"]["nodes"]}


def test_no_entry_is_refused(posted: tuple[RunningService, dict[str, Any]]) -> None:
    """Whatever it lacks or says wrongly, each is stored; the second poll of a batch is the same call again."""
    service, answer = posted

    statuses = {kind: result["status"] for kind, result in zip(KINDS, answer["results"], strict=True)}
    assert {kind: status for kind, status in statuses.items() if status != "accepted"} == {"batch again": "duplicate"}
    assert answer["dropped_fields"]["response_cost"] == 2
    assert answer["results"][list(KINDS).index("negative")]["warnings"] == ["`response_cost` is negative: left out"]
    assert answer["dropped_fields"]["prompt_tokens"] == 1
    assert len(calls(service)) == len(KINDS) - 1


def test_every_amount_is_right_or_unknown_with_a_reason(posted: tuple[RunningService, dict[str, Any]]) -> None:
    """A zero that is none is estimated or null; a zero that is one is reported."""
    service, _ = posted
    stored = calls(service)

    amounts = {kind: (call["amount"] or {}).get("amount", call["amountUnknown"]) for kind, call in stored.items()}
    assert amounts["unknown price"] == "NOT_PRICED"
    assert (amounts["negative"], amounts["unreadable"]) == ("NEGATIVE", "UNREADABLE")
    assert stored["priced here"]["amount"] == {"amount": "0.008015", "source": "ESTIMATED"}
    for kind in ("cache hit", "refused", "failed attempt", "batch made", "file", "answer read"):
        assert stored[kind]["amount"] == {"amount": "0", "source": "REPORTED"}, kind
    assert (amounts["batch_abc"], stored["batch_abc"]["model"]) == ("0.00045", "gpt-4o-mini")
    for kind, call in stored.items():
        if call["amountParts"]:
            assert sum(Decimal(part["amount"]) for part in call["amountParts"]) == Decimal(amounts[kind])


def test_what_belongs_to_a_call_is_there_and_found(posted: tuple[RunningService, dict[str, Any]]) -> None:
    """Team beside organization, the key's short name, units, and a fallback by the trace that it shares."""
    service, _ = posted
    stored = calls(service)

    proxied = stored["proxy"]
    assert (proxied["account"], proxied["organization"], proxied["team"]) == ("acme", "Acme Inc", "Search")
    assert proxied["teamId"] == "team-1"
    assert set(calls(service, teamId={"eq": "team-1"})) == {"proxy"}
    assert (proxied["apiKey"], proxied["model"], proxied["servedModel"]) == ("key-0cc410f6c1a1", "smart", "gpt-4o")
    assert stored["image"]["units"] == [{"name": "images", "quantity": "2"}]
    assert stored["cache hit"]["units"] == [{"name": "saved_usd", "quantity": "0.005"}]
    assert stored["stream that broke"]["streamed"] is True
    joined = calls(service, traceId={"eq": "trace-7"})
    assert {name: (call["attempt"], call["normalizedError"]) for name, call in joined.items()} == {
        "failed attempt": (None, "500_X"),
        "fallback": (2, None),
    }
    assert "[redacted" not in json.dumps(stored)
    assert set(calls(service, cacheHit={"eq": True})) == {"cache hit"}


def test_posted_again_nothing_is_billed_twice(posted: tuple[RunningService, dict[str, Any]]) -> None:
    """LiteLLM sends a batch again when it misses the answer: every entry is a duplicate."""
    service, _ = posted

    again = service.report(service.new_key("ingest"), *map(entry, KINDS), path="/v1/litellm")

    assert {result["status"] for result in again["results"]} == {"duplicate"}


def test_a_batch_is_one_bill_whoever_polls_it(posted: tuple[RunningService, dict[str, Any]]) -> None:
    """By two teams, without one, together or one after the other, at other times of its making: the first account that
    has it keeps it. A key that is bound to another account bills there, for it may not know of the first."""
    service, _ = posted
    polls = [
        entry("batch") | {"id": "batch_shared", "litellm_call_id": f"shared {number}", "metadata": metadata}
        for number, team in enumerate(("poll-a", "poll-a", None, "poll-b"))
        for metadata in [{"usage_object": USAGE, "user_api_key_team_id": team}]
    ]
    polls[3] |= {"response": {"created_at": int(NOW) - 4000}}
    key = service.new_key("ingest")

    results = [service.report(key, poll, path="/v1/litellm")["results"][0] for poll in polls]
    together = [poll | {"id": "batch_together"} for poll in (polls[3], polls[2], polls[0])]
    at_once = service.report(key, *together, path="/v1/litellm")["results"]
    new = [
        poll | {"id": "batch_new", "metadata": {"user_api_key_team_id": f"poll-new-{number}", "usage_object": USAGE}}
        for number, poll in enumerate(polls)
    ]
    of_new = service.report(key, *new, path="/v1/litellm")["results"]
    [bound] = service.report(service.new_key("ingest", "default"), polls[0], path="/v1/litellm")["results"]

    assert [result["status"] for result in results] == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert len({result["id"] for result in results}) == 1
    assert sorted(result["status"] for result in at_once) == ["accepted", "duplicate", "duplicate"]
    assert sorted(result["status"] for result in of_new) == ["accepted", "duplicate", "duplicate", "duplicate"]
    [shared] = calls(service, sourceId={"eq": "batch_shared"}, account={"ne": "default"}).values()
    assert (shared["account"], shared["amount"]["amount"]) == ("poll-a", "0.00045")
    assert (bound["status"], bound["id"] == results[0]["id"]) == ("accepted", False)


@pytest.mark.parametrize("created", [-5000, 0, 3000, 6000])
def test_a_batch_is_one_bill_whenever_it_says_that_it_was_made(
    posted: tuple[RunningService, dict[str, Any]], created: int
) -> None:
    """A gateway that works the time out anew at each poll, and a key that is bound to the account: the same call."""
    service, answer = posted
    poll = entry("batch") | {"startTime": NOW + 7000, "litellm_call_id": f"poll {created}"}
    poll |= {"response": {"created_at": int(NOW) + created}}

    [result] = service.report(service.new_key("ingest", "default"), poll, path="/v1/litellm")["results"]

    assert (result["status"], result["id"]) == ("duplicate", answer["results"][list(KINDS).index("batch")]["id"])
