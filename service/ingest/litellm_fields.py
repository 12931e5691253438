"""Names in LiteLLM's StandardLoggingPayload: what is read, what is known and not kept, what holds content."""

from collections.abc import Mapping
from typing import Final

_READ_NAMES: Final = """
    id litellm_call_id call_type stream response_cost cost_breakdown status custom_llm_provider prompt_tokens
    completion_tokens startTime endTime completionStartTime model model_group metadata request_tags end_user
    error_information error_str model_parameters hidden_params usage cost cache_hit
"""
READ: Final = frozenset(_READ_NAMES.split())

CONTENT: Final = frozenset(("messages", "response", "guardrail_information", "proxy_server_request"))
"""Prompts and answers, and what guardrails quote of them."""

CONTENT_METADATA: Final = (
    "requester_metadata",
    "mcp_tool_call_metadata",
    "vector_store_request_metadata",
    "prompt_management_metadata",
    "spend_logs_metadata",
)
"""Parts of `metadata` that quote requests."""

PERSONS: Final = (
    "user_api_key_end_user_id",
    "user_api_key_user_id",
    "user_api_key_user_email",
)
"""Parts of `metadata` that name a person."""

_NOT_KEPT_NAMES: Final = """
    trace_id total_tokens response_time response_cost_failure_debug_info status_fields model_map_information model_id
    api_base cache_key saved_cache_cost requester_ip_address user_agent standard_built_in_tools_params
    zero_cost_diagnostic request_model_access_groups
"""
NOT_KEPT: Final = frozenset(_NOT_KEPT_NAMES.split())
"""Technical, personal, or the operator's own: counted by name."""

PRIVATE_PARAMETERS: Final = frozenset(("user", "metadata", "extra_headers", "extra_body", "extra_query", "api_key"))
"""Never request parameters of an error."""

METERS: Final = (
    ("input_cost", "input", 1),
    ("cache_read_cost", "cache_read", 1),
    ("cache_creation_cost", "cache_write", 1),
    ("output_cost", "output", 1),
    ("reasoning_cost", "reasoning", 1),
    ("tool_usage_cost", "request", 1),
    ("discount_amount", "discount", -1),
    ("margin_total_amount", "margin", 1),
)
"""Entry of `cost_breakdown`, meter, and the sign that makes it a part of the sum."""

OPERATIONS: Final[Mapping[str, str]] = {
    "completion": "chat",
    "acompletion": "chat",
    "text_completion": "text_completion",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
}
"""LiteLLM's call types by the names of OpenTelemetry's `gen_ai.operation.name`; others stay as they are."""
