"""LiteLLM's spend logs over HTTP: `GET /spend/logs/v2`, and of versions before it the rows of `/spend/logs`.

Pages of v2 are in the order of time alone, so that rows of one moment may change places between two of them, and its
totals end at 10,000. So what is read are windows of time that fit into one page; only a second that has more rows is
read page by page, and none of its rows may come twice. The older address knows days alone, and gives 10,000 rows of one
at most.

What an answer says of its totals is taken for no fewer rows than it says.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import SplitResult, urlunsplit

import msgspec
from msgspec import Raw

from service.errors import OperatorError
from service.imports.sources.gateway_client import ApiAccess, GatewayClient, RefusedRequestError, TooLongAnswerError
from service.imports.sources.late_rows import TimeCursor
from service.imports.sources.pages import RowPage, SourceError
from service.ingest.formats.scalars import moment_of_printed
from service.rfc3339 import MomentError

PAGED_PATH: Final = "/spend/logs/v2"
WHOLE_PATH: Final = "/spend/logs"
_PAGE_ROWS: Final = 1_000
_PAGE_ROWS_BEFORE: Final = 100
"""The most that versions of before 2026 take."""
_INVALID: Final = 422
_WHOLE_ROWS: Final = 10_000
"""As many as the older address gives at most."""
_SECOND_ROWS_MAX: Final = 20_000
_BODY_BYTES_MAX: Final = 2**24
_DAY_BYTES_MAX: Final = 2**27
_WINDOW_S: Final = 3_600
_WINDOW_S_MAX: Final = 30 * 86_400
_DAY_S: Final = 86_400
_SETTLED_S: Final = 10
_HISTORY_S: Final = 400 * _DAY_S


class _Row(msgspec.Struct):
    """What of a row its window is checked by."""

    startTime: str  # noqa: N815 - LiteLLM's name
    request_id: str


class _Page(msgspec.Struct):
    """An answer of v2."""

    data: list[Raw]
    total: int = 0


_ROW: Final = msgspec.json.Decoder(_Row)
_PAGE: Final = msgspec.json.Decoder(_Page)
_ROWS: Final = msgspec.json.Decoder(list[Raw])


class _Seen:
    """Rows of a window with their ids: each must be of the time that was asked for. Those of the second behind it are
    left to the next window.
    """

    def __init__(self, start: int, end: int) -> None:
        self._bounds = start * 1000, end * 1000
        self.rows: dict[str, tuple[int, bytes]] = {}
        self.count = 0

    def add(self, rows: Sequence[Raw]) -> None:
        """Take the rows of an answer. Raises SourceError for what is none, and for a row that comes twice: another was
        left out in its place.
        """
        self.count += len(rows)
        for raw in rows:
            try:
                row = _ROW.decode(raw)
                moment = moment_of_printed(row.startTime)
            except (msgspec.MsgspecError, MomentError, RecursionError):
                raise SourceError(
                    "the gateway's rows have no `request_id` or `startTime`: are they LiteLLM's?"
                ) from None
            milliseconds = int(moment.timestamp() * 1000)
            if not self._bounds[0] <= milliseconds <= self._bounds[1]:
                raise SourceError("the gateway gives rows of another time than was asked for")
            if row.request_id in self.rows:
                raise SourceError("the gateway gives a row twice: it does not turn its pages")
            if milliseconds < self._bounds[1]:
                self.rows[row.request_id] = milliseconds, bytes(raw)

    def in_order(self) -> list[bytes]:
        """The rows, oldest first."""
        return [raw for _, (_, raw) in sorted(self.rows.items(), key=lambda row: (row[1][0], row[0]))]


class SpendLogApiSource:
    """The spend logs of a LiteLLM proxy at `url`, as its administrator's key, or another one, sees them.

    `since` is the first second that is read; None: as far back as calls are usually kept.
    """

    def __init__(
        self,
        url: SplitResult,
        access: ApiAccess,
        *,
        since: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if access.user is not None:
            raise OperatorError("--user-id means nothing for `litellm`: its key says whose it is")
        path = url.path.rstrip("/")
        self._by_day = path.endswith(WHOLE_PATH)
        if not path.endswith((WHOLE_PATH, PAGED_PATH)):
            path += PAGED_PATH
        self._url = urlunsplit((url.scheme, url.netloc, path, "", ""))
        self._token = access.token
        self._since = since
        self._clock = clock
        self._page_rows = _PAGE_ROWS

    @property
    def identity(self) -> str:
        """The address."""
        return self._url

    def again_from(self, cursor: str) -> str:
        """A cursor before `cursor`, from which rows of calls that took long are found, too."""
        return str(TimeCursor.of(cursor).again())

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """A page for each window that is over, from the second of `after` on."""
        cursor = TimeCursor.of(after) if after is not None else TimeCursor(self._first() * 1000)
        start, width, last = cursor.reached // 1000, _WINDOW_S, int(self._clock()) - _SETTLED_S
        headers, bytes_max = (
            {"Authorization": f"Bearer {self._token}"},
            _DAY_BYTES_MAX if self._by_day else _BODY_BYTES_MAX,
        )
        async with GatewayClient(self._url, headers, bytes_max) as client:
            while start < last:
                end = start - start % _DAY_S + _DAY_S if self._by_day else start + width
                end = min(end, last)
                rows = await (self._day(client, start) if self._by_day else self._window(client, start, end))
                if rows is None:
                    width = max(1, (end - start) // 4)
                    continue
                start = end
                cursor = cursor.at(start * 1000)
                yield RowPage(rows, str(cursor))
                if len(rows) < self._page_rows // 4:
                    width = min(width * 2, _WINDOW_S_MAX)

    def _first(self) -> int:
        return int(self._clock()) - _HISTORY_S if self._since is None else self._since

    async def _window(self, client: GatewayClient, start: int, end: int) -> list[bytes] | None:
        """The rows from the second `start` to before `end`, oldest first; None where they are too many for a page."""
        seen, number, total = _Seen(start, end), 0, 0
        while True:
            number += 1
            try:
                page = await self._page(client, number, start, end)
            except TooLongAnswerError:
                if end - start > 1:
                    return None
                raise
            seen.add(page.data)
            total = max(total, page.total)
            if len(page.data) < self._page_rows and seen.count >= total:
                return seen.in_order()
            if end - start > 1:
                return None
            if not page.data:
                raise SourceError(f"the gateway says that it has {total} rows, and gives {seen.count}")
            if seen.count > _SECOND_ROWS_MAX:
                raise SourceError("the gateway gives more rows of one second than can be: it does not turn its pages")

    async def _page(self, client: GatewayClient, number: int, start: int, end: int) -> _Page:
        asked: dict[str, Any] = {"start_date": _text(start), "end_date": _text(end), "sort_order": "asc"}
        while True:
            try:
                body = await client.get(asked | {"page": number, "page_size": self._page_rows})
            except RefusedRequestError as error:
                if error.status == _INVALID and number == 1 and self._page_rows > _PAGE_ROWS_BEFORE:
                    self._page_rows = _PAGE_ROWS_BEFORE
                    continue
                if error.status == 404:
                    raise SourceError(
                        f"{error}; before LiteLLM 1.80 the address is `https://HOST{WHOLE_PATH}`"
                    ) from None
                raise
            return _decoded(_PAGE, body)

    async def _day(self, client: GatewayClient, start: int) -> list[bytes]:
        """The rows of the day of the second `start`, all of them: this address knows no times."""
        first = start - start % _DAY_S
        asked = {"start_date": _day(first), "end_date": _day(first + _DAY_S), "summarize": "false"}
        rows = _decoded(_ROWS, await client.get(asked))
        if len(rows) >= _WHOLE_ROWS:
            raise SourceError(
                f"`{WHOLE_PATH}` gives no more than {_WHOLE_ROWS} rows of a day, and {_day(first)} has as many: "
                f"import `{PAGED_PATH}` or the database"
            )
        seen = _Seen(first, first + _DAY_S)
        seen.add(rows)
        return seen.in_order()


def _decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:  # noqa: ANN401 - what the decoder reads
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise SourceError("the gateway's answer holds no list of rows: is this LiteLLM's address?") from None


def _text(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


def _day(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d}"
