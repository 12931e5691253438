"""The console at `/console/`: its page for every address of its own, and the files that the page names.

It works under whatever path a proxy puts before ours, and takes nobody's word for what that is: the page gets a
`<base>` relative to the address by which it was asked for, and names everything else, the API too, relative to that.
"""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import hdrs, web

from service.console.assets import HASHED, INDEX, Asset, assets
from service.content_coding import chosen
from service.entity_tags import entity_tag

PATH: Final = "/console/"
_DEPTH_MAX: Final = 8
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE: Final = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
_PAGE: Final = {
    **_SAFE,
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"  # a year (RFC 8246): another content has another name


class Console:
    """Answers every GET below `PATH` with the files of `dist`; `graphiql`: whether the page may point to GraphiQL."""

    def __init__(self, dist: Traversable, *, graphiql: bool) -> None:
        self._assets: Mapping[str, Asset] = assets(dist)
        text = dist.joinpath(INDEX).read_text("utf-8")
        self._before, head, after = text.partition("<head>")
        if not head:
            raise ValueError(f"`{INDEX}` of the console has no `<head>`")
        # For the page to point to it, and for nobody to be led to where nothing is.
        self._after = f'<meta name="graphiql" content="../graphql">{after}' if graphiql else after

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the file of this name, or with the page, which finds out itself what its address shows."""
        name = request.match_info["name"]
        asset = self._assets.get(name)
        if asset is not None:
            return await _file(request, asset, name)
        # As the browser counts them: an escaped `/` is no slash.
        depth = request.rel_url.raw_path.removeprefix(PATH).count("/")
        if name.startswith(HASHED) or depth > _DEPTH_MAX:
            raise web.HTTPNotFound
        return self._page(depth)

    def _page(self, depth: int) -> web.Response:
        base = "../" * depth or "./"
        body = f'{self._before}<head><base href="{base}">{self._after}'.encode()
        response = web.Response(body=body, content_type="text/html", charset="utf-8", headers=_PAGE)
        response.headers[hdrs.ETAG] = entity_tag(sha256(body).hexdigest())
        return response


async def to_console(request: web.Request) -> web.Response:
    """Send a browser to the page, by an address relative to its own."""
    query = request.rel_url.raw_query_string
    location = PATH.lstrip("/") + (f"?{query}" if query else "")
    return web.Response(status=302, headers={hdrs.LOCATION: location, hdrs.CACHE_CONTROL: "no-cache"})


async def _file(request: web.Request, asset: Asset, name: str) -> web.Response:
    coding = chosen(request.headers.get(hdrs.ACCEPT_ENCODING)) if asset.compressible else None
    # In a thread the first time: it takes a good part of a second.
    body = asset.body if coding is None else await asyncio.to_thread(asset.coded, coding)
    charset = "utf-8" if asset.content_type.startswith("text/") else None
    response = web.Response(body=body, content_type=asset.content_type, charset=charset, headers=_SAFE)
    response.headers[hdrs.ETAG] = entity_tag(asset.digest, coding)
    response.headers[hdrs.CACHE_CONTROL] = _FOR_EVER if name.startswith(HASHED) else "no-cache"
    if asset.compressible:
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    if coding is not None:
        response.headers[hdrs.CONTENT_ENCODING] = coding
    return response
