"""Texts that gateways write for debugging, such as tracebacks -> what they say beside the error itself.

A text that says the error's message again is no content, nor are the frames of a traceback and the names of classes:
the message would lose what it is read for. A prompt or an answer that is quoted there is content.
"""

import re
from collections.abc import Iterator
from typing import Final, cast

_CLASS: Final = r"[A-Za-z_][\w.]{0,127}(?:Error|Exception|Warning|Timeout|Exit|Interrupt)"
_CLASSES: Final = re.compile(rf"(?:{_CLASS}(?:: | - |:?\Z)){{1,4}}", re.ASCII)
_OWN_MIN: Final = 8
_OTHER: Final = "debug"
_TEXT_KEYS: Final = frozenset(("content", "text", "parts", "prompt", "input", "output", "arguments", "messages"))
_OWN_KEYS: Final = frozenset(("message", "msg", "type", "code"))
_FRAME: Final = re.compile(r"[ \t]{0,16}File \"[^\"\n]{0,512}\", line [0-9]{1,9}")
_FRAME_START: Final = 'File "'
_HEADER_STARTS: Final = "TD^~"
_HEADER: Final = re.compile(r"(?:Traceback \(most|During handling|The above exception)[^\n]{0,120}\Z|[ \t]*[\^~ \t]+\Z")
_QUOTED_NAMES: Final = "content|contents|text|prompt|input|inputs|arguments|completion|output|instructions|messages"
_SIGN_OF_VALUE: Final = re.compile(r"[:=] ?[\"']")
# It needs no closing quote, so nothing is read twice.
_QUOTED: Final = re.compile(
    rf"\b(?:{_QUOTED_NAMES})[\"']? ?[:=] ?(?:\"((?:[^\"\\]|\\.)*+)|'((?:[^'\\]|\\.)*+))", re.ASCII | re.DOTALL
)


def besides_the_error(value: object, message: str | None, *, of_error: bool) -> Iterator[tuple[str, str]]:
    """The content in a value for debugging, at any depth: (name of its field, text).

    `of_error` is for the traceback of the error itself: what it says was raised is no content, but for quoted prompts.
    """
    if not value:
        return
    own = _without_classes(message or "").strip()
    pending: list[tuple[str, object]] = [(_OTHER, value)]
    while pending:
        name, inner = pending.pop()
        if isinstance(inner, dict):
            fields = cast("dict[str, object]", inner).items()
            pending.extend([(key, item) for key, item in fields if not _is_own(key, item, own)])
        elif isinstance(inner, list):
            pending.extend([(name, item) for item in cast("list[object]", inner)])
        elif isinstance(inner, str):
            for part in inner.split(own) if len(own) >= _OWN_MIN else [inner]:
                if _SIGN_OF_VALUE.search(part) is not None:
                    yield from [("content", match[1] or match[2] or "") for match in _QUOTED.finditer(part)]
                shown = name if name in _TEXT_KEYS else _OTHER
                yield from [(shown, text) for text in _quoted_texts(part, of_error=of_error)]


def _is_own(key: str, value: object, own: str) -> bool:
    return key in _OWN_KEYS and isinstance(value, str) and value in own


def _quoted_texts(text: str, *, of_error: bool) -> Iterator[str]:
    """The lines that are no frames: one text for those that follow each other."""
    lines: list[str] = []
    source = raised = False
    for line in text.split("\n"):
        shown = line.strip()
        frame = shown.startswith(_FRAME_START) and _FRAME.match(line) is not None
        if not shown or frame or (source and line.startswith("    ")) or _is_header(line, shown):
            source, raised = frame, False
            continue
        source = False
        shortened = _without_classes(line)
        raised = raised or (of_error and shortened is not line)
        if not raised:
            lines.append(shortened)
    yield "\n".join(lines)


def _is_header(line: str, shown: str) -> bool:
    return shown[0] in _HEADER_STARTS and _HEADER.match(line) is not None


def _without_classes(line: str) -> str:
    start = _CLASSES.match(line)
    return line if start is None else line[start.end() :]
