"""The HTTP side of ingest: who may report, in which wire formats, and what becomes of a request."""

import asyncio
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from policies import Role, Source
from service.access.authenticate import Authenticator, ForbiddenError, UnauthenticatedError
from service.access.principal import Principal
from service.errors import CalledgerError, ServiceError
from service.ingest.errors import CUT_OFF, DATABASE_FAULTS, BodyError, BodyTooLargeError, EncodingError
from service.ingest.export_answer import ExportAnswer, export_refusal
from service.ingest.failures import headers_of, status_of
from service.ingest.formats.litellm.adapter import litellm_reader
from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.opened import Opened, Reader
from service.ingest.formats.otlp.adapter import open_traces
from service.ingest.formats.split import Row, in_turns, splitting
from service.ingest.metrics import begin_refusals
from service.ingest.pipeline.writer import Writer
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status
from service.request_ids import error_body
from service.storage.errors import DatabaseUnavailableError

_CHUNK_RESULTS: Final = 2000
_JOINED_BYTES_MAX: Final = 2**19
"""Answers of up to some thousand rows go out as one."""
_MAY_REPORT: Final = frozenset({Role.INGEST, Role.ADMIN})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answering(Protocol):
    """An answer that is made as results come. `refused` counts the calls that were not stored, of `rows`."""

    rows: int
    refused: Counter[Refusal]

    async def add(self, results: Sequence[RowResult]) -> None:
        """Take further results, in order."""
        ...

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The answer to the request. To be called once, after the last result."""
        ...


class Answer:
    """The body of a 200, made as results come: there may be half a million rows, of which only text and counts stay.

    `rows` is how many results there are, `refused` counts the calls that were not stored, by reason.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.refused: Counter[Refusal] = Counter()
        self._statuses: Counter[Status] = Counter()
        self._dropped: Counter[str] = Counter()
        self._results: deque[bytes] = deque()

    async def add(self, results: Sequence[RowResult]) -> None:
        """Take further results, in chunks, with a turn for other requests between them."""
        for at in range(0, len(results), _CHUNK_RESULTS):
            if at:
                await asyncio.sleep(0)
            self._add(results[at : at + _CHUNK_RESULTS])

    def _add(self, some: Sequence[RowResult]) -> None:
        self._statuses.update([result.status for result in some])
        for result in some:
            if result.dropped:
                self._dropped.update(result.dropped)
            if result.code is not None:
                self.refused[result.code] += 1
        results = orjson.dumps([_result(self.rows + index, row) for index, row in enumerate(some)])[1:-1]
        self._results.append(b"," + results if self._results else results)
        self.rows += len(some)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The 200 to the request. To be called once, after the last result."""
        return await _sent(request, self.pieces())

    def pieces(self) -> deque[bytes]:
        """The body, in pieces. To be called once, after the last result."""
        statuses = self._statuses
        head = {
            "accepted": statuses[Status.ACCEPTED],
            "completed": statuses[Status.COMPLETED],
            "duplicates": statuses[Status.DUPLICATE],
            "rejected": statuses[Status.REJECTED],
            "conflicts": statuses[Status.CONFLICT],
            "refused": {code.value: self.refused[code] for code in sorted(self.refused)},
            "dropped_fields": dict(sorted(self._dropped.items())),
        }
        self._results.appendleft(orjson.dumps(head)[:-1] + b',"results":[')
        self._results.append(b"]}")
        return self._results


def _result(index: int, row_result: RowResult) -> dict[str, Any]:
    status, id_, reason, _, warnings, code = row_result
    result: dict[str, Any] = {"index": index, "status": status}
    if id_ is not None:
        result["id"] = id_
    if code is not None:
        result["code"] = code.value
    if reason is not None:
        result["reason"] = reason
    if warnings:
        result["warnings"] = list(warnings)
    return result


async def _sent(request: web.Request, pieces: deque[bytes]) -> web.StreamResponse:
    """The 200 with this body. A long one is sent piece by piece: to join it would keep the loop for long."""
    size = sum(map(len, pieces))
    if size <= _JOINED_BYTES_MAX:
        return web.Response(body=b"".join(pieces), content_type="application/json")
    response = web.StreamResponse()
    response.content_type, response.content_length = "application/json", size
    await response.prepare(request)
    while pieces:
        await response.write(pieces.popleft())
    await response.write_eof()
    return response


def refusal(_: web.Request, error: CalledgerError) -> web.Response:
    """The answer when nothing of a body was taken."""
    status, code = status_of(error)
    body = orjson.dumps(error_body(code, str(error)))
    return web.Response(body=body, status=status, headers=headers_of(status), content_type="application/json")


@dataclass(frozen=True, slots=True)
class WireFormat:
    """A wire format: where it is posted, whose it is, what reads a body of a media type, and how it is answered."""

    path: str
    source: Source
    open: Callable[[bytes, str], Opened]
    answer: Callable[[], Answering] = Answer
    refuse: Callable[[web.Request, CalledgerError], web.Response] = refusal


def _rows_of(reader: Callable[[bytes], Reader]) -> Callable[[bytes, str], Opened]:
    """How a body of JSON rows is read, whatever its media type says."""
    return lambda body, _: Opened(_in_order(splitting(body)), reader(body))


def _in_order(steps: Generator[None, None, list[Row]]) -> Generator[None, None, Iterator[Row]]:
    return _emptied((yield from steps))


def _emptied(rows: list[Row]) -> Iterator[Row]:
    """The rows in order, each freed once it is read: half a million at a time would keep the loop for long."""
    rows.reverse()
    while rows:
        yield rows.pop()


FORMATS: Final = (
    WireFormat("/v1/calls", "native", _rows_of(native_reader)),
    WireFormat("/v1/litellm", "litellm", _rows_of(litellm_reader)),
    WireFormat("/v1/traces", "otlp", open_traces, ExportAnswer, export_refusal),
    # Where Langfuse takes traces: what is set up for it needs a new host alone.
    WireFormat("/api/public/otel/v1/traces", "otlp", open_traces, ExportAnswer, export_refusal),
)


def routes(
    writer: Writer, authenticator: Authenticator, refusals: RefusalLog, *, max_body_bytes: int
) -> list[web.RouteDef]:
    """A POST route for each format. The server must not decode bodies by itself (`auto_decompress=False`)."""
    handlers = ReportHandlers(writer, authenticator, refusals, max_body_bytes)
    return [web.post(form.path, handlers.handler(form)) for form in FORMATS]


class ReportHandlers:
    """The handlers of the reporting paths. Every call that is not stored is counted, without a key too."""

    def __init__(self, writer: Writer, authenticator: Authenticator, refusals: RefusalLog, max_body_bytes: int) -> None:
        self._writer = writer
        self._authenticator = authenticator
        self._refusals = refusals
        self._max_body_bytes = max_body_bytes

    def handler(self, form: WireFormat) -> Handler:
        """What answers requests of one format."""
        begin_refusals(form.source)

        async def report(request: web.Request) -> web.StreamResponse:
            """Answer one request of reports in this wire format; a request that is refused is counted by its reason."""
            known: list[Principal] = []
            try:
                answer = await self._report(request, form, known)
            except (BodyError, ForbiddenError, UnauthenticatedError, ServiceError) as error:
                self._refuse(request, form, known, Refusal(status_of(error)[1]))
                return form.refuse(request, error)
            except Exception as error:
                ended = isinstance(error, CUT_OFF)
                self._refuse(request, form, known, Refusal.BODY_INCOMPLETE if ended else Refusal.INTERNAL)
                raise
            return await answer.send(request)

        return report

    async def _report(self, request: web.Request, form: WireFormat, known: list[Principal]) -> Answering:
        principal = await self._principal(request)
        known.append(principal)
        if principal.session is not None:
            raise ForbiddenError("calls are reported with a key: a session token only reads")
        if principal.role not in _MAY_REPORT:
            raise ForbiddenError("reporting calls needs a key of the role `ingest` or `admin`")
        body = await read_body(request, max_bytes=self._max_body_bytes)
        opened = form.open(body, request.content_type)
        rows = await in_turns(opened.rows)
        answer = form.answer()
        async for results in self._writer.store(rows, opened.read, principal, source=form.source):
            await answer.add(results)
        if answer.refused:
            await self._refusals.refuse_rows(form.source, principal, answer.refused, of=answer.rows)
        return answer

    async def _principal(self, request: web.Request) -> Principal:
        try:
            return await self._authenticator.authenticate(request.headers.get("Authorization"))
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error

    def _refuse(self, request: web.Request, form: WireFormat, known: Sequence[Principal], reason: Refusal) -> None:
        principal = known[0] if known else None
        self._refusals.refuse_request(form.source, principal, reason, bytes=request.content_length)


RATIO_MAX: Final = 20
"""How much larger than what was sent a body may become, beyond `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES: Final = 2**20
_GZIP: Final = zlib.MAX_WBITS | 16
_STEP_BYTES: Final = 2**18


async def read_body(request: web.Request, *, max_bytes: int) -> bytes:
    """The plain bytes of the request's body.

    The server must hand over the body as it was sent (`auto_decompress=False`). Raises BodyTooLargeError above
    `max_bytes` before or after gzip, or when gzip blows it up more than 20 times; EncodingError for any other
    encoding; BodyError for broken gzip.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise EncodingError
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLargeError(_too_large(max_bytes))
    chunks = request.content.iter_any()
    if encoding.endswith("gzip"):
        return await _gunzip(chunks, max_bytes)
    return await _plain(chunks, max_bytes)


async def _plain(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    body = BytesIO()  # its value is its buffer, where other buffers would be copied as a whole
    async for chunk in chunks:
        body.write(chunk)
        if body.tell() > max_bytes:
            raise BodyTooLargeError(_too_large(max_bytes))
    return body.getvalue()


async def _gunzip(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    gunzip = Gunzip(max_bytes)
    async for chunk in chunks:
        gunzip.feed(chunk)
    return gunzip.finish()


class Gunzip:
    """One member of gzip (RFC 1952), decoded as it comes, never further than its bounds.

    More members are refused: decoding many small ones costs time that grows with their square (CVE-2026-128131).
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._plain = BytesIO()
        self._decoder = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> None:
        """Decode what arrived. Raises BodyTooLargeError or BodyError as soon as it is certain."""
        self._received_bytes += len(chunk)
        if self._received_bytes > self._max_bytes:
            raise BodyTooLargeError(_too_large(self._max_bytes))
        while True:
            try:
                plain = self._decoder.decompress(chunk, _STEP_BYTES)
            except zlib.error:
                raise BodyError("the body is not valid gzip") from None
            self._plain.write(plain)
            self._check_size()
            if self._decoder.unused_data:
                raise BodyError("the body is more than one gzip member: compress it in one piece")
            chunk = self._decoder.unconsumed_tail
            # A full step may leave output behind although all input is used up.
            if not chunk and len(plain) < _STEP_BYTES:
                return

    def finish(self) -> bytes:
        """The decompressed body up to its end; BodyError when the end is missing."""
        if not self._decoder.eof:
            raise BodyError("the body is not valid gzip: its end is missing")
        return self._plain.getvalue()

    def _check_size(self) -> None:
        if self._plain.tell() > self._max_bytes:
            raise BodyTooLargeError(_too_large(self._max_bytes))
        if self._plain.tell() > max(RATIO_FREE_BYTES, RATIO_MAX * self._received_bytes):
            raise BodyTooLargeError(
                f"gzip makes the body more than {RATIO_MAX} times smaller: send fewer calls at a time"
            )


def _too_large(max_bytes: int) -> str:
    return (
        f"the body is larger than {max_bytes} bytes, and nothing of it was stored: send fewer calls at a time "
        "(LiteLLM: set `DEFAULT_BATCH_SIZE` lower in its environment), or set `CALLEDGER_MAX_BODY_BYTES` higher here"
    )
