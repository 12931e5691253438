"""What people see in a browser: the console at `/console/`, GraphiQL, and the page at `/`, which says what this is."""

from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import hdrs, web

from service.console.page import PATH, Console, to_console

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


def setup(app: web.Application, *, console: bool, graphiql: bool, dist: Traversable | None = None) -> None:
    """Add the page at `/` and, where it is wanted, the console, of the files in `dist`: by default our own."""
    ours = resources.files("service.console")
    page = ours.joinpath("index.html").read_bytes()
    dist = dist or ours.joinpath("dist")

    async def index(request: web.Request) -> web.Response:
        """Send a person to the console; answer with the page what is no browser, and where there is no console."""
        if console and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            response = await to_console(request)
            response.headers[hdrs.VARY] = hdrs.ACCEPT
            return response
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HEADERS)

    app.router.add_get("/", index)
    if console:
        app.router.add_get(PATH.rstrip("/"), to_console)
        app.router.add_get(PATH + "{name:.*}", Console(dist, graphiql=graphiql).answer)
