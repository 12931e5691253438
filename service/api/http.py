"""GraphQL over HTTP (graphql-over-http, draft of 2026): media types, status codes, one operation per request.

Strawberry's view always answers 200 and `application/json`; this one negotiates. Status codes differ only for those
who accept `application/graphql-response+json`; everyone else gets 200 for a well-formed request, as ever.
"""

import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import hdrs, web
from cross_web import HTTPException
from graphql import GraphQLError
from strawberry.aiohttp.views import GraphQLView
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.types.execution import ExecutionResult

from policies.policy.model import Policy, Role, View
from policies.policy.views import at_most, view_table
from service.access.authenticate import UnauthenticatedError
from service.access.idempotency import Idempotency
from service.access.principal import Principal
from service.api.answers import (
    AGAIN,
    EVENTS,
    GRAPHQL_JSON,
    JSON,
    REFUSALS,
    error_answer,
    refused_by,
)
from service.api.calls.recorded import StreamPace
from service.api.execution.context import Context
from service.api.execution.errors import Code
from service.api.execution.idempotency import HEADER
from service.api.execution.limits import BODY_BYTES_MAX, Buckets, decoded
from service.api.execution.trusted_documents import TrustedDocuments
from service.api.schema import CalledgerSchema
from service.api.subscriptions.endpoint import StreamEndpoint
from service.api.subscriptions.streams import Known, Streams
from service.console import explorer
from service.logs import get_logger
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.request_ids import REQUEST_ID
from service.runtime.runtime import Runtime
from service.storage.errors import DatabaseUnavailableError, is_unavailable
from service.webhooks.addresses import AddressGuard
from service.webhooks.budgets import Budgets
from service.webhooks.registry import Webhooks

log = get_logger()

# The specification's text says 422 by now, its audit suite still 400. Both are client errors, which is the MUST.
VALIDATION_STATUS: Final = 400
_REQUEST_FIELDS: Final = {"query", "variables", "operationName", "documentId", "extensions"}
_METHODS: Final = {"GET", "POST"}
_CONTENT_TYPES: Final = {name: f"{name}; charset=utf-8" for name in (JSON, GRAPHQL_JSON)}
_PLAINLY_JSON: Final = frozenset({JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-8"})
"""What clients send: nothing has to be parsed to know these."""
_NO_STORE: Final = {"Cache-Control": "no-store"}
# Nobody compresses it, proxies included: the length of what is compressed tells of what is in it.
_SECRET: Final = {"Cache-Control": "no-store, no-transform"}
_NAMING_NONE: Final = frozenset({"query", "operationName", "variables"})
_SCOPES_MAX: Final = 4096
_STATUSES: Final = {
    Code.UNAUTHENTICATED: 401,
    Code.THROTTLED: 429,
    Code.FORBIDDEN: 403,
    Code.UNAVAILABLE: 503,
    Code.ALREADY_DONE: 409,
}


@dataclass(slots=True)
class _Exchange:
    """What one request has come to so far."""

    media_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    context: Context | None = None


_EXCHANGE: Final = web.RequestKey("exchange", _Exchange)


class LedgerView(GraphQLView[Context, None]):
    """`/graphql`: queries by GET and POST. Batching, multipart and the IDE are off."""

    def __init__(self, schema: CalledgerSchema, runtime: Runtime, buckets: Buckets, trusted: TrustedDocuments) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self.streams = Streams(schema, runtime, self._known)
        self._endpoint = StreamEndpoint(schema, self.streams, self._known, trusted)
        self._trusted = trusted
        assert schema.compiled is not None, "only tests build a schema without"
        self._compiled = schema.compiled
        self._runtime = runtime
        self.buckets = buckets
        self._authenticate = runtime.authenticator.authenticate
        self._max_cost = runtime.settings.max_query_cost
        self._graphiql = runtime.settings.graphiql
        guard = AddressGuard(runtime.settings.networks, http=runtime.settings.webhook_http)
        self._services = {
            "ledger": runtime.ledger,
            "services": {
                "retention": runtime.retention,
                "keys": runtime.api_keys,
                "webhooks": Webhooks(runtime.database, runtime.keyring, runtime.ledger, guard),
                "budgets": Budgets(runtime.database, runtime.ledger),
                "pace": StreamPace(runtime.numbered),
            },
            "export_asked": runtime.export_asked.set,
            "idempotency": Idempotency(runtime.database, runtime.keyring, lambda: runtime.applied.digest),
        }
        self._reader: Reader | None = None
        self._policy: Policy | None = None
        self._views: dict[Role, Mapping[str, View]] = {}
        self._scopes: dict[str, tuple[Principal, Scope]] = {}

    def background_work(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for as long as requests are answered."""
        return [self.streams.run(), self.buckets.settle_for_ever()]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if self._graphiql and request.method == "GET" and explorer.wants_page(request):
            return explorer.page()
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._endpoint.socket(request)
        accept = request.headers.get(hdrs.ACCEPT, "")
        media_type = _negotiated(accept)
        if accept and _wants_events(accept) and request.method in _METHODS:
            media_type = EVENTS
        if request.method not in _METHODS:
            return error_answer(405, Code.BAD_USER_INPUT, "use GET or POST", JSON, {"Allow": "GET, POST"})
        if media_type is None:
            return error_answer(406, Code.BAD_USER_INPUT, f"answers are `{GRAPHQL_JSON}` or `{JSON}`", JSON)
        refusal = _body_refusal(request)
        if refusal is not None:
            return error_answer(*refusal, media_type)
        if request.content_length is None:
            request = request.clone(client_max_size=BODY_BYTES_MAX)
        try:
            if media_type == EVENTS:
                return await self._endpoint.event_stream(request)
            if request.method == "POST" and _by_one_body(request.headers, accept):
                return await self._posted(request, media_type)
            request[_EXCHANGE] = _Exchange(media_type)
            return self._finished(request, await self.run(request=request))
        except REFUSALS as error:
            return refused_by(error, media_type)

    async def _known(self, authorization: str | None) -> Known:
        """Who a header stands for, for as long as a connection lives. Raises UnauthenticatedError."""
        principal = await self._principal(authorization)
        self._scope_of(principal, self._runtime.applied.policy)
        return Known(authorization, principal, lambda: self._context_of(principal))

    def should_render_graphql_ide(self, request: Any) -> bool:  # noqa: ANN401, ARG002 - Strawberry's adapter
        """Never: Strawberry's page asks others for its files; `service.console.explorer` is ours."""
        return False

    async def _posted(self, request: web.Request, media_type: str) -> web.StreamResponse:
        """The answer of a compiled operation, without Strawberry's view around it where that has nothing to add."""
        context = await self._context(request)
        request_data = _request_data(await request.read())
        if request_data is not None:
            # Most requests have a text, and nothing else names a document.
            text_alone = not self._trusted.only and "query" in request_data and request_data.keys() <= _NAMING_NONE
            result = await self._compiled.answer(
                request_data["query"] if text_alone else self._trusted.text_of(request_data),
                request_data.get("operationName"),
                request_data.get("variables"),
                context,
            )
            if result is not None:
                answer, status = _body_of(result)
                headers = {"Content-Type": _CONTENT_TYPES[media_type], **_NO_STORE, **context.http_headers}
                status = status if media_type == GRAPHQL_JSON or status == 503 else 200
                headers |= AGAIN if status == 503 else {}
                return web.Response(body=_encoded(answer), status=status, headers=headers)
        request[_EXCHANGE] = _Exchange(media_type, headers=context.http_headers, context=context)
        return self._finished(request, await self.run(request=request, context=context))

    async def get_context(self, request: web.Request, response: object) -> Context:  # noqa: ARG002
        """Who asks, by the request's key. Raises UnauthenticatedError."""
        context = await self._context(request)
        exchange = request[_EXCHANGE]
        context.http_headers, exchange.context = exchange.headers, context
        return context

    async def _context(self, request: web.Request) -> Context:
        context = self._context_of(await self._principal(request.headers.get(hdrs.AUTHORIZATION)))
        context.idempotency_key = request.headers.get(HEADER)
        return context

    async def _principal(self, authorization: str | None) -> Principal:
        """Who asks; then there is a reader too."""
        runtime = self._runtime
        try:
            principal = await self._authenticate(authorization)
            if self._reader is None:
                self._reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
        except Exception as error:
            if is_unavailable(error):
                raise DatabaseUnavailableError from error
            raise
        return principal

    def _context_of(self, principal: Principal) -> Context:
        assert self._reader is not None, "`_principal` comes first"
        scope = self._scope_of(principal, self._runtime.applied.policy)
        bucket = self.buckets.of(principal.key_id)
        return Context(scope, self._reader, bucket, self._max_cost, principal, REQUEST_ID.get(), **self._services)

    def _scope_of(self, principal: Principal, policy: Policy) -> Scope:
        """The same object, views and all, as long as policy and principal are: comparing two policies takes long.

        Raises UnauthenticatedError for a session token that may do what its key may not, by a policy newer than it.
        """
        name = principal.session or principal.key_id
        known = self._scopes.get(name)
        if known is not None and known[0] is principal and self._policy is policy:
            return known[1]
        if self._policy is not policy or len(self._scopes) > _SCOPES_MAX:
            self._policy, self._views, self._scopes = policy, {}, {}
        if principal.key_role is not None and not at_most(policy, principal.role, principal.key_role):
            raise UnauthenticatedError
        if principal.role not in self._views:
            self._views[principal.role] = view_table(policy, principal.role)
        views = self._views[principal.role]
        scope = Scope(principal.key_id, principal.role, principal.accounts, policy, views)
        self._scopes[name] = (principal, scope)
        return scope

    async def parse_http_body(self, request: Any) -> Any:  # noqa: ANN401 - Strawberry's adapter and request data
        """Strawberry takes whatever the body is for an object, and any value for a name."""
        given = request.query_params if request.method == "GET" else self.parse_json(await request.get_body())
        if not isinstance(given, Mapping | list):
            raise HTTPException(400, "a request is one JSON object with a `query`")
        request_data = await super().parse_http_body(request)
        assert isinstance(request_data, GraphQLRequestData) and isinstance(given, Mapping), "batching is off"
        if not isinstance(request_data.operation_name, str | None):
            raise HTTPException(400, "`operationName` is a text or null")
        named = {"query": request_data.query, "documentId": given.get("documentId")}
        request_data.query = self._trusted.text_of(named | {"extensions": request_data.extensions})
        return request_data

    async def process_result(self, request: web.Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """The body of the answer; its HTTP status is noted on the request."""
        answer, request[_EXCHANGE].status = _body_of(result)
        return answer

    def create_response(self, response_data: Any, sub_response: web.Response) -> web.Response:  # noqa: ANN401
        """Put the encoded answer into the response that Strawberry has prepared."""
        sub_response.body = _encoded(response_data)
        return sub_response

    def _finished(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """An answer of Strawberry's view, with our media type, status and headers."""
        exchange = request[_EXCHANGE]
        secret = exchange.context is not None and exchange.context.holds_secret
        response.content_type, response.charset = exchange.media_type, "utf-8"
        if exchange.media_type == GRAPHQL_JSON or exchange.status == 503:
            response.set_status(exchange.status)
        if exchange.status == 503:
            response.headers.update(AGAIN)
        response.headers.update(exchange.headers | (_SECRET if secret else _NO_STORE))
        return response

    def decode_json(self, data: str | bytes) -> object:
        """The JSON value of a request's body. Raises BadInputError when too large, JSONDecodeError when no JSON."""
        return decoded(data)


def _encoded(answer: Any) -> bytes:  # noqa: ANN401 - JSON values
    try:
        return orjson.dumps(answer)
    except TypeError:  # a lone surrogate that was quoted in an error, or an integer beyond 64 bits
        return json.dumps(answer).encode()


def _wants_events(accept: str) -> bool:
    """Whether the answer is to be server-sent events, and nothing else will do as well."""
    return accept.lower().partition(",")[0].partition(";")[0].strip() == EVENTS


def _by_one_body(headers: Mapping[str, str], accept: str) -> bool:
    """Whether a POST is answered by one body; anything else is for Strawberry's view to tell apart."""
    return "Upgrade" not in headers and "multipart" not in accept and "event-stream" not in accept


def _request_data(body: bytes) -> dict[str, Any] | None:
    """The request, when it is an object with no more than usual. Raises BadInputError."""
    try:
        request_data = decoded(body)
    except orjson.JSONDecodeError:
        return None
    return request_data if isinstance(request_data, dict) and request_data.keys() <= _REQUEST_FIELDS else None


def _body_of(result: ExecutionResult) -> tuple[GraphQLHTTPResponse, int]:
    """The answer's body, and its status. A request that was refused as a whole has no `data` entry."""
    errors = result.errors
    answer: GraphQLHTTPResponse = {}
    if not errors:
        answer = {"data": result.data}
    else:
        refused = result.data is None and all(error.path is None for error in errors)
        answer = {} if refused else {"data": result.data}
        answer["errors"] = [error.formatted for error in errors]
    if result.extensions:
        answer["extensions"] = result.extensions
    return answer, _status(answer, errors) if errors else 200


def _status(answer: GraphQLHTTPResponse, errors: list[GraphQLError]) -> int:
    if "data" not in answer:
        code = Code((errors[0].extensions or {}).get("code", Code.INTERNAL))
        return 500 if code is Code.INTERNAL else _STATUSES.get(code, VALIDATION_STATUS)
    if _all_unavailable(answer["data"], errors):
        return 503
    # Executed, and some of it failed. Drafts of the specification name a code of their own for it, 294, which proxies
    # and clients do not know: those published say 200.
    return 200


def _all_unavailable(data: Any, errors: list[GraphQLError]) -> bool:  # noqa: ANN401 - the answer's data
    """Whether nothing could be answered, and for no other reason: then the status asks proxies and clients to try
    again.
    """
    if data is not None and any(value is not None for value in data.values()):
        return False
    codes = {(error.extensions or {}).get("code") for error in errors}
    return codes == {Code.UNAVAILABLE.value}


def _body_refusal(request: web.Request) -> tuple[int, Code, str] | None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return 415, Code.BAD_USER_INPUT, "send the body as it is, without a content encoding"
    if request.method == "POST" and request.headers.get(hdrs.CONTENT_TYPE) not in _PLAINLY_JSON:
        if request.content_type != JSON:
            return 415, Code.BAD_USER_INPUT, f"send the body as `{JSON}`"
        if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
            return 415, Code.BAD_USER_INPUT, "send the body in UTF-8"
    if (request.content_length or 0) > BODY_BYTES_MAX:
        return 413, Code.BAD_USER_INPUT, f"a request has at most {BODY_BYTES_MAX} bytes"
    return None


def _negotiated(accept: str | None) -> str | None:
    """The media type of the answer, or None when the client takes none of ours (RFC 9110, section 12.5.1)."""
    if not accept:
        return JSON
    best: tuple[float, int, str] | None = None
    for index, item in enumerate(accept.split(",")):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        media_type = {GRAPHQL_JSON: GRAPHQL_JSON, JSON: JSON, "application/*": JSON, "*/*": JSON}.get(name)
        quality = _quality(parameters)
        if media_type is not None and quality > 0 and _utf8(parameters) and (best is None or quality > best[0]):
            best = (quality, index, media_type)
    return best[2] if best else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _utf8(parameters: list[str]) -> bool:
    charsets = [parameter[8:].strip('"') for parameter in parameters if parameter.startswith("charset=")]
    return all(charset in ("utf-8", "utf8") for charset in charsets)
