"""What a report holds beside its facts -> strings of content, and the identifiers among them.

An identifier is recognised by where it stands (a tool's name, a model, an API's address) and by its form. Whatever
is not recognised for certain is content: it is only looked for in the error's text, and then gone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, cast

from policies.errors import PolicyError
from policies.redaction.echoes.identifiers import address_parts
from policies.redaction.echoes.request_names import (
    is_identifier,
    is_name_of_model,
    is_schema,
    name_of_tool,
    names_of_properties,
    values_of_part,
)

_KEY: Final = re.compile(r"\w{0,64}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:/+-]{1,40}", re.ASCII)
# What a gateway says under a name that we don't know is often an id, a host or a version of its own: longer than that,
# and no sentence. What it says of the error once more is no content, or there would be nothing left of the error.
_OTHER_TOKEN: Final = re.compile(r"[A-Za-z0-9_.:/+@=-]{1,128}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z][a-z]{1,40}|[A-Z]{2,40}")
_WORDS_OF_A_SENTENCE: Final = 4
_ERROR_KEY: Final = re.compile(r"error|exception|traceback|stack_?trace|errmsg", re.IGNORECASE)
_KNOWN_KEY_CHARS_MAX: Final = 64
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
    """`strings` are content; `identifiers` are names of tools, models and addresses that may be shown, and `fields`
    names in the schemas of tools, of which there may be too many; `persons` are values of fields that name one.
    """

    strings: list[str] = field(default_factory=list[str], repr=False)
    identifiers: list[str] = field(default_factory=list[str], repr=False)
    fields: list[str] = field(default_factory=list[str], repr=False)
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
        if value is None:
            continue
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
    found.identifiers += found.fields
    return found


def content_within(value: object) -> Iterator[tuple[str, object]]:
    """What stands under a name of content at any depth of `value`, which tells of an error: (name, value)."""
    pending = [value]
    while pending:
        outer = pending.pop()
        if isinstance(outer, list):
            pending.extend(cast("list[object]", outer))
        elif isinstance(outer, dict):
            fields = cast("dict[str, object]", outer)
            if isinstance(fields.get("role"), str):  # a message
                yield "messages", fields
                continue
            for key, inner in fields.items():
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
    if key in _TEXT_KEYS or is_name_of_model(key) or key in _ADDRESS_KEYS:
        return False
    if _tells_of_error(key) if len(key) <= _KNOWN_KEY_CHARS_MAX else _tells_of_error.__wrapped__(key):
        return True
    return (
        isinstance(value, str)
        and _OTHER_TOKEN.fullmatch(value) is not None
        and len(_WORD.findall(value)) < _WORDS_OF_A_SENTENCE
    )


@lru_cache(maxsize=2048)
def _tells_of_error(key: str) -> bool:
    return _ERROR_KEY.search(key) is not None and _ASKED_KEY.search(key) is None


def _open(found: Gathered, pending: list[tuple[str, object]], key: str, value: dict[str, object]) -> None:
    name = name_of_tool(key, value)
    if name is not None:
        found.identifiers.append(name)
    found.identifiers.extend(values_of_part(key, value))
    if is_schema(value):
        found.fields.extend(names_of_properties(value))
    for inner, item in value.items():
        if not _KEY.fullmatch(inner):
            _take(found, "content", inner)
        if inner != "name" or name is None:
            pending.append(("tool_call_id" if inner == "id" and key == "tool_calls" else inner, item))


def _take(found: Gathered, key: str, text: str) -> None:
    if len(text) <= (_SHORT_LATIN_MAX if text.isascii() else _SHORT_MAX):
        return
    if is_identifier(key, text):
        found.identifiers.append(text)
        return
    if key in _ADDRESS_KEYS:
        found.identifiers.extend(address_parts(text))
    if key not in _TEXT_KEYS and _TOKEN.fullmatch(text) and sum(map(str.isalnum, text)) <= _TOKEN_LETTERS_MAX:
        return
    found.strings.append(text)
