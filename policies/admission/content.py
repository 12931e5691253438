"""What a report holds beside its facts -> strings of content, and the identifiers among them.

An identifier is told by where it stands (a tool's name, a model, an API's address) and by its form. Whatever is not
told for certain is content: it is only looked for in the error's text, and then gone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from policies.errors import PolicyError
from policies.redaction.echoes.identifiers import address_parts, is_call_id, is_enum_value, is_model, is_name

_KEY: Final = re.compile(r"\w{0,64}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:/+-]{1,40}", re.ASCII)
# What a gateway says under a name that we don't know is often an id, a host or a version of its own: longer than that,
# and no sentence. What it says of the error once more is no content, or there would be nothing left of the error.
_OTHER_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:/+@=-]{1,128}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z][a-z]{1,40}|[A-Z]{2,40}")
_WORDS_OF_A_SENTENCE: Final = 4
_ERROR_KEY: Final = re.compile(r"error|exception|traceback|stack_?trace|errmsg", re.IGNORECASE)
_ASKED_KEY: Final = re.compile(r"prompt|input|request|question|query|content|text", re.IGNORECASE)
_TOKEN_LETTERS_MAX: Final = 14
_SHORT_LATIN_MAX: Final = 6
_SHORT_MAX: Final = 2
_TEXT_NAMES: Final = """
    content text prompt prompts input inputs output outputs completion completions arguments instructions system
    query question answer description refusal reasoning thinking summary transcript documents document value data
    title subject body message messages response choices request contents parts candidates questions history
    chat_history conversation request_body raw_request context payload texts prediction
"""
_TEXT_KEYS: Final = frozenset(_TEXT_NAMES.split())
"""Keys under which a single word may be a whole message."""

_TOOL_KEYS: Final = frozenset(("function", "function_call", "functions", "tools", "tool_calls", "tool_choice"))
_TOOL_TYPE_NAMES: Final = """
    function function_call function_call_output tool tool_use tool_call tool_result server_tool_use mcp_tool_use
    mcp_call custom custom_tool_call
"""
_TOOL_TYPES: Final = frozenset(_TOOL_TYPE_NAMES.split())
_TOOL_ROLES: Final = frozenset(("tool", "function"))
_MODEL_KEYS: Final = frozenset(
    ("model", "deployment", "deployment_id", "azure_deployment", "engine", "model_id", "model_name")
)
_CALL_ID_KEYS: Final = frozenset(("tool_call_id", "call_id", "tool_use_id"))
# What takes one word out of a list of the API's own: which one it refused is what one debugs with.
_ENUM_NAMES: Final = """
    quality size voice tool_choice style response_format service_tier reasoning_effort verbosity encoding_format
    background moderation output_format output_compression truncation modalities audio_format input_fidelity
"""
_ENUM_KEYS: Final = frozenset(_ENUM_NAMES.split())
_ADDRESS_KEYS: Final = frozenset(
    ("api_base", "base_url", "azure_endpoint", "api_host", "endpoint", "url", "host", "hostname", "server_url")
)


_ASKED_NAMES: Final = """
    prompt prompts input inputs output outputs completion completions arguments instructions system query question
    questions messages choices request request_body raw_request contents parts candidates history chat_history
    conversation documents tools tool_calls functions function_call failed_generation
"""
_ASKED_KEYS: Final = frozenset(_ASKED_NAMES.split())
"""Keys under which content stands inside of what is said of an error; its own words stand under `message` or `body`."""

_PERSON_NAMES: Final = """
    user user_id user_name username user_email email end_user end_user_id customer customer_id customer_email
    safety_identifier user_api_key_user_id user_api_key_user_email user_api_key_end_user_id
"""
_PERSON_KEYS: Final = frozenset(_PERSON_NAMES.split())
_PERSONS_MAX: Final = 64


class ContentSizeError(PolicyError):
    """the content of a report is too large to be walked"""


@dataclass(slots=True)
class Gathered:
    """`strings` are content; `identifiers` are names of tools, models and addresses that may be shown; `persons` are
    values of fields that name one.
    """

    strings: list[str] = field(default_factory=list[str], repr=False)
    identifiers: list[str] = field(default_factory=list[str], repr=False)
    persons: list[str] = field(default_factory=list[str], repr=False)


def gather(
    values: Mapping[str, object] | Iterable[tuple[str, object]], *, values_max: int | None = None, known: bool = True
) -> Gathered:
    """Walk `values`, each under the name of its field, at whatever depth. ContentSizeError beyond `values_max`.

    Keys of objects count as content too, unless they are plain names: `max_completion_tokens` is none. Nor is a single
    short word that stands where the API expects one of its own: `"role": "assistant"`. Where it is not `known` that the
    fields hold content, names of the gateway's own and what is said of the error once more are none either.
    """
    found = Gathered()
    pairs = cast("Mapping[str, object]", values).items() if isinstance(values, Mapping) else values
    pending: list[tuple[str, object]] = list(pairs)
    walked = 0
    while pending:
        walked += 1
        if values_max is not None and walked > values_max:
            raise ContentSizeError
        key, value = pending.pop()
        if key in _PERSON_KEYS and len(found.persons) < _PERSONS_MAX:
            found.persons += person_texts(value)
        if not known and _is_the_gateways(key, value):
            pending.extend(content_within(value))
            continue
        if isinstance(value, str):
            _take(found, key, value)
        elif isinstance(value, dict):
            _open(found, pending, key, cast("dict[str, object]", value))
        elif isinstance(value, list):
            pending.extend([(key, item) for item in cast("list[object]", value)])
    return found


def content_within(value: object) -> Iterator[tuple[str, object]]:
    """What stands under a name of content at any depth of `value`, which tells of an error: (name, value)."""
    pending = [value]
    while pending:
        outer = pending.pop()
        if isinstance(outer, list):
            pending.extend(cast("list[object]", outer))
        elif isinstance(outer, dict):
            for key, inner in cast("dict[str, object]", outer).items():
                if key in _ASKED_KEYS:
                    yield key, inner
                else:
                    pending.append(inner)


def person_texts(value: object) -> list[str]:
    """The texts of what stands where a person is named: a text, a whole number, or these in a list or an object."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [str(value).replace("\0", "")]
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if not isinstance(value, list):
        return []
    inner = cast("list[object]", value)[:_PERSONS_MAX]
    return [str(one).replace("\0", "") for one in inner if isinstance(one, str | int) and not isinstance(one, bool)]


def _is_the_gateways(key: str, value: object) -> bool:
    if key in _TEXT_KEYS or key in _MODEL_KEYS or key in _ADDRESS_KEYS:
        return False
    if _ERROR_KEY.search(key) and not _ASKED_KEY.search(key):
        return True
    return (
        isinstance(value, str)
        and _OTHER_TOKEN.fullmatch(value) is not None
        and len(_WORD.findall(value)) < _WORDS_OF_A_SENTENCE
    )


def _open(found: Gathered, pending: list[tuple[str, object]], key: str, value: dict[str, object]) -> None:
    name = value.get("name")
    named = isinstance(name, str) and is_name(name) and _is_tool(key, value)
    if named:
        found.identifiers.append(cast("str", name))
    for inner, item in value.items():
        if not _KEY.fullmatch(inner):
            _take(found, "content", inner)
        if not (named and inner == "name"):
            pending.append(("tool_call_id" if inner == "id" and key == "tool_calls" else inner, item))


def _is_tool(key: str, value: dict[str, object]) -> bool:
    return key in _TOOL_KEYS or _is_one(value.get("type"), _TOOL_TYPES) or _is_one(value.get("role"), _TOOL_ROLES)


def _take(found: Gathered, key: str, text: str) -> None:
    if len(text) <= (_SHORT_LATIN_MAX if text.isascii() else _SHORT_MAX):
        return
    if (
        (key in _MODEL_KEYS and is_model(text))
        or (key in _ENUM_KEYS and is_enum_value(text))
        or (key in _CALL_ID_KEYS and is_call_id(text))
    ):
        found.identifiers.append(text)
        return
    if key in _ADDRESS_KEYS:
        found.identifiers.extend(address_parts(text))
    if key not in _TEXT_KEYS and _TOKEN.fullmatch(text) and sum(map(str.isalnum, text)) <= _TOKEN_LETTERS_MAX:
        return
    found.strings.append(text)


def _is_one(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names
