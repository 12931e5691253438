"""Names in rows of `logs`: types of rows, columns, entries of `other`, and the paths of requests."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

CONSUME: Final = 2
ERROR: Final = 5
REFUND: Final = 6
"""One API has no errors and no refunds: 5 is a test of a channel there."""

_NO_CALLS: Final = {0: "of no type", 1: "a top-up", 3: "an act of an administrator", 4: "a note of the system"}
SKIPPED: Final[Mapping[str, Mapping[int, str]]] = {
    "new-api": {**_NO_CALLS, 7: "a login"},
    "one-api": {**_NO_CALLS, 5: "a test of a channel"},
}
"""Rows that are no calls, by gateway and type."""

_READ_NAMES: Final = """
    id user_id username created_at type token_name token_id model_name quota prompt_tokens completion_tokens use_time
    elapsed_time is_stream channel channel_id group request_id upstream_request_id other occurrence
"""
READ: Final = frozenset(_READ_NAMES.split())
CONTENT: Final = "content"
"""Text about the bill, or the error's."""
NOT_KEPT: Final = frozenset(("ip", "channel_name", "system_prompt_reset"))

_READ_OTHERS: Final = """
    claude cache_tokens cache_creation_tokens cache_creation_tokens_5m cache_creation_tokens_1h frt upstream_model_name
    model_ratio group_ratio completion_ratio cache_ratio cache_creation_ratio cache_creation_ratio_5m
    cache_creation_ratio_1h model_price web_search_call_count web_search_price file_search_call_count file_search_price
    tool_surcharges request_path task_id is_task error_type error_code status_code admin_info
"""
READ_OTHERS: Final = frozenset(_READ_OTHERS.split())
_PLAIN_OTHERS: Final = """
    user_group_ratio is_model_mapped reasoning_effort is_system_prompt_overwritten request_conversion billing_source
    billing_preference subscription_id subscription_pre_consumed subscription_post_delta subscription_plan_id
    subscription_plan_title subscription_total subscription_used subscription_remain subscription_consumed
    wallet_quota_deducted billing_mode matched_tier expr_b64 stream_status po channel_id channel_name channel_type
    web_search file_search audio ws audio_input audio_output text_input text_output audio_ratio audio_completion_ratio
    image image_ratio image_output image_generation_call image_generation_call_price total_tokens pre_consumed
    actual_quota quota_delta pre_consumed_quota reason
"""
PLAIN_OTHERS: Final = frozenset(_PLAIN_OTHERS.split())
"""Entries of `other` that are known and not kept."""

_PATHS: Final = (
    ("/chat/completions", "chat"),
    ("/messages", "chat"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/completions", "text_completion"),
    ("/images/", "image_generation"),
    ("/audio/speech", "speech"),
    ("/audio/", "transcription"),
    ("/rerank", "rerank"),
    ("/realtime", "realtime"),
    ("/moderations", "moderation"),
    ("generateContent", "generate_content"),
    ("GenerateContent", "generate_content"),
    ("embedContent", "embeddings"),
    ("/video", "video_generation"),
)
_REMEMBERED_CHARACTERS: Final = 128
"""Paths of calls are short; what a report puts in their place may be a whole row long, and must not stay in memory."""


def operation_of(path: object) -> str | None:
    """The operation that a request's path asks for; None for one that is not known."""
    if not isinstance(path, str):
        return None
    return _known_operation(path) if len(path) <= _REMEMBERED_CHARACTERS else _operation_of(path)


def _operation_of(path: str) -> str | None:
    return next((operation for part, operation in _PATHS if part in path), None)


_known_operation: Final = lru_cache(maxsize=256)(_operation_of)
