"""The kinds of calls to a model: LiteLLM's call types as one closed table of operations.

Where OpenTelemetry's `gen_ai.operation.name` has a name it is taken, else the one that providers' own APIs have.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

OTHER: Final = "other"
BATCH: Final = "batch"
"""The bill of a batch, whatever asked for it."""

RETRIEVE_BATCH: Final = "retrieve_batch"
RETRIEVE_RESPONSE: Final = "retrieve_response"
RESPONSES: Final = "responses"

_NAMES: Final[Mapping[str, str]] = {
    "chat": "completion anthropic_messages",
    "text_completion": "text_completion",
    "embeddings": "embedding",
    "generate_content": "generate_content generate_content_stream",
    "responses": "responses responses_websocket create_interaction compact_responses",
    "image_generation": "image_generation image_edit image_variation",
    "video_generation": "create_video video_generation video_remix video_edit video_extension video_create_character",
    "transcription": "transcription",
    "speech": "speech",
    "realtime": "realtime",
    "rerank": "rerank",
    "moderation": "moderation",
    "ocr": "ocr",
    "search": "search vector_store_search query",
    "create_agent": "create_assistants acreate_skill create_skill",
    "invoke_agent": "run_thread run_thread_stream send_message",
    "execute_tool": "call_mcp_tool run_code code_interpreter_tool",
    "pass_through": "pass_through_endpoint llm_passthrough_route pass_through",
    "create_batch": "create_batch",
    "retrieve_batch": "retrieve_batch",
    "cancel_batch": "cancel_batch",
    "list_batches": "list_batches",
    "retrieve_response": "get_responses list_input_items",
    "delete_response": "delete_responses",
    "cancel_response": "cancel_responses",
    "files": "file_retrieve file_delete file_list create_file file_content",
    "fine_tuning": ("create_fine_tuning_job cancel_fine_tuning_job list_fine_tuning_jobs retrieve_fine_tuning_job"),
    "assistants": ("get_assistants delete_assistant create_thread get_thread a_add_message add_message get_messages"),
    "videos": "video_retrieve video_content video_list video_retrieve_job video_delete video_get_character",
    "vector_stores": (
        "vector_store_create vector_store_file_create vector_store_file_list vector_store_file_retrieve "
        "vector_store_file_content vector_store_file_update vector_store_file_delete ingest"
    ),
    "containers": (
        "create_container list_containers retrieve_container delete_container list_container_files "
        "upload_container_file create_sandbox delete_sandbox"
    ),
    "list_tools": "list_mcp_tools",
}
OPERATIONS: Final[Mapping[str, str]] = {
    call_type: operation for operation, call_types in _NAMES.items() for call_type in call_types.split()
}
"""Call type without the `a` of its asynchronous form -> operation."""

UNBILLED: Final = frozenset(
    (
        *("create_batch", "retrieve_batch", "cancel_batch", "list_batches", "retrieve_response", "delete_response"),
        *("cancel_response", "files", "fine_tuning", "assistants", "videos", "vector_stores", "list_tools"),
        "moderation",
    )
)
"""Operations that ask for no work of a model, or for work that may be free: a cost of zero is one."""


@lru_cache(maxsize=256)
def operation_of(call_type: str | None) -> str | None:
    """The operation of a call type; `other` for one that is not in the table, None without one."""
    if call_type is None:
        return None
    bare = call_type.lstrip("_")
    return OPERATIONS.get(bare) or OPERATIONS.get(bare.removeprefix("a")) or OTHER
