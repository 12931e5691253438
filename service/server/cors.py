"""Cross-origin requests (Fetch standard, CORS protocol): from the origins that the operator names, and no others.

Credentials of browsers (cookies, saved passwords) are never allowed: what authenticates is the key or token that the
page itself puts into the `Authorization` header.
"""

from collections.abc import Collection, Mapping
from typing import Final

from aiohttp import hdrs, web

from service.request_ids import HEADER, error_body

PREFLIGHT_S: Final = 7_200
"""For how long a browser may keep the answer to a preflight request; Chromium keeps none longer."""
_METHODS: Final = "GET, HEAD, POST"
_ASKS: Final = (
    *("Authorization", "Content-Type", "If-Match", "If-None-Match", "If-Range", "Range", "Last-Event-ID", HEADER),
    *("Idempotency-Key", "GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name"),
    *("X-Apollo-Operation-Id", "Apollographql-Client-Name", "Apollographql-Client-Version", "Traceparent"),
    *("Tracestate", "Content-Encoding", "Cache-Control"),
)
_SHOWS: Final = (
    *(HEADER, "Retry-After", "RateLimit", "RateLimit-Policy", "ETag", "Content-Disposition", "Content-Range"),
    *("Accept-Ranges", "Content-Encoding", "Allow", "WWW-Authenticate"),
)
_VARIES: Final = {"Vary": "Origin"}


class Cors:
    """The headers for each allowed origin, made once."""

    def __init__(self, origins: Collection[str]) -> None:
        shows = ", ".join(_SHOWS)
        self._headers: dict[str, Mapping[str, str]] = {
            origin: {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: shows, **_VARIES}
            for origin in origins
        }

    def headers(self, request: web.BaseRequest) -> Mapping[str, str]:
        """What every answer to the request has: `Vary` too, so that no cache gives it to a page of another origin."""
        return self._headers.get(request.headers.get(hdrs.ORIGIN, ""), _VARIES)

    def preflight(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a preflight request, of whatever path; None for any other request."""
        if request.method != "OPTIONS":
            return None
        if not {hdrs.ORIGIN, hdrs.ACCESS_CONTROL_REQUEST_METHOD} <= request.headers.keys():
            return None
        if request.headers[hdrs.ORIGIN] not in self._headers:
            message = "pages of this origin may not ask: the operator names those that may in CALLEDGER_CORS_ORIGINS"
            return web.json_response(error_body("origin_not_allowed", message), status=403)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ", ".join(_ASKS),
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S),
        }
        return web.Response(status=204, headers=headers)
