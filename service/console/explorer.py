"""GraphiQL, to try queries in a browser: a page at `/graphql`, and its files beside it.

Everything comes from here (`.ci/graphiql` brings it into the repository), so that the page asks nobody else, and a
strict Content-Security-Policy can hold it to that. It signs in with a key that the tab alone keeps.
"""

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

from aiohttp import hdrs, web

from service.entity_tags import entity_tag

PATH: Final = "/graphiql/{name}"
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "html": "text/html"}
_FILES: Final = (
    *("page.js", "page.css", "graphiql.min.js", "graphiql.min.css"),
    *("react.production.min.js", "react-dom.production.min.js"),
)
# The stylesheet carries its fonts as `data:`; CodeMirror, the editor, measures with styles that it sets on elements.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self' data:; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "public, no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def wants_page(request: web.BaseRequest) -> bool:
    """Whether a GET of `/graphql` is a person's who opens it in a browser, rather than a program that asks a query."""
    return "query" not in request.query and "text/html" in request.headers.get(hdrs.ACCEPT, "")


def page() -> web.Response:
    """The page at `/graphql`."""
    return _answer("index.html")


async def file(request: web.Request) -> web.Response:
    """A file of the page."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise web.HTTPNotFound
    return _answer(name)


def _answer(name: str) -> web.Response:
    body, coding, tag = _read(name)
    response = web.Response(body=body, content_type=_TYPES[name.rpartition(".")[2]], charset="utf-8", headers=_HEADERS)
    response.headers[hdrs.ETAG] = tag
    if coding is not None:
        response.headers[hdrs.CONTENT_ENCODING] = coding
    return response


@cache
def _read(name: str) -> tuple[bytes, str | None, str]:
    """The bytes of a file, their content coding and their entity tag. What comes from npm is stored compressed, and is
    sent so: no browser is without gzip.
    """
    folder = resources.files("service.console").joinpath("graphiql")
    packed = folder.joinpath(f"{name}.gz")
    coding = "gzip" if packed.is_file() else None
    body = (packed if coding else folder.joinpath(name)).read_bytes()
    return body, coding, entity_tag(sha256(body).hexdigest(), coding)
