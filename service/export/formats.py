"""How a row becomes bytes, by format."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import orjson


class Format(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"


def ndjson(row: Mapping[str, Any]) -> bytes:
    """One JSON object a line (`application/x-ndjson`)."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


ENCODERS: Final[Mapping[Format, Callable[[Mapping[str, Any]], bytes]]] = {Format.NDJSON: ndjson}
