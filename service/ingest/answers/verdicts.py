"""The answer of our own: counts, and a verdict for each row, as JSON."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from service.errors import CalledgerError
from service.ingest.answers.failures import headers_of, status_of
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status
from service.request_ids import error_body

_CHUNK_RESULTS: Final = 2000
_JOINED_BYTES_MAX: Final = 2**19
"""Answers of up to some thousand rows go out as one."""


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
