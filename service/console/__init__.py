"""The page at `/`, which says what this is and where to send queries."""

from importlib import resources

from aiohttp import web

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def setup(app: web.Application) -> None:
    """Add the page to the application at `/`."""
    page = resources.files("service.console").joinpath("index.html").read_bytes()

    async def index(_: web.Request) -> web.Response:
        """Answer with the page."""
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_HEADERS)

    app.router.add_get("/", index)
