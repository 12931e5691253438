"""What can go wrong with a body as a whole. A single bad row is a `Rejection` instead.

RequestError
├── BodyError              400: the body cannot be read
│   ├── BodyTooLargeError  413
│   └── EncodingError      415
ServiceError
├── QueueFullError         503: nothing was stored, try again
└── WriterClosedError      503: the service is stopping
"""

from typing import Final

import asyncpg
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from tortoise.exceptions import BaseORMException

from service.errors import RequestError, ServiceError

CONNECTION_FAULTS: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a lost connection shows itself as; the last is asyncpg's own state after a backend was terminated."""

DATABASE_FAULTS: Final = (*CONNECTION_FAULTS, asyncpg.PostgresError, BaseORMException)
"""What a database that is away shows itself as, through asyncpg or through Tortoise."""


CUT_OFF: Final = (ConnectionError, web.RequestPayloadError, ClientPayloadError, HttpProcessingError)
"""What a body whose connection ended before it, or whose framing is broken, shows itself as."""


class BodyError(RequestError):
    """the body cannot be read: send one JSON object, a JSON array or NDJSON"""


class BodyTooLargeError(BodyError):
    """the body is too large: send fewer calls at a time"""


class EncodingError(BodyError):
    """the body's encoding is not supported: send it plain or with `Content-Encoding: gzip`"""


class QueueFullError(ServiceError):
    """too many calls are waiting to be stored; send these again in a moment"""


class WriterClosedError(ServiceError):
    """the service is stopping and takes no more calls; send these again in a moment"""
