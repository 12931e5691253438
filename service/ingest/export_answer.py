"""What OTLP/HTTP wants as an answer: ExportTraceServiceResponse, or a Status where nothing was taken.

Both are in the encoding of the request (OTLP 1.10, "OTLP/HTTP Response").
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from service.errors import CalledgerError
from service.ingest.failures import headers_of, status_of
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status

PROTOBUF: Final = "application/x-protobuf"
_CHUNK_RESULTS: Final = 2000
_REASONS_MAX: Final = 5
# google.rpc.Code, by HTTP status.
_RPC_CODES: Final = {400: 3, 401: 16, 403: 7, 413: 3, 415: 3, 503: 14}
_INTERNAL: Final = 13


class ExportAnswer:
    """The answer to an export, made as results come. A span that is no call is taken, and nothing is stored of it."""

    def __init__(self) -> None:
        self.rows = 0
        self.refused: Counter[Refusal] = Counter()
        self._reasons: dict[str, None] = {}

    async def add(self, results: Sequence[RowResult]) -> None:
        """Take further results, with a turn for other requests between chunks of them."""
        for at in range(0, len(results), _CHUNK_RESULTS):
            if at:
                await asyncio.sleep(0)
            for result in results[at : at + _CHUNK_RESULTS]:
                self.rows += result.status is not Status.SKIPPED
                if result.code is not None:
                    self.refused[result.code] += 1
                    self._keep(result.reason or "a span with these ids was stored with other figures")

    def _keep(self, reason: str) -> None:
        if len(self._reasons) < _REASONS_MAX:
            self._reasons[reason] = None

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The 200: empty, or with how many spans were refused, and why."""
        response = ExportTraceServiceResponse()
        if self.refused:
            message = "; ".join(self._reasons)
            partial = ExportTracePartialSuccess(rejected_spans=self.refused.total(), error_message=message)
            response.partial_success.CopyFrom(partial)
        return _response(request, response, 200)


def export_refusal(request: web.Request, error: CalledgerError) -> web.Response:
    """The answer when nothing of a body was taken. Exporters try again after 503, and never after another status."""
    status, _ = status_of(error)
    message = RpcStatus(code=_RPC_CODES.get(status, _INTERNAL), message=str(error))
    return _response(request, message, status)


def _response(request: web.Request, message: Message, status: int) -> web.Response:
    if request.content_type == "application/json":
        text = MessageToJson(message, indent=None)
        return web.Response(text=text, status=status, headers=headers_of(status), content_type="application/json")
    body = message.SerializeToString()
    return web.Response(body=body, status=status, headers=headers_of(status), content_type=PROTOBUF)
