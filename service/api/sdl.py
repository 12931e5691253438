"""`GET /schema.graphql`: the schema as text, for code generators and for people.

It is public. It is the same for everybody, it is in the source code too, and it holds no secret: what a key may ask of
it is decided when it asks.
"""

import asyncio
from functools import cache
from hashlib import sha256
from typing import Final

from aiohttp import web

from service.api.schema import sdl
from service.entity_tags import entity_tag

PATH: Final = "/schema.graphql"


async def document(_: web.Request) -> web.Response:
    """Answer with the schema. A client may keep it, and asks each time whether it is still the one in use."""
    body, tag = await asyncio.to_thread(_printed)
    headers = {"ETag": tag, "Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=body, content_type="text/plain", charset="utf-8", headers=headers)


@cache
def _printed() -> tuple[bytes, str]:
    body = sdl().encode()
    return body, entity_tag(sha256(body).hexdigest())
