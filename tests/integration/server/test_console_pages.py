"""The console's page and files over HTTP: what a browser may do with them, what it keeps, and where the page stands."""

import asyncio
import gzip
import http.client
import re
from collections.abc import AsyncIterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from aiohttp import ClientSession, web
from backports import zstd

from service import console
from service.server.application import Runner
from service.server.middleware import Middleware

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<script type="module" src="./assets/index-Ab12Cd34.js"></script>
</head>
<body><div id="root"></div></body>
</html>
"""
SCRIPT = "console.log('painted');\n" * 200
FILES = {
    "index.html": PAGE,
    "assets/index-Ab12Cd34.js": SCRIPT,
    "assets/index-Ef56Gh78.css": "body { color: black }",
    "favicon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "source.json.map": "secret",
    ".env": "secret",
}
ASSET = "/console/assets/index-Ab12Cd34.js"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Site:
    """Our front before the console alone."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        named = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.request(method, self.url + path, headers=named, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()


def serving(folder: Path, *, enabled: bool = True, graphiql: bool = True) -> Runner:
    for name, text in FILES.items():
        path = folder / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "outside.js").write_text("secret")
    app = web.Application()
    console.setup(app, console=enabled, graphiql=graphiql, dist=folder / "dist")
    return Runner(app, Middleware(app, {}), access_log=None)


@pytest.fixture(params=[{}])
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    runner = serving(tmp_path, **request.param)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(auto_decompress=False) as session:
        yield Site(f"http://127.0.0.1:{runner.addresses[0][1]}", session)
    await runner.cleanup()


class Addresses(HTMLParser):
    """What a page names, resolved as a browser does."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__()
        self.base, self.named = url, list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "base":
            self.base = urljoin(self.base, given["href"])
        elif tag == "script":
            self.named.append(urljoin(self.base, given["src"]))


@pytest.mark.parametrize(
    "path", ["/console/", "/console/logs", "/console/logs/call_x", "/console/a%2Fb/c", "/console/a/b?x=/y/z#/w/v"]
)
async def test_each_address_of_the_page_answers_with_it(site: Site, path: str) -> None:
    """Whatever the depth, the page's own files are found where they are, and so is what it says of GraphiQL."""
    status, headers, body = await site.get(path, **HTML)
    page = Addresses(site.url + path, body.decode())

    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.base == f"{site.url}/console/"
    assert page.named == [site.url + ASSET]
    assert '<meta name="graphiql" content="../graphql">' in body.decode()


async def test_what_a_browser_may_do_with_the_page(site: Site) -> None:
    """Scripts, styles and requests of this origin alone; no frame, no form, no referrer, no opener, no guessing of
    types.
    """
    for path in ("/console/", "/console/logs/call_x"):
        _, headers, _ = await site.get(path)
        given = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert given == POLICY
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    for path in ("/console/", ASSET, "/console/favicon.svg"):
        _, headers, _ = await site.get(path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_browser_keeps_what_cannot_change(site: Site) -> None:
    """A file with a digest in its name is kept for a year and never asked for again; the page is, by its tag."""
    _, headers, _ = await site.get(ASSET)
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/console/", "/console/favicon.svg"):
        _, headers, body = await site.get(path)
        assert (headers["Cache-Control"], body != b"") == ("no-cache", True)
        status, again, nothing = await site.get(path, If_None_Match=headers["ETag"])
        assert (status, again["ETag"], nothing) == (304, headers["ETag"], b"")
    assert (await site.get("/console/"))[1]["ETag"] != (await site.get("/console/a/b"))[1]["ETag"], "other bytes"


@pytest.mark.parametrize(
    ("accepted", "coding", "unpack"),
    [
        ("gzip, deflate, br, zstd", "zstd", zstd.decompress),
        ("gzip, deflate, br", "gzip", gzip.decompress),
        ("identity", None, bytes),
        ("zstd;q=0, gzip;q=0", None, bytes),
    ],
)
async def test_files_come_compressed(site: Site, accepted: str, coding: str | None, unpack: type) -> None:
    """In the coding that the browser takes, each with a tag of its own, and said to vary."""
    _, headers, body = await site.get(ASSET, Accept_Encoding=accepted)
    assert headers.get("Content-Encoding") == coding
    assert unpack(body) == SCRIPT.encode()
    assert "Accept-Encoding" in headers["Vary"]
    assert (coding is None) or len(body) < len(SCRIPT) / 10
    assert headers["ETag"].strip('"').endswith(f"-{coding}") == (coding is not None)
    assert (await site.get(ASSET, Accept_Encoding=accepted, If_None_Match=headers["ETag"]))[0] == 304


@pytest.mark.parametrize(
    "path",
    [
        "/console/assets/index-gone.js", "/console/assets/", "/console/assets/../../outside.js",
        "/console/../outside.js", "/console/..%2foutside.js", "/console/%2e%2e/outside.js", "/console/..%5coutside.js",
        "/console/assets/..%2f..%2f..%2foutside.js", "/console/%2fetc%2fpasswd", "/console//etc/passwd",
        "/console/.env", "/console/source.json.map", "/console/index.html%00.js", "/console/assets%2findex-gone.js",
        "/console/" + "a/" * 9, "/console/" + "a/" * 2000, "/consoles", "/Console/",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(site: Site, path: str) -> None:
    """No path leads out of the folder, or to a file of another kind: it is the page, or nothing. A file that is gone
    is no page either, because a browser would take it for a script.
    """
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    connection.putrequest("GET", path, skip_accept_encoding=True)  # as it stands: clients would tidy it up
    connection.endheaders()

    def answered() -> tuple[int, bytes]:
        answer = connection.getresponse()
        return answer.status, answer.read()

    status, body = await asyncio.to_thread(answered)
    connection.close()
    assert b"secret" not in body
    assert status == 404 or b'<div id="root">' in body
    if "/assets" in path or path.count("a/") > 8:
        assert status == 404


async def test_a_browser_is_led_to_the_console(site: Site) -> None:
    """`/` leads a browser there, `/console` anybody, by addresses that hold below any path; a program gets a page."""
    status, headers, _ = await site.get("/", **HTML)
    assert (status, headers["Location"], headers["Vary"]) == (302, "console/", "Accept")
    status, headers, body = await site.get("/", Accept="*/*", Accept_Encoding="gzip")
    assert (status, headers["Vary"]) == (200, "Accept, Accept-Encoding")
    assert b"Calledger is running" in gzip.decompress(body)
    status, headers, _ = await site.get("/console?last=1h&next=//evil.example")
    assert (status, headers["Location"]) == (302, "console/?last=1h&next=//evil.example")
    assert urljoin("https://a.example/ledger/console", headers["Location"]).startswith("https://a.example/ledger/")


async def test_only_what_reads_is_answered(site: Site) -> None:
    """HEAD is a GET without its body; nothing can be sent here."""
    status, headers, body = await site.get("/console/", method="HEAD")
    assert (status, body, int(headers["Content-Length"]) > 100) == (200, b"", True)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await site.get("/console/", method=method))[0] == 405


@pytest.mark.parametrize("site", [{"enabled": False}], indirect=True)
async def test_the_console_can_be_left_out(site: Site) -> None:
    """There is no console then, and `/` says to a browser too what is here."""
    for path in ("/console", "/console/", ASSET):
        assert (await site.get(path))[0] == 404
    assert b"Calledger is running" in (await site.get("/", **HTML))[2]


@pytest.mark.parametrize("site", [{"graphiql": False}], indirect=True)
async def test_the_page_does_not_point_to_what_is_left_out(site: Site) -> None:
    """Without GraphiQL, the page is not told of one."""
    assert "graphiql" not in (await site.get("/console/"))[2].decode()


async def test_it_works_behind_a_proxy_that_takes_its_path_away(site: Site) -> None:
    """Below `/ledger`, the way from `/` to the page to its script is as a browser goes it; what a client says of a
    prefix, a host or a scheme changes nothing.
    """

    async def proxied(request: web.Request) -> web.Response:
        path = request.rel_url.raw_path.removeprefix("/ledger")
        passed = {name: value for name, value in request.headers.items() if name != "Accept-Encoding"}
        status, headers, body = await site.get(path, **passed)
        kept = {name: headers[name] for name in ("Location", "Content-Type", "ETag") if name in headers}
        return web.Response(status=status, headers=kept, body=body)

    app = web.Application()
    app.router.add_get("/ledger{path:.*}", proxied)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        front = f"http://127.0.0.1:{runner.addresses[0][1]}/ledger"
        lies = {"X-Forwarded-Prefix": "//evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil"}
        async with site.session.get(f"{front}/", headers={**HTML, **lies}) as answer:
            text = await answer.text()
            assert (answer.status, str(answer.url)) == (200, f"{front}/console/")
        assert "evil" not in text
        async with site.session.get(f"{front}/console/logs/call_x", headers=lies) as answer:
            page = Addresses(str(answer.url), await answer.text())
        assert page.named == [front + ASSET]
        assert urljoin(page.base, "../graphql") == f"{front}/graphql"
        async with site.session.get(page.named[0]) as answer:
            assert await answer.text() == SCRIPT
    finally:
        await runner.cleanup()


def test_an_address_is_never_made_of_what_a_client_says() -> None:
    """The console's code reads no header that a proxy, or who pretends to be one, could set."""
    source = Path(console.__file__).parent.joinpath("page.py").read_text("utf-8")
    assert not re.search(r"Forwarded|request\.(host|url|scheme)", source)
