"""Entity tags (RFC 9110, section 8.8.3): whether the client already has the representation that it asks for."""

from typing import Final

from aiohttp import hdrs, web

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


def leave_out_known(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Answer 304 without a body, if the client has these bytes already (RFC 9110, section 13.1.2)."""
    if request.method not in ("GET", "HEAD") or response.status != 200 or response.prepared:
        return
    tag = response.headers.get(hdrs.ETAG)
    if tag is not None and is_known(request.headers.get(hdrs.IF_NONE_MATCH), tag):
        assert isinstance(response, web.Response), "what is streamed decides it before it begins"
        response.set_status(304)
        response.body = None
