"""The HTTP side of ingest: who may report, in which wire formats, and what becomes of a request."""

from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from policies import Role, Source
from service.access.authenticate import Authenticator, ForbiddenError, UnauthenticatedError
from service.access.principal import Principal
from service.errors import CalledgerError, ServiceError
from service.ingest.answers.export import ExportAnswer, export_refusal
from service.ingest.answers.failures import status_of
from service.ingest.answers.verdicts import Answer, refusal
from service.ingest.bodies import read_body
from service.ingest.errors import CUT_OFF, DATABASE_FAULTS, BodyError
from service.ingest.formats.litellm.adapter import litellm_reader
from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.opened import Opened, Reader
from service.ingest.formats.otlp.adapter import open_traces
from service.ingest.formats.split import Row, splitting
from service.ingest.pipeline.turns import in_turns
from service.ingest.pipeline.writer import Writer
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult
from service.storage.errors import DatabaseUnavailableError

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
