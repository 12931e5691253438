"""A gateway's HTTP API, asked for one answer after the other: again where it is busy or away, never led elsewhere, and
never for more than is bounded.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, cast

import aiohttp
import orjson

from service.errors import OperatorError
from service.imports.sources.pages import SourceError
from service.log_redaction import guarded

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=15)
_PAUSES_S: Final = (1.0, 5.0, 15.0, 30.0, 60.0)
"""Between attempts. new-api's own limit is 180 requests in three minutes."""
_UNREACHED_MAX: Final = 3
_BROKEN_OFF: Final = (aiohttp.ClientConnectionError, TimeoutError, aiohttp.ClientPayloadError)
_AGAIN: Final = frozenset((429, 500, 502, 503, 504))
_ERROR_BYTES_MAX: Final = 2**16
_SAID_CHARACTERS: Final = 100
_LOOKED_AT_MAX: Final = 2_000
_MARK: Final = "[redacted:secret]"


class TooLongAnswerError(SourceError):
    """the gateway's answer is longer than is read"""


class RefusedRequestError(SourceError):
    """the gateway answers with another status than 200"""

    def __init__(self, status: int, said: str | None) -> None:
        self.status = status
        super().__init__(_refusal(status) + (f": {said}" if said else ""))


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Who asks: the access token, and the user's number (`New-Api-User`)."""

    token: str
    user: str | None


class GatewayClient:
    """Asks a gateway at `url`; of an answer at most `bytes_max` are read. To be entered (`async with`)."""

    def __init__(self, url: str, headers: Mapping[str, str], bytes_max: int) -> None:
        self._url = url
        self._headers = {"Accept": "application/json", **headers}
        self._bytes_max = bytes_max

    async def __aenter__(self) -> "GatewayClient":
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, asked: Mapping[str, object]) -> bytes:
        """The body of the answer. Raises SourceError where there is none after some attempts, RefusedRequestError for
        a status that is none of success, and TooLongAnswerError.
        """
        sent, unreached = {name: str(value) for name, value in asked.items()}, 0
        for pause in (*_PAUSES_S, None):
            try:
                answer = await self._ask(sent, last=pause is None)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                unreached = unreached + 1 if isinstance(error, _BROKEN_OFF) else _UNREACHED_MAX
                if unreached == _UNREACHED_MAX or pause is None:
                    raise SourceError(f"the gateway does not answer ({type(error).__name__})") from None
                answer = None
            if isinstance(answer, bytes):
                return answer
            await asyncio.sleep(min(answer or pause or 0, _PAUSES_S[-1]))
        raise AssertionError("the last answer is one or an error")

    async def _ask(self, asked: Mapping[str, str], *, last: bool) -> bytes | float | None:
        """The body of the answer; else how long to wait before the next attempt, if the gateway says so."""
        async with self._session.get(self._url, params=asked, allow_redirects=False) as response:
            if response.status in _AGAIN and not last:
                return _seconds(response.headers.get("Retry-After"))
            if response.status != 200:
                message = _message_of(await response.content.read(_ERROR_BYTES_MAX))
                raise RefusedRequestError(response.status, self.said(message))
            return await self._body(response)

    def said(self, message: object) -> str | None:
        """What a gateway says of itself, so short and clean that it can be shown, and without the token that it was
        asked with; None for nothing.
        """
        if not isinstance(message, str) or not message.strip():
            return None
        token = self._headers.get("Authorization", "").removeprefix("Bearer ")
        text = message[:_LOOKED_AT_MAX]
        text = text.replace(token, _MARK) if token else text
        return guarded(" ".join(text.split()), max_chars=_SAID_CHARACTERS)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(2**16):
            body += chunk
            if len(body) > self._bytes_max:
                raise TooLongAnswerError(f"the gateway's answer is larger than {self._bytes_max} bytes")
        return bytes(body)


def json_of(body: bytes) -> object:
    """The answer as JSON. SourceError for what is none."""
    try:
        return orjson.loads(body)
    except ValueError:
        raise SourceError("the gateway answers with what is no JSON: is this its address?") from None


def _message_of(body: bytes) -> object:
    """The message in the answer of an error."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    found = cast("dict[str, object]", answer)
    error = found.get("error")
    inner = cast("dict[str, object]", error).get("message") if isinstance(error, dict) else None
    said = (inner, found.get("message"), found.get("detail"))
    return next((one for one in said if isinstance(one, str) and one.strip()), None)


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdecimal() and len(header) < 6 else None


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"the gateway leads elsewhere (status {status}), which is not followed: name the address itself"
    if status in (401, 403):
        return f"the gateway refuses the token (status {status})"
    return f"the gateway answers with status {status}"


def access_of(secret: str | None, user: str | None) -> ApiAccess:
    """Who asks the API. Raises OperatorError where either is missing, or could be no header."""
    if not secret:
        raise OperatorError("a gateway's API wants its token, by --secret-file or CALLEDGER_SOURCE_SECRET")
    if not (secret.isascii() and secret.isprintable()) or (user and not (user.isascii() and user.isdecimal())):
        raise OperatorError("the token is one line of ASCII, and --user-id a number")
    return ApiAccess(secret.removeprefix("Bearer ").strip(), user or None)
