"""An application that calls models and is traced: `application.py KIND PROVIDER_URL CANARY`.

Where its spans go, and with which key, the environment says, as it does for any application with OpenTelemetry.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

MESSAGES = [{"role": "user", "content": f"{sys.argv[3]}, what is the capital?"}]


def traced(instrumentor: Any) -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    instrumentor().instrument()
    return provider


def use_openai(instrumentor: Any, url: str) -> None:
    import openai
    from opentelemetry import trace

    provider = traced(instrumentor)
    client = openai.OpenAI(api_key="sk-none", base_url=f"{url}/v1", max_retries=0)
    with trace.get_tracer("shop").start_as_current_span("GET /ask"):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.2, user="u-17")
    list(
        client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    client.embeddings.create(model="text-embedding-3-small", input=sys.argv[3])
    with suppress(openai.RateLimitError):
        client.chat.completions.create(model="over-limit", messages=MESSAGES, temperature=0.7)
    provider.shutdown()


def use_anthropic(instrumentor: Any, url: str) -> None:
    import anthropic

    provider = traced(instrumentor)
    client = anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
    client.messages.create(model="claude-sonnet-4-5", max_tokens=50, messages=MESSAGES)
    with suppress(anthropic.RateLimitError):
        client.messages.create(model="over-limit", max_tokens=50, messages=MESSAGES)
    provider.shutdown()


def use_langfuse() -> None:
    from langfuse import get_client, propagate_attributes

    langfuse = get_client()
    with (
        langfuse.start_as_current_observation(as_type="span", name="outer", input=sys.argv[3]),
        propagate_attributes(user_id="u-9", session_id="s-1", tags=["team:search"]),
    ):
        with langfuse.start_as_current_observation(as_type="generation", name="g", model="gpt-4o", input=MESSAGES) as g:
            g.update(
                output=sys.argv[3],
                usage_details={"input": 40, "output": 20, "input_cached_tokens": 60, "total": 120},
                cost_details={"input": 0.001, "output": 0.002, "total": 0.003},
            )
        with langfuse.start_as_current_observation(as_type="generation", name="b", model="over-limit") as g:
            g.update(level="ERROR", status_message=f"rate limit for {sys.argv[3]}", input=MESSAGES)
    langfuse.flush()


async def use_litellm(callback: str, url: str) -> None:
    import litellm
    from opentelemetry import trace

    litellm.callbacks = [callback]
    common = {"messages": MESSAGES, "api_key": "sk-none"}
    await litellm.acompletion(model="openai/gpt-4o", api_base=f"{url}/v1", user="u-17", temperature=0.2, **common)
    await litellm.acompletion(model="anthropic/claude-sonnet-4-5", api_base=url, **common)
    with suppress(litellm.RateLimitError):
        await litellm.acompletion(model="openai/over-limit", api_base=f"{url}/v1", num_retries=0, **common)
    await asyncio.sleep(2)  # callbacks run behind the calls
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush()


def main() -> None:
    kind, url = sys.argv[1:3]
    if kind.startswith("openllmetry"):
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    elif kind.startswith("openinference"):
        from openinference.instrumentation.anthropic import AnthropicInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor
    if kind.endswith("-openai"):
        use_openai(OpenAIInstrumentor, url)
    elif kind.endswith("-anthropic"):
        use_anthropic(AnthropicInstrumentor, url)
    elif kind == "langfuse":
        use_langfuse()
    else:
        asyncio.run(use_litellm(kind, url))


main()
