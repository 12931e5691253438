"""Entity tags (RFC 9110, section 8.8.3): whether a client has already what it asks for."""

from typing import Final

_TAGS_MAX: Final = 100


def entity_tag(digest: str, coding: str | None = None) -> str:
    """A strong tag of the bytes with this digest; other bytes in a content coding have another one."""
    return f'"{digest}"' if coding is None else f'"{digest}-{coding}"'


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether a tag is among those of an `If-None-Match` header, by weak comparison, as section 13.1.2 has it."""
    if not if_none_match:
        return False
    given = [one.strip().removeprefix("W/") for one in if_none_match.split(",", _TAGS_MAX)[:_TAGS_MAX]]
    return tag.removeprefix("W/") in given or given == ["*"]
