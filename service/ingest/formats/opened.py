"""A body that is about to be read: its rows, found in steps, and what makes a report of each."""

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, TypeAlias

from policies import Report
from service.ingest.formats.split import Rejection, Row

Reader: TypeAlias = Callable[[Row], Report | Rejection]
"""A row to its report; a bad row is a rejection. A function of a module, or a partial of one, for long rows are read by
another process.
"""


class Opened(NamedTuple):
    """`rows` are found in steps of a few milliseconds, which may raise BodyError; each is made when it is asked for."""

    rows: Generator[None, None, Iterator[Row]]
    read: Reader
