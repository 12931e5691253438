"""Names in LiteLLM's StandardLoggingPayload: what is read, what is known and not kept, what holds content."""

from typing import Final

_READ_NAMES: Final = """
    id litellm_call_id trace_id session_id call_type stream response_cost cost_breakdown status custom_llm_provider
    prompt_tokens completion_tokens startTime endTime completionStartTime model model_group model_id metadata
    request_tags end_user error_information error_str model_parameters hidden_params usage cost cache_hit
    saved_cache_cost model_map_information
"""
READ: Final = frozenset(_READ_NAMES.split())
EACH_READ: Final = READ - {"error_information", "model_parameters", "model_map_information"}
"""What is looked at of nearly every call."""

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

_DEBUG_NAMES: Final = """
    traceback failed_generation error response_cost_failure_debug_info zero_cost_diagnostic status_fields user_agent
"""
DEBUG: Final = frozenset(_DEBUG_NAMES.split())
"""Texts for debugging, which may quote prompts and answers: of the payload, its `metadata`, its `error_information`."""

PERSONS: Final = (
    "user_api_key_end_user_id",
    "user_api_key_user_id",
    "user_api_key_user_email",
)
"""Parts of `metadata` that name a person."""

_NOT_KEPT_NAMES: Final = """
    total_tokens response_time response_cost_failure_debug_info status_fields api_base cache_key requester_ip_address
    user_agent standard_built_in_tools_params zero_cost_diagnostic request_model_access_groups cost_finalized
    autorouter_savings autorouter_savings_estimate autorouter_baseline_observation
"""
NOT_KEPT: Final = frozenset(_NOT_KEPT_NAMES.split())
"""Technical, personal, or the operator's own: counted by name."""

KNOWN: Final = READ | CONTENT | NOT_KEPT

PRIVATE_PARAMETERS: Final = frozenset(("user", "metadata", "extra_headers", "extra_body", "extra_query", "api_key"))
"""Never request parameters of an error."""
