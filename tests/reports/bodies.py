"""Bodies as their endpoints take them, read at once: a report or a rejection for each row, in order.

Raises BodyError, at once, when a body as a whole cannot be read.
"""

from collections.abc import Iterator

from policies import Report
from service.ingest.formats.litellm.adapter import litellm_reader
from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.split import Rejection, split_rows


def read_native(body: bytes) -> Iterator[Report | Rejection]:
    return map(native_reader(body), split_rows(body))


def read_litellm(body: bytes) -> Iterator[Report | Rejection]:
    return map(litellm_reader(body), split_rows(body))
