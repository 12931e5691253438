"""One attempt: an HTTP request to an address that was checked, and what came of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from service.webhooks.addresses import AddressGuard, AddressRefusedError

WITHIN_S: Final = 15.0
"""How long an answer may take, from the look-up of the name on (Standard Webhooks 1.0: 15 to 30 seconds)."""
_GONE: Final = 410
_REDIRECTS: Final = range(300, 400)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, in `ms`. `status`: of HTTP, None when there was no answer; `failure`: in our words."""

    ms: int
    status: int | None = None
    failure: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.failure is None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == _GONE


class Sender:
    """Sends requests for one process. Nothing of an answer is read but its status."""

    def __init__(self, session: aiohttp.ClientSession, guard: AddressGuard) -> None:
        self._session = session
        self._guard = guard

    @classmethod
    @asynccontextmanager
    async def open(cls, guard: AddressGuard) -> AsyncIterator["Sender"]:
        """A sender during the block."""
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(guard), use_dns_cache=False, force_close=True, limit=0
        )
        # No proxy of the environment, which would resolve names itself; no cookies, and no answer is unpacked.
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": "calledger-webhooks"},
            skip_auto_headers=("Accept", "Accept-Encoding"),
        ) as session:
            yield cls(session, guard)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Send a body of JSON once. It never raises for what the other side does."""
        begun, status, failure = time.monotonic(), None, None
        try:
            async with asyncio.timeout(WITHIN_S):
                target = self._guard.checked_url(url)
                sent = {"Content-Type": "application/json", **headers}
                async with self._session.post(target, data=body, headers=sent, allow_redirects=False) as response:
                    status, failure = response.status, _failure(response.status)
                    response.close()  # whatever else it would say
        except TimeoutError:
            failure = f"no answer within {WITHIN_S:.0f} s"
        except (AddressRefusedError, aiohttp.ClientError, OSError, ValueError) as error:
            failure = _words(error)
        return Outcome(round((time.monotonic() - begun) * 1000), status, failure)


class _CheckedResolver(AbstractResolver):
    """Resolves a name once, and gives out those of its addresses that are allowed: what was checked is connected to."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._names = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:  # noqa: ANN401 - as its base
        """The allowed addresses of a name. Raises AddressRefusedError when it has none of these."""
        found = [one for one in await self._names.resolve(host, port, family) if self._guard.allows(one["host"])]
        if not found:
            raise AddressRefusedError
        return found

    async def close(self) -> None:
        """Nothing is open."""
        await self._names.close()


def _failure(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status in _REDIRECTS:
        return "redirects are not followed: give the webhook the new `url`"
    return f"answered {status}"


def _words(error: Exception) -> str:
    """What went wrong, without the receiver's words or ours about its address."""
    match error:
        case AddressRefusedError():
            return str(error)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorDNSError():
            return "its host has no address"
        case aiohttp.ClientConnectorError() | ConnectionError():
            return "it cannot be connected to"
        case _:
            return f"the request failed ({type(error).__name__})"
