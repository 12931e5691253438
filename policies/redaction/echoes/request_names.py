"""Where in a request names stand that one debugs with: of tools, of fields of their schemas, and values out of lists.

The place alone tells nothing, for a caller may write a prompt anywhere: what stands there must have a name's form too.
"""

import re
from collections.abc import Iterator
from typing import Final, cast

from policies.redaction.echoes.identifiers import is_call_id, is_enum_value, is_media_type, is_model, is_name

_TOOL_KEY_NAMES: Final = """
    function function_call functions tools tool_calls tool_choice
    functionDeclarations function_declarations functionCall functionResponse function_response
    tool toolSpec tool_spec toolUse mcp_servers json_schema jsonSchema
"""
_TOOL_KEYS: Final = frozenset(_TOOL_KEY_NAMES.split())
_TOOL_TYPE_NAMES: Final = """
    function function_call function_call_output tool tool_use tool_call tool_result server_tool_use mcp_tool_use
    mcp_call mcp_approval_request custom custom_tool_call json_schema
"""
_TOOL_TYPES: Final = frozenset(_TOOL_TYPE_NAMES.split())
# OpenAI's chat describes a custom tool, and a call of one, under this; its format and input are content.
_CUSTOM: Final = "custom"
_CUSTOM_KEYS: Final = frozenset(("name", "description", "format", "input"))
_TOOL_ROLES: Final = frozenset(("tool", "function"))
_NAME_KEYS: Final = frozenset(
    ("server_label", "tool_name", "function_name", "allowed_tools", "allowedFunctionNames", "allowed_function_names")
)
_MODEL_KEYS: Final = frozenset(
    ("model", "deployment", "deployment_id", "azure_deployment", "engine", "model_id", "model_name")
)
_CALL_ID_KEYS: Final = frozenset(("tool_call_id", "call_id", "tool_use_id", "toolUseId"))
# What takes one word out of a list of the API's own: which one it refused is what one debugs with.
_ENUM_NAMES: Final = """
    quality size voice tool_choice style response_format service_tier reasoning_effort verbosity encoding_format
    background moderation output_format output_compression truncation modalities audio_format input_fidelity
"""
_ENUM_KEYS: Final = frozenset(_ENUM_NAMES.split())
_MEDIA_TYPE_KEYS: Final = frozenset(("mime_type", "mimeType", "media_type", "mediaType", "content_type", "contentType"))
# `role` and `type` are fields of anything: they take a word of the API's own where messages and their parts stand.
_PART_NAMES: Final = """
    messages message content contents parts input output system system_instruction systemInstruction history
    chat_history tools tool_choice response_format format text thinking reasoning source
"""
_PART_KEYS: Final = frozenset(_PART_NAMES.split())
_PLAIN_MAX: Final = 6  # what is shorter is no content
# Prose has no such words: a plain one such as `patient` would part a sentence that says it.
_COMPOUND: Final = re.compile(r"[A-Za-z0-9]_[A-Za-z0-9]|[a-z0-9][A-Z]", re.ASCII)


def is_name_of_model(key: str) -> bool:
    """Whether a model or a deployment is named under `key`."""
    return key in _MODEL_KEYS


def is_identifier(key: str, text: str) -> bool:
    """Whether `text`, under `key`, is a name, an id or a value out of a list."""
    return (
        (key in _MODEL_KEYS and is_model(text))
        or (key in _ENUM_KEYS and is_enum_value(text))
        or (key in _CALL_ID_KEYS and is_call_id(text))
        or (key in _NAME_KEYS and is_name(text))
        or (key in _MEDIA_TYPE_KEYS and is_media_type(text))
    )


def name_of_tool(key: str, value: dict[str, object]) -> str | None:
    """The name of the tool, function or schema that `value`, under `key`, describes."""
    name = value.get("name")
    return name if isinstance(name, str) and is_name(name) and _is_tool(key, value) else None


def values_of_part(key: str, value: dict[str, object]) -> list[str]:
    """Role and type of a message or of a part of one, unless they are plain words."""
    if key not in _PART_KEYS:
        return []
    values = (value.get("role"), value.get("type"))
    return [text for text in values if isinstance(text, str) and len(text) > _PLAIN_MAX and _is_compound(text)]


def is_schema(value: dict[str, object]) -> bool:
    """Whether `value` may be a JSON schema that tells of fields."""
    return "properties" in value or "required" in value


def names_of_properties(value: dict[str, object]) -> Iterator[str]:
    """Names of the fields that a JSON schema tells of, unless they are plain words."""
    properties = value.get("properties")
    required = value.get("required")
    if isinstance(properties, dict):
        fields = cast("dict[str, object]", properties)
        if all(isinstance(field, dict | bool) for field in fields.values()):
            yield from filter(_is_field, fields)
    elif not _is_one(value.get("type"), frozenset(("object", "OBJECT"))):
        return
    if isinstance(required, list):
        yield from (name for name in cast("list[object]", required) if isinstance(name, str) and _is_field(name))


def _is_compound(text: str) -> bool:
    return _COMPOUND.search(text) is not None and is_enum_value(text)


def _is_field(name: str) -> bool:
    return is_name(name) and _COMPOUND.search(name) is not None


def _is_tool(key: str, value: dict[str, object]) -> bool:
    if key == _CUSTOM and value.keys() <= _CUSTOM_KEYS:
        return True
    return key in _TOOL_KEYS or _is_one(value.get("type"), _TOOL_TYPES) or _is_one(value.get("role"), _TOOL_ROLES)


def _is_one(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names
