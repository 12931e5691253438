"""Every operation is told to the tracing hooks, on both paths alike, with nothing of a caller's text."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace as opentelemetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest
from rows import SeededLedger

from service.api.execution.context import Trace, shipped
from service.api.schema import CalledgerSchema, build_schema

QUERY = "query Marzipan { calls(first: 3) { nodes { id model } } }"
FAILING = 'query Marzipan { calls(first: 3, after: "marzipan") { nodes { id } } }'


@pytest.fixture
def schema() -> Iterator[CalledgerSchema]:
    schema = build_schema()
    yield schema
    schema.tracing.hooks[:] = shipped()


async def ask(schema: CalledgerSchema, seeded: SeededLedger, query: str) -> object:
    return await schema.execute(query, context_value=seeded.context(seeded.scope()))


async def test_both_paths_tell_the_same(seeded: SeededLedger, schema: CalledgerSchema) -> None:
    """A compiled operation is told as the ordinary one was: cost, rows and errors are equal, only the path differs."""
    told: list[Trace] = []
    schema.tracing.hooks[:] = [told.append]

    for query in (QUERY + " # told", FAILING + " # told"):
        await ask(schema, seeded, query)
        await ask(schema, seeded, query)

    facts = [(trace.path, trace.cost, trace.rows, trace.codes) for trace in told]
    assert facts[0] == ("ordinary", facts[1][1], 3, ())
    assert facts[1][0] == "compiled"
    assert facts[2] == ("ordinary", facts[3][1], 0, ("BAD_USER_INPUT",))
    assert facts[3][::3] == ("compiled", ("BAD_USER_INPUT",))
    assert all(trace.began_ns > 0 and trace.seconds > 0 for trace in told)


async def test_a_hook_that_fails_costs_no_answer(seeded: SeededLedger, schema: CalledgerSchema) -> None:
    """The answer is given, and the other hooks are told."""
    told: list[Trace] = []

    def broken(_: Trace) -> None:
        raise RuntimeError("no")

    schema.tracing.hooks[:] = [broken, told.append]

    result = await ask(schema, seeded, QUERY + " # broken")

    assert result.data is not None
    assert len(told) == 1


async def test_spans_go_to_opentelemetry(seeded: SeededLedger, schema: CalledgerSchema) -> None:
    """The process's own provider gets a span an operation, with its duration."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    opentelemetry.set_tracer_provider(provider)
    schema.tracing.hooks[:] = shipped()

    await ask(schema, seeded, QUERY + " # span")

    (span,) = spans.get_finished_spans()
    assert span.name == "graphql"
    assert span.attributes is not None
    assert span.attributes["calledger.rows"] == 3
    assert span.end_time > span.start_time
    assert "arzipan" not in span.to_json()


async def test_metrics_have_no_text_of_a_caller(seeded: SeededLedger, schema: CalledgerSchema) -> None:
    """`/metrics` counts operations by path and outcome, whatever they are called."""
    await ask(schema, seeded, FAILING + " # metrics")

    text = generate_latest(REGISTRY).decode()
    assert 'calledger_graphql_seconds_count{errors="yes",path="ordinary"}' in text
    assert "arzipan" not in text
