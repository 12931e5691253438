"""The documents of docs/frontends.md, asked as they stand there of a service with the demo's calls."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from documents import questions
from graphql import OperationDefinitionNode, parse
from running import RunningService

ACCOUNTS = ("globex", "acme")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SHOWN_END = datetime(2026, 12, 1, tzinfo=UTC)
"""What the page's variables take for the end of today."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("frontend") / "data", "--demo")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def viewer(service: RunningService) -> str:
    """The demo's key for a frontend."""
    (line,) = [line for line in service.lines if line.startswith("viewer ")]
    return line.split()[1]


def as_of_now(variables: dict[str, Any]) -> dict[str, Any]:
    """The variables with their moments moved by whole days, as if they had been written today."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    def moved(found: "re.Match[str]") -> str:
        moment = datetime.fromisoformat(found[0]) + (end - SHOWN_END)
        return moment.isoformat().replace("+00:00", "Z")

    return json.loads(MOMENT.sub(moved, json.dumps(variables)))


def asked(service: RunningService, key: str, name: str, **changes: Any) -> dict[str, Any]:
    """The data that a question is answered with, twice: the second time by the compiled path where that covers it."""
    shown = questions()[name]
    variables = as_of_now(shown.variables or {}) | changes
    first, second = (service.ask(key, shown.text, **variables) for _ in range(2))
    assert "errors" not in first, first
    assert first["data"].keys() == second["data"].keys()
    return second["data"]


def fallbacks(service: RunningService) -> list[str]:
    lines = [line for line in service.metrics().splitlines() if line.startswith("calledger_graphql_fallbacks_total")]
    return [line for line in lines if not line.endswith(" 0.0")]


def test_the_page_has_ten_questions() -> None:
    """Each has a heading with its number, and each document the variables to try it by, if it has variables."""
    assert set(questions()) == {
        *("Page", "OneCall", "Menus", "Histogram", "Costs", "Failures", "Totals", "Tail", "AsFile", "File", "Kept"),
    }
    for name, shown in questions().items():
        operation = parse(shown.text).definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        variables = {definition.variable.name.value for definition in operation.variable_definitions or ()}
        assert set(shown.variables or {}) <= variables, name
        assert bool(shown.variables) == bool(variables), name


def test_the_list_pages_by_keyset(service: RunningService, viewer: str) -> None:
    """Pages follow each other without a gap or a call twice, and hold what the filter says."""
    seen: list[dict[str, Any]] = []
    after = None
    while True:
        page = asked(service, viewer, "Page", first=7, **({"after": after} if after else {}))["calls"]
        seen += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    whole = asked(service, viewer, "Page", first=200)["calls"]["nodes"]
    assert seen == whole
    assert len(seen) > 7
    assert {(call["account"], call["status"]) for call in seen} == {("acme", "FAILED")}
    assert {call["model"] for call in seen} == {"gpt-4o", "claude-sonnet-4-5"}
    assert fallbacks(service) == []


def test_one_call_has_its_parts_and_its_error(service: RunningService, viewer: str) -> None:
    """The id of a row of the list asks for that call, with its error; one that is not there is null."""
    row = asked(service, viewer, "Page", first=1)["calls"]["nodes"][0]
    call = asked(service, viewer, "OneCall", id=row["id"])["call"]
    assert {name: call[name] for name in ("id", "model", "startedAt")} == {
        name: row[name] for name in ("id", "model", "startedAt")
    }
    assert call["error"]["type"] == row["errorType"]
    assert call["error"]["disclosure"] in {"CLEAR", "MASKED", "NOT_KEPT"}
    assert {tag["key"] for tag in call["tags"]} == {"environment", "feature", "team"}


def test_parts_sum_to_the_amount(service: RunningService, viewer: str) -> None:
    """A call that came without an amount is priced, and shows of what its amount is made."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    facts = {"model": "gpt-4o", "provider": "openai", "account": "acme", "status": "succeeded", "started_at": now}
    service.report(service.admin_key, {"id": "priced", **facts, "input_tokens": 1000, "output_tokens": 100})
    query = '{ calls(filter: {sourceId: {eq: "priced"}}) { nodes { id } } }'
    id_ = service.ask(viewer, query)["data"]["calls"]["nodes"][0]["id"]
    call = asked(service, viewer, "OneCall", id=id_)["call"]
    assert {part["meter"] for part in call["amountParts"]} == {"input", "output"}
    assert all(part["priceList"] for part in call["amountParts"])
    assert call["amount"]["source"] == "ESTIMATED"


def test_menus_leave_out_their_own_filter(service: RunningService, viewer: str) -> None:
    """With one model chosen its menu still has the others; the other menus count that model alone."""
    menus = asked(service, viewer, "Menus")["facets"]
    models = {one["value"]: int(one["count"]) for one in menus["models"]}
    assert len(models) > 5
    for name in ("providers", "statuses", "accounts", "apiKeys"):
        assert sum(int(one["count"]) for one in menus[name]) == models["gpt-4o"], name
    assert menus["providers"][0]["value"] == "openai"
    assert {tag["key"] for tag in menus["tags"]} == {"environment", "feature", "team"}
    assert menus["errorTypes"]


def test_the_histogram_has_every_hour(service: RunningService, viewer: str) -> None:
    """Hours without calls are there, and all hours together are the calls of that time."""
    data = asked(service, viewer, "Histogram")["costs"]
    starts = {row["key"]["bucketStart"] for row in data["nodes"]}
    passed_hours = datetime.now(UTC) - min(datetime.fromisoformat(start) for start in starts)
    assert len(starts) >= passed_hours.total_seconds() // 3600
    variables = as_of_now(questions()["Histogram"].variables or {})
    listed = service.ask(
        viewer, "query ($filter: CallFilter) { calls(filter: $filter) { totalCount } }", filter=variables["filter"]
    )
    assert sum(int(row["calls"]) for row in data["nodes"]) == listed["data"]["calls"]["totalCount"] > 0
    assert fallbacks(service) == []


def test_costs_come_with_the_time_before(service: RunningService, viewer: str) -> None:
    """Days of a model sum to the total; the earlier week is another one."""
    data = asked(service, viewer, "Costs")
    for part in ("now", "before"):
        total = sum(int(one["calls"]) for one in data[part]["totals"])
        assert sum(int(row["calls"]) for row in data[part]["nodes"]) == total > 0
        assert {row["key"]["model"] for row in data[part]["nodes"]} >= {"gpt-4o", "mistral-large-latest"}
    assert data["now"]["totals"] != data["before"]["totals"]
    assert fallbacks(service) == []


def test_failures_are_grouped(service: RunningService, viewer: str) -> None:
    """Groups come largest first, and their days sum to their count."""
    groups = asked(service, viewer, "Failures")["errorGroups"]["nodes"]
    counts = [int(group["count"]) for group in groups]
    assert counts == sorted(counts, reverse=True)
    assert len(groups) >= 5
    for group in groups:
        assert sum(int(bucket["count"]) for bucket in group["buckets"]) == int(group["count"])


def test_totals_are_one_entry_a_currency(service: RunningService, viewer: str) -> None:
    """What the page asks of is in dollars, with percentiles of what was measured."""
    data = asked(service, viewer, "Totals")["costs"]
    total = next(one for one in data["totals"] if one["amount"])
    assert total["amount"]["currency"] == "USD"
    assert total["latencyMs"]["p50"] < total["latencyMs"]["p95"] < total["latencyMs"]["p99"]
    assert int(total["errors"]) > 0
    assert data["coverage"]["source"] in {"ROLLUPS", "BOTH"}
    assert fallbacks(service) == []


@pytest.mark.parametrize(
    ("asked_by", "source"),
    [
        ("", "ROLLUPS"),
        *((f"groupBy: [{name}]", "ROLLUPS") for name in ("ACCOUNT", "API_KEY", "MODEL", "PROVIDER", "STATUS")),
        *((f"groupBy: [{name}]", "CALLS") for name in ("OPERATION", "SERVED_MODEL", "ERROR_TYPE", "USER")),
        ('groupByTags: ["team"]', "CALLS"),
    ],
)
def test_what_grows_with_the_calls_is_as_the_page_says(
    service: RunningService, viewer: str, asked_by: str, source: str
) -> None:
    """Sums answer what the page says that they answer, from day to day; what reads single calls says so itself."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    query = "query ($filter: CallFilter) { costs(filter: $filter%s) { totals { calls%s } coverage { source } } }"
    time_filter = {"startedAt": {"gte": (end - timedelta(days=7)).isoformat(), "lt": end.isoformat()}}
    grouped = f", {asked_by}" if asked_by else ""
    for figures, read in (("", source), (" latencyMs { p50 }", source), (" timeToFirstTokenMs { p50 }", "CALLS")):
        answer = service.ask(viewer, query % (grouped, figures), filter=time_filter)
        assert answer["data"]["costs"]["coverage"]["source"] == read, figures


async def test_calls_come_as_they_are_recorded(service: RunningService, viewer: str) -> None:
    """The live tail, as server-sent events: calls of the filter's account, and no others."""
    shown = questions()["Tail"]
    headers = {"Authorization": f"Bearer {viewer}", "Accept": "text/event-stream"}
    body = {"query": shown.text, "variables": shown.variables}
    seen: list[Any] = []
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession() as session,
        session.post(f"{service.url}/graphql", json=body, headers=headers) as events,
    ):
        for number in range(50):
            facts = {"started_at": datetime.now(UTC).isoformat(timespec="milliseconds"), "status": "succeeded"}
            calls = [{"id": f"{account}-{number}", "account": account, "model": "m", **facts} for account in ACCOUNTS]
            await asyncio.to_thread(service.report, service.admin_key, *calls)
            try:
                async with asyncio.timeout(1):
                    while not seen:
                        line = (await events.content.readline()).decode()
                        seen += [json.loads(line[5:])["data"]["callRecorded"]] if line.startswith("data: {") else []
            except TimeoutError:
                continue
            break
    assert (seen[0]["account"], seen[0]["status"]) == ("acme", "SUCCEEDED")


def test_a_file_is_fetched_by_its_signed_link(service: RunningService, viewer: str) -> None:
    """The list's filter, as a file: ready soon, fetched without a header, with as many rows as the list has calls."""
    export = asked(service, viewer, "AsFile")["createExport"]["export"]
    listed = service.ask(
        viewer,
        "query ($filter: CallFilter) { calls(filter: $filter) { totalCount } }",
        filter=as_of_now(questions()["AsFile"].variables or {})["filter"],
    )["data"]["calls"]["totalCount"]
    for _ in range(300):
        file = asked(service, viewer, "File", id=export["id"])["export"]
        if file["state"] == "READY":
            break
        assert file["state"] in {"QUEUED", "RUNNING"}, file
        time.sleep(0.1)
    status, headers, body = service.request("GET", "/" + file["signedUrl"].lstrip("/"))
    assert (status, int(file["rows"])) == (200, listed)
    assert headers["Content-Type"].startswith("text/csv")
    assert body.count(b"\r\n") == listed + 1


def test_what_is_kept_is_said_to_a_viewer(service: RunningService, viewer: str) -> None:
    """The role sees its own view of each field that the list asks for, and no class of content is kept."""
    data = asked(service, viewer, "Kept")
    views = {one["field"]: one["view"] for one in data["viewer"]["fields"]}
    assert views["Call.model"] == "SEE"
    assert {window["store"] for window in data["policy"]["windows"]} >= {"CALL", "CALL_ERROR"}
