"""NDJSON: one JSON object a line (`application/x-ndjson`)."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def ndjson(row: Mapping[str, Any]) -> bytes:
    """One row as a line."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def ndjson_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as lines."""
    return b"".join(map(ndjson, rows))
