"""Identifiers of a request: names and ids that one debugs with. They are not content, though content may hold them.

One is recognised by its form, for a caller writes them: printable ASCII without a blank, bounded, and no sentence.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

IDENTIFIERS_MAX: Final = 512
"""Of one report; further ones are content like all the rest."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_MODEL: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9_.:/@+-]{0,127}", re.ASCII)
_ENUM_VALUE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}", re.ASCII)
_MEDIA_TYPE: Final = re.compile(
    r"(?:application|audio|font|image|message|model|multipart|text|video)/[A-Za-z0-9][A-Za-z0-9.+_-]{0,99}", re.ASCII
)
_API_WORDS: Final = (
    "v[0-9]{1,2}(?:beta[0-9]?|alpha)?|api|openai|anthropic|deployments|models|engines|chat|completions|responses|"
    "messages|embeddings|images|audio|generations|transcriptions|batches|files|invoke|converse|inference"
)
_ADDRESS: Final = re.compile(
    rf"(https?://)?([A-Za-z0-9](?:[A-Za-z0-9.-]{{0,251}}[A-Za-z0-9])?(?::[0-9]{{1,5}})?)((?:/(?:{_API_WORDS}))*)/?",
    re.ASCII,
)
_HOST: Final = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]{0,251}(?::[0-9]{1,5})?)(?=[/?#]|\Z)", re.ASCII)
_DEPLOYMENT: Final = re.compile(
    r"/(?:deployments|models|engines)/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?=[/?#:]|\Z)", re.ASCII
)
# Ids as providers make them: a word for what it is, then what no person wrote.
_MADE_ID: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:call|chatcmpl-tool|fc|ctc|resp|msg|toolu|srvtoolu|mcptoolu|mcp|chatcmpl|cmpl|gen|run|thread|asst|step|file"
    r"|batch|msgbatch|ws|rs|req|item|vs|ftjob|conv|embd|trace)[_-])(?:[A-Za-z0-9]{6,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}"
    r"-[0-9a-f]{12})(?![A-Za-z0-9])|(?<![A-Za-z0-9])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![A-Za-z0-9])",
    re.ASCII,
)
# OpenAI's, whose 24 letters may have no digit among them.
_CALL_ID: Final = re.compile(r"call_[A-Za-z0-9]{24}", re.ASCII)
_WRITTEN: Final = re.compile(r"[a-z]{11}")
_DIGITS_MIN: Final = 2
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_WORDS_OF_A_SENTENCE: Final = 4
_LETTERS_OF_A_SENTENCE: Final = 16


def is_name(text: str) -> bool:
    """Whether `text` has the form of a tool's or a function's name."""
    return _NAME.fullmatch(text) is not None


def is_model(text: str) -> bool:
    """Whether `text` has the form of a model's or a deployment's name."""
    return _MODEL.fullmatch(text) is not None


def is_call_id(text: str) -> bool:
    """Whether `text` has the form of a tool call's id, digits or not."""
    return _CALL_ID.fullmatch(text) is not None


def is_enum_value(text: str) -> bool:
    """Whether `text` has the form of a value out of a list."""
    return _ENUM_VALUE.fullmatch(text) is not None


def is_media_type(text: str) -> bool:
    """Whether `text` has the form of a media type, such as `application/pdf`."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def address_parts(url: str) -> Iterator[str]:
    """What of an API's address is an identifier: all of it when its path is made of an API's words, else the host.

    The name of a deployment in the path is one too.
    """
    if _ADDRESS.fullmatch(url):
        yield url.rstrip("/")
    if host := _HOST.match(url):
        yield host[1]
        yield host[0]
        yield from (match[1] for match in _DEPLOYMENT.finditer(url, host.end()))


def as_sentence(name: str) -> str:
    """What `name` says, in lower case with single blanks; nothing when that is too little for a sentence.

    If the content (`in_words`) says it too, it is no mere name.
    """
    if len(name) < _LETTERS_OF_A_SENTENCE:
        return ""
    words = _WORDS.findall(name)
    if len(words) < _WORDS_OF_A_SENTENCE or sum(map(len, words)) < _LETTERS_OF_A_SENTENCE:
        return ""
    return " ".join(words).lower()


def in_words(content: Iterable[str]) -> str:
    """Content as `as_sentence` writes names."""
    return " ".join("\n".join(content).lower().split())


def made_ids(text: str) -> Iterator[tuple[int, int]]:
    """Where `text` holds ids that a program made."""
    for match in _MADE_ID.finditer(text):
        tail = match[0]
        if sum(map(str.isdigit, tail)) >= _DIGITS_MIN and not _WRITTEN.search(tail):
            yield match.span()


def occurrences(text: str, identifier: str) -> Iterator[tuple[int, int]]:
    """Where `identifier` stands in `text` by itself, not as a part of a longer word."""
    size = len(identifier)
    at = text.find(identifier)
    while at >= 0:
        end = at + size
        if not (at and _in_word(text[at - 1])) and not (end < len(text) and _in_word(text[end])):
            yield at, end
        at = text.find(identifier, end)


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def without(span: tuple[int, int], exempt: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """`span` without what is exempt (in order, joined)."""
    start, end = span
    left: list[tuple[int, int]] = []
    for low, high in exempt:
        if high <= start:
            continue
        if low >= end:
            break
        if low > start:
            left.append((start, low))
        start = high
    if start < end:
        left.append((start, end))
    return left
