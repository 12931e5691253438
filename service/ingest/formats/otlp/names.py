"""The names of attributes by which instrumentations say the same thing, the most exact first.

OpenTelemetry's conventions for generative AI, current and older ones (semantic-conventions-genai), OpenInference,
OpenLLMetry (Traceloop), Langfuse, LiteLLM's own callback and Vercel's AI SDK. What is not named here is not kept.
"""

from typing import Final

REQUESTED_MODEL: Final = (
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.request.model",
    "langfuse.observation.model.name",
    "ai.model.id",
)
ONE_MODEL: Final = ("llm.model_name", "embedding.model_name", "reranker.model_name")
"""The model that answered, unless that stands under a name of its own."""
SERVED_MODEL: Final = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.response.model",
    "ai.response.model",
    *ONE_MODEL,
)
PROVIDER: Final = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "error.llm_provider",
)

INPUT_TOKENS: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
OUTPUT_TOKENS: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
TOTAL_TOKENS: Final = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
)
READ_TOKENS: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
    "ai.usage.cachedInputTokens",
)
WRITTEN_TOKENS: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
    "llm.token_count.prompt_details.cache_creation",
)
REASONING_TOKENS: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.reasoningTokens",
)
LITELLM_USAGE: Final = "metadata.usage_object"
"""LiteLLM's usage, in Python's own notation."""
LANGFUSE_USAGE: Final = "langfuse.observation.usage_details"

COST: Final = ("gen_ai.usage.cost", "gen_ai.cost.total_cost", "llm.cost.total", "llm.response.cost", "operation.cost")
BREAKDOWN: Final = "gen_ai.cost."
"""What LiteLLM puts before the names of its `cost_breakdown`."""
LANGFUSE_COST: Final = "langfuse.observation.cost_details"

USER: Final = (
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "metadata.user_api_key_end_user_id",
    "metadata.user_api_key_user_id",
)
PERSONS: Final = (*USER, "metadata.user_api_key_user_email", "enduser.pseudo.id", "user.email", "user.name")
SESSION: Final = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
)
ACCOUNT: Final = ("calledger.account", "metadata.user_api_key_org_id", "metadata.user_api_key_team_id")
API_KEY: Final = ("calledger.api_key", "metadata.user_api_key_alias")
KEY_HASH: Final = "metadata.user_api_key_hash"
TEAM: Final = ("metadata.user_api_key_team_alias", "metadata.user_api_key_team_id")
TEAM_ID: Final = ("metadata.user_api_key_team_id",)
ORGANIZATION: Final = ("metadata.user_api_key_org_alias", "metadata.user_api_key_org_id")
ORGANIZATION_ID: Final = ("metadata.user_api_key_org_id",)
SERVICE: Final = "service.name"
ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment", "langfuse.environment")
TAGS: Final = ("langfuse.trace.tags", "tag.tags")
PROPERTIES: Final = "traceloop.association.properties."
METADATA: Final = "metadata"
"""LiteLLM's metadata as one JSON text, where it reports by OpenInference's names."""

PROVIDER_REQUEST_ID: Final = ("gen_ai.response.id", "llm.response.id", "ai.response.id")
LITELLM_CALL_ID: Final = "litellm.call_id"
CACHE_HIT: Final = "litellm.cache_hit"

STREAMED: Final = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
FIRST_TOKEN_SECONDS: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FIRST_TOKEN_MILLISECONDS: Final = ("ai.response.msToFirstChunk",)
FIRST_AT: Final = "langfuse.observation.completion_start_time"
FIRST_EVENT: Final = "First Token Stream Event"

ERROR_TYPE: Final = ("error.type", "exception.type")
ERROR_CODE: Final = ("error.code", "http.response.status_code")
ERROR_MESSAGE: Final = ("error.message", "exception.message", "langfuse.observation.status_message")
STACK_TRACES: Final = ("exception.stacktrace", "error.stack_trace")
LANGFUSE_LEVEL: Final = "langfuse.observation.level"
INVOCATION: Final = (
    "llm.invocation_parameters",
    "embedding.invocation_parameters",
    "langfuse.observation.model.parameters",
)
"""Parameters of the request as one JSON text."""
PARAMETER_PREFIXES: Final = ("gen_ai.request.", "llm.request.")

OPERATION: Final = "gen_ai.operation.name"
OPENINFERENCE_KIND: Final = "openinference.span.kind"
LANGFUSE_TYPE: Final = "langfuse.observation.type"
TRACELOOP_KIND: Final = "traceloop.span.kind"
REQUEST_TYPE: Final = "llm.request.type"
VERCEL_OPERATION: Final = "ai.operationId"
"""`ai.generateText.doGenerate` of Vercel's AI SDK: its `do...` spans are requests, those around them are not."""

_PARAMETERS: Final = """
    temperature top_p top_k max_tokens max_completion_tokens max_output_tokens n seed stream presence_penalty
    frequency_penalty reasoning_effort service_tier timeout choice.count encoding_formats dimensions
"""
PARAMETERS: Final = frozenset(_PARAMETERS.split())
"""Parameters of a request that cannot hold a prompt."""

READ: Final = frozenset(
    (
        *REQUESTED_MODEL,
        *SERVED_MODEL,
        *PROVIDER,
        *INPUT_TOKENS,
        *OUTPUT_TOKENS,
        *TOTAL_TOKENS,
        *READ_TOKENS,
        *WRITTEN_TOKENS,
        *REASONING_TOKENS,
        *COST,
        *PERSONS,
        *SESSION,
        *ACCOUNT,
        *API_KEY,
        *TEAM,
        *ORGANIZATION,
        *ENVIRONMENT,
        *TAGS,
        *PROVIDER_REQUEST_ID,
        *STREAMED,
        VERCEL_OPERATION,
        *FIRST_TOKEN_SECONDS,
        *FIRST_TOKEN_MILLISECONDS,
        *ERROR_TYPE,
        *ERROR_CODE,
        *ERROR_MESSAGE,
        *INVOCATION,
        *(
            LITELLM_USAGE,
            LANGFUSE_USAGE,
            LANGFUSE_COST,
            LANGFUSE_LEVEL,
            LANGFUSE_TYPE,
            KEY_HASH,
            LITELLM_CALL_ID,
            CACHE_HIT,
        ),
        *(FIRST_AT, OPERATION, OPENINFERENCE_KIND, TRACELOOP_KIND, REQUEST_TYPE, SERVICE),
    )
)
"""What is kept, or decides what is."""

_NOT_KEPT: Final = """
    gen_ai.response.finish_reasons gen_ai.output.type gen_ai.openai.api_base llm.finish_reason server.address
    server.port litellm.provider.model litellm.trace_id input.mime_type output.mime_type url.scheme url.path url.full
    http.request.method http.route network.protocol.version thread.id thread.name llm.headers
"""
NOT_KEPT: Final = frozenset(_NOT_KEPT.split())
"""Technical, and counted by name."""

_CONTENT: Final = """
    gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions gen_ai.tool.definitions gen_ai.prompt
    gen_ai.completion gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.retrieval.query.text
    gen_ai.retrieval.documents gen_ai.memory.query.text gen_ai.memory.records gen_ai.evaluation.explanation
    gen_ai.request.stop_sequences gen_ai.content.prompt gen_ai.content.completion llm.input_messages
    llm.output_messages llm.prompts llm.completions llm.prompt_template llm.tools llm.function_call input.value
    output.value embedding.embeddings embedding.text retrieval.documents reranker.query reranker.input_documents
    reranker.output_documents langfuse.observation.input langfuse.observation.output langfuse.trace.input
    langfuse.trace.output traceloop.entity.input traceloop.entity.output ai.prompt ai.response.text
    ai.response.object ai.response.toolCalls ai.values ai.value ai.schema
"""
CONTENT: Final = frozenset(_CONTENT.split())
"""Prompts, answers and arguments of tools, and all names that begin with one of these and a point."""
