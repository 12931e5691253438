"""Traces over HTTP, as exporters see it: keys, media types, compression, partial success, and what is stored."""

import base64
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from gateway_rows import CANARY, FOLDER
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from running import RunningService
from tracing import TRACE, as_json, as_protobuf, chat, export, span

PROTOBUF = "application/x-protobuf"
RECENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
CALLS = "{ calls(first: 50) { nodes { sourceId model account apiKey error { message } } } }"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("traces") / "data")
    try:
        yield service
    finally:
        service.stop()


class Exporter:
    """Exports to the service with a key of its own."""

    def __init__(self, service: RunningService, *accounts: str) -> None:
        self.service = service
        self.key = service.new_key("ingest", *accounts)

    async def post(
        self, body: bytes, path: str = "/v1/traces", media_type: str = PROTOBUF, **headers: str
    ) -> tuple[int, bytes, str]:
        """Status, body and media type of the answer."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": media_type}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.service.url + path, data=BytesIO(body), headers=sent) as answer,
        ):
            return answer.status, await answer.read(), answer.content_type

    async def export(self, *spans: Any, **options: Any) -> ExportTraceServiceResponse:
        status, body, media_type = await self.post(as_protobuf(export(*spans, **options)))
        assert (status, media_type) == (200, PROTOBUF)
        return ExportTraceServiceResponse.FromString(body)

    def calls(self) -> dict[str, dict[str, Any]]:
        nodes = self.service.ask(self.service.admin_key, CALLS)["data"]["calls"]["nodes"]
        return {node["sourceId"]: node for node in nodes}


def recent(number: int, trace: str, more: dict[str, Any] | None = None, **options: Any) -> Any:
    return chat(number, more, trace=trace, at=RECENT, **options)


async def test_success_is_an_empty_response(service: RunningService) -> None:
    """All spans taken: a response without a partial success, and again for the same spans sent once more."""
    exporter = Exporter(service)
    spans = (recent(1, "a1" * 16), span(2, trace="a1" * 16, at=RECENT, attributes={"http.route": "/ask"}))

    assert not (await exporter.export(*spans)).HasField("partial_success")
    assert not (await exporter.export(*spans)).HasField("partial_success")
    assert f"{'a1' * 16}/0000000000000001" in exporter.calls()
    assert f"{'a1' * 16}/0000000000000002" not in exporter.calls()


async def test_what_is_refused_is_counted_and_said(service: RunningService) -> None:
    """A span that cannot be stored is a partial success with the reason, and is counted where an operator looks."""
    exporter = Exporter(service)
    answer = await exporter.export(
        recent(1, "a2" * 16), recent(0, "a2" * 16), chat(3, trace="a2" * 16, at=datetime(2001, 1, 1, tzinfo=UTC))
    )

    assert answer.partial_success.rejected_spans == 2
    assert "`spanId`" in answer.partial_success.error_message
    assert f"{'a2' * 16}/0000000000000001" in exporter.calls()
    asked = "query ($since: DateTime!) { ingestReport(since: $since) { rows { source reason } } }"
    report = service.ask(service.admin_key, asked, since=RECENT.isoformat())["data"]["ingestReport"]
    counted = {(row["source"], row["reason"]) for row in report["rows"]}
    assert ("otlp", "FIELD_INVALID") in counted
    assert ("otlp", "TOO_OLD") in counted


async def test_a_call_keeps_the_span_that_it_is_a_part_of(service: RunningService) -> None:
    """The parent's id is kept, can be filtered by, and is null of a span without one; the parent comes later, alone."""
    exporter, trace = Exporter(service), "a4" * 16
    await exporter.export(recent(2, trace, parent=1))
    await exporter.export(recent(1, trace))
    asked = '{ calls(filter: {traceId: {eq: "%s"}%s}) { nodes { sourceId parentSpanId } } }'
    both = service.ask(service.admin_key, asked % (trace, ""))["data"]["calls"]["nodes"]
    parts = service.ask(service.admin_key, asked % (trace, ', parentSpanId: {eq: "0000000000000001"}'))

    assert {one["sourceId"][-1]: one["parentSpanId"] for one in both} == {"1": None, "2": "0000000000000001"}
    assert [one["sourceId"][-1] for one in parts["data"]["calls"]["nodes"]] == ["2"]


async def test_another_amount_for_a_known_span_is_a_conflict(service: RunningService) -> None:
    """The same ids with another amount are refused, and the stored figure stays."""
    exporter = Exporter(service)
    await exporter.export(recent(1, "a3" * 16, {"gen_ai.usage.cost": 0.5}))
    answer = await exporter.export(recent(1, "a3" * 16, {"gen_ai.usage.cost": 0.7}))

    assert answer.partial_success.rejected_spans == 1


@pytest.mark.parametrize("compressed", [False, True])
async def test_json_and_gzip(service: RunningService, compressed: bool) -> None:
    """The JSON encoding is answered in JSON, plain or with gzip."""
    exporter = Exporter(service)
    trace = "b1" * 16 if compressed else "b2" * 16
    body = as_json(export(recent(1, trace)))
    headers = {"Content_Encoding": "gzip"} if compressed else {}
    status, answer, media_type = await exporter.post(
        gzip.compress(body) if compressed else body, media_type="application/json; charset=utf-8", **headers
    )

    assert (status, media_type, json.loads(answer)) == (200, "application/json", {})
    assert f"{trace}/0000000000000001" in exporter.calls()


async def test_a_collectors_file_is_sent_line_by_line(service: RunningService) -> None:
    """Each line that the Collector's `file` exporter writes is a request as it stands: spans of two services, numbers
    as texts, enumerations as numbers, and a failure in its events; sent again, all are known.
    """
    exporter = Exporter(service)
    text = (FOLDER / "collector_file.ndjson").read_text("utf-8")
    moved = text.replace("17951688", str(int(RECENT.timestamp()) // 100)).replace(TRACE, "b4" * 16)
    for line in (*moved.splitlines(), *moved.splitlines()):
        status, answer, _ = await exporter.post(line.encode(), media_type="application/json")
        assert (status, json.loads(answer)) == (200, {})
    calls = {id_: call for id_, call in exporter.calls().items() if id_.startswith("b4" * 16)}

    assert [(id_[-1], call["apiKey"]) for id_, call in sorted(calls.items())] == [
        ("1", "shop"),
        ("3", "billing"),
        ("4", "shop"),
    ]
    assert calls[f"{'b4' * 16}/0000000000000003"]["error"] is not None
    assert CANARY.encode() not in service.everything_on_disk()


async def test_langfuses_path_with_basic_auth(service: RunningService) -> None:
    """What is set up for Langfuse sends its key as a password, to a path of Langfuse's."""
    exporter = Exporter(service)
    basic = base64.b64encode(f"pk-lf:{exporter.key}".encode()).decode()
    body = as_protobuf(export(recent(1, "b3" * 16)))
    status, _, _ = await exporter.post(body, "/api/public/otel/v1/traces", Authorization=f"Basic {basic}")

    assert status == 200
    assert f"{'b3' * 16}/0000000000000001" in exporter.calls()


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"\x0a\xff", {}, 400, "ExportTraceServiceRequest"),
        (b"", {"media_type": "text/plain"}, 415, "application/json"),
        (b"\x1f\x8b", {"Content_Encoding": "gzip"}, 400, "gzip"),
        (gzip.compress(as_protobuf(export()))[:-4], {"Content_Encoding": "gzip"}, 400, "its end is missing"),
        (gzip.compress(b"") * 2, {"Content_Encoding": "gzip"}, 400, "more than one gzip member"),
        (gzip.compress(bytes(2**24)), {"Content_Encoding": "gzip"}, 413, "gzip"),
        (b"", {"Content_Encoding": "br"}, 415, "gzip"),
        (b"", {"Authorization": "Bearer cl_none"}, 401, "no valid API key"),
    ],
    ids=["garbage", "text", "no gzip", "cut off", "two members", "a bomb", "brotli", "no key"],
)
async def test_refusals_are_a_status(
    service: RunningService, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    """What is refused as a whole is answered with google.rpc.Status, and with a status that says not to try again."""
    answer = await Exporter(service).post(body, **headers)

    assert answer[0] == status
    assert words in Status.FromString(answer[1]).message


async def test_a_session_or_a_reader_may_not_report(service: RunningService) -> None:
    """Only keys of `ingest` and `admin` report, on this path as on the others."""
    exporter = Exporter(service)
    exporter.key = service.new_key("viewer")

    assert (await exporter.post(as_protobuf(export(recent(1, "c1" * 16)))))[0] == 403


async def test_a_key_of_one_account_stores_there(service: RunningService) -> None:
    """Whatever account a span names; a key of all accounts takes the name that the resource gives."""
    bound, free = Exporter(service, "acme"), Exporter(service)
    resource = {"service.name": "shop", "calledger.account": "globex"}
    await bound.export(recent(1, "c2" * 16), resource=resource)
    await free.export(recent(1, "c3" * 16), resource=resource)

    calls = free.calls()
    assert calls[f"{'c2' * 16}/0000000000000001"]["account"] == "acme"
    assert calls[f"{'c3' * 16}/0000000000000001"]["account"] == "globex"


async def test_long_and_odd_values_cost_themselves(service: RunningService) -> None:
    """Prompts of megabytes, a hundred thousand attributes, NUL in every text: the calls are stored, without them."""
    exporter = Exporter(service)
    odd = dict.fromkeys(("gen_ai.provider.name", "gen_ai.response.model", "user.id", "session.id"), "a\x00b")
    odd |= {"gen_ai.response.id": "x" * 5000, "langfuse.trace.tags": ["a\x00b:c\x00d"], "calledger.api_key": "k\x00"}
    spans = [
        recent(1, "d1" * 16, {"gen_ai.input.messages": "kanarie " * 300_000}),
        recent(2, "d1" * 16, {f"name.{number}": "kanarie" for number in range(100_000)}),
        recent(3, "d1" * 16, odd),
        recent(4, "d1" * 16, {"error.type": "E\x00", "error.message": "m\x00"}, failed="x"),
        recent(5, "d1" * 16),
    ]
    answer = await exporter.export(*spans)

    assert not answer.HasField("partial_success"), answer
    assert {f"{'d1' * 16}/000000000000000{number}" for number in range(1, 6)} <= exporter.calls().keys()
    assert b"kanarie" not in service.everything_on_disk()


async def test_spans_that_are_no_calls_are_counted(service: RunningService) -> None:
    """`/metrics` says how many spans were none, so that a wrong instrumentation is seen."""
    exporter = Exporter(service)
    await exporter.export(*(span(number, trace="e1" * 16, at=RECENT) for number in range(1, 8)))
    async with aiohttp.ClientSession() as session, session.get(f"{service.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    [counted] = [
        line for line in lines if line.startswith('calledger_ingest_rows_total{source="otlp",status="skipped"}')
    ]

    assert float(counted.split()[-1]) >= 7
