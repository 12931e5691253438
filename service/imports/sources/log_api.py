"""The logs of new-api and One API over HTTP: `GET /api/log/` for administrators, `/api/log/self` for a user.

Pages come newest first and by number, so that they shift while rows come in. So what is read are windows of time that
are over: in these no row comes in any more. A window is read to its end, put in order, and only then given on. Its
cursor is the second behind it.

What the answers say of their totals and sizes is not trusted. A refused token is a 200 with `success: false`.
"""

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlunsplit

import orjson

from service.imports.sources.gateway_client import ApiAccess, GatewayClient, json_of
from service.imports.sources.pages import RowPage, SourceError

OWN_PATH: Final = "/api/log/self"
ALL_PATH: Final = "/api/log/"
_PAGE_ROWS: Final = 100
_WINDOW_ROWS_MAX: Final = 20_000
_WINDOW_BYTES_MAX: Final = 2**26
_SHORT_ROWS: Final = 10
"""As many as the smallest page has: fewer came with one answer."""
_READINGS_MAX: Final = 4
_WINDOW_S: Final = 3_600
_WINDOW_S_MAX: Final = 30 * 86_400
_FEW_ROWS: Final = 2_000
_SETTLED_S: Final = 10
_OVERLAP_S: Final = 300
_HISTORY_S: Final = 400 * 86_400
_BODY_BYTES_MAX: Final = 2**24
_ONCE: Final = ("type", "created_at", "token_name", "model_name", "quota", "prompt_tokens", "completion_tokens")

_LogRow = dict[str, Any]


class LogApiSource:
    """The log of a gateway at `url`, whose path says whether it is everybody's or a user's own.

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
        path = url.path.rstrip("/")
        self._own = path.endswith(OWN_PATH)
        if not path.endswith(("/api/log", OWN_PATH)):
            path += ALL_PATH.rstrip("/")
        self._url = urlunsplit((url.scheme, url.netloc, path if self._own else f"{path}/", "", ""))
        self._access = access
        self._since = since
        self._clock = clock

    @property
    def identity(self) -> str:
        """The address, and the user who asks."""
        return f"{self._url} {self._access.user or ''}"

    def again_from(self, cursor: str) -> str:
        """A cursor five minutes before, for rows that were written late."""
        return str(max(0, int(cursor) - _OVERLAP_S))

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """A page for each window that is over, from the second `after` on."""
        start, width, last = self._begin(after), _WINDOW_S, int(self._clock()) - _SETTLED_S
        headers = {"Authorization": self._access.token}
        if self._access.user is not None:
            headers["New-Api-User"] = self._access.user
        async with GatewayClient(self._url, headers, _BODY_BYTES_MAX) as client:
            while start <= last:
                end = min(start + width - 1, last)
                rows = await self._settled(client, start, end)
                if rows is None:
                    width = max(1, (end - start + 1) // 4)
                    continue
                start = end + 1
                yield RowPage([orjson.dumps(row) for row in rows], str(start))
                if len(rows) < _FEW_ROWS:
                    width = min(width * 2, _WINDOW_S_MAX)

    def _begin(self, after: str | None) -> int:
        if after is not None:
            return int(after)
        return int(self._clock()) - _HISTORY_S if self._since is None else self._since

    async def _settled(self, client: GatewayClient, start: int, end: int) -> list[_LogRow] | None:
        """As `_window`, and the same twice where rows cannot be told apart and have several pages: a row that was late
        would shift them.
        """
        rows = await self._window(client, start, end)
        for _ in range(_READINGS_MAX):
            if rows is None or not self._own or len(rows) <= _SHORT_ROWS:
                return rows
            before, rows = rows, await self._window(client, start, end)
            if rows == before:
                return rows
        raise SourceError("the gateway's log changes while it is read: try again later")

    async def _window(self, client: GatewayClient, start: int, end: int) -> list[_LogRow] | None:
        """The rows of a window, oldest first; None where they are too many for one."""
        pages: list[list[_LogRow]] = []
        number = count = size = 0
        while True:
            rows, from_one, length = await self._page(client, number, start, end)
            if number == 0 and from_one:
                number = 1  # a page that is no list counts from 1, and takes 0 for 1
            if not rows:
                break
            if pages and rows == pages[-1]:
                raise SourceError(
                    f"the gateway gives the same page again for page {number}: it does not turn its pages"
                )
            pages.append(rows)
            count, size, number = count + len(rows), size + length, number + 1
            if count > _WINDOW_ROWS_MAX or size > _WINDOW_BYTES_MAX:
                if end > start:
                    return None
                raise SourceError("the gateway gives more rows of one second than can be: it does not turn its pages")
        return self._in_order([row for page in pages for row in page])

    def _in_order(self, rows: list[_LogRow]) -> list[_LogRow]:
        """Each row once, oldest first. A user's own rows have no id that lasts: those that are alike are numbered."""
        rows.reverse()
        if not self._own:
            return sorted({_number(row): row for row in rows}.values(), key=_number)
        seen: Counter[tuple[object, ...]] = Counter()
        for row in rows:
            row.pop("id", None)
            facts = tuple(row.get(name) for name in (*_ONCE, "use_time", "elapsed_time", "content"))
            if seen[facts]:
                row["occurrence"] = seen[facts]
            seen[facts] += 1
        return rows

    async def _page(self, client: GatewayClient, number: int, start: int, end: int) -> tuple[list[_LogRow], bool, int]:
        """The rows of a page, whether pages are counted from 1, and how many bytes it was."""
        asked = {"p": number, "page_size": _PAGE_ROWS, "type": 0, "start_timestamp": start, "end_timestamp": end}
        answer = await client.get(asked)
        return *self._rows_of(client, answer, start, end), len(answer)

    def _rows_of(self, client: GatewayClient, body: bytes, start: int, end: int) -> tuple[list[_LogRow], bool]:
        answer = json_of(body)
        if not isinstance(answer, dict) or answer.get("success") is not True:
            said = answer.get("message") if isinstance(answer, dict) else None
            raise SourceError(f"the gateway refuses to show its log: {client.said(said) or 'no reason'}")
        data = answer.get("data")
        rows = data.get("items") if isinstance(data, dict) else data
        rows = [] if rows is None else rows
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceError("the gateway's answer holds no list of rows: is this its log?")
        rows = cast("list[_LogRow]", rows)
        if any(not start <= _second(row) <= end for row in rows):
            raise SourceError("the gateway gives rows of another time than was asked for")
        return rows, isinstance(data, dict)


def _number(row: _LogRow) -> int:
    id_ = row.get("id")
    if not isinstance(id_, int):
        raise SourceError("the gateway's rows have no `id`: a user's own log is at `/api/log/self`")
    return id_


def _second(row: _LogRow) -> int:
    second = row.get("created_at")
    return second if isinstance(second, int) else -1
