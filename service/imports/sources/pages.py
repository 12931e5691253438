"""What a source of rows is: pages of raw rows, each with a cursor behind which the next one begins."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from service.errors import OperatorError
from service.ingest.formats.split import Row

PAGE_ROWS: Final = 2_000
PAGE_BYTES: Final = 2**23
"""A page ends at the first of these two; a row of any length is read whole up to `ROW_BYTES_MAX`."""


class SourceError(OperatorError):
    """the source of the rows does not give them"""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows as JSON text, in the source's order. `cursor` names what was read up to their end; it holds no content."""

    rows: Sequence[Row]
    cursor: str


class RowSource(Protocol):
    """Where rows come from.

    `identity` tells it from every other source, so that an import which was broken off finds its cursor again; it
    holds no secret. `pages` begins behind a cursor of its own (None: at the beginning), and raises SourceError when the
    source fails; what was read before that stays valid.
    """

    @property
    def identity(self) -> str:
        """What tells the source from others."""
        ...

    def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """Pages behind `after`, until there are no more. To be closed (`aclosing`) where it is not read to its end."""
        ...
