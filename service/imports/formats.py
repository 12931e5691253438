"""The formats that can be imported. One more is one entry of `FORMATS`: what reads a row, and where rows may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from policies import Source
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.opened import Reader


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What an operator says of a source's rows, beside their format. Each format names those that it takes."""


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A format of rows: whose it is, what reads a row, and which options it takes (fields of `ImportOptions`)."""

    source: Source
    help: str
    reader: Callable[[ImportOptions], Reader]
    options: frozenset[str] = frozenset()


FORMATS: Final[Mapping[str, ImportFormat]] = MappingProxyType(
    {
        "native": ImportFormat("native", "calls as `POST /v1/calls` takes them", lambda _: read_row),
        "litellm": ImportFormat("litellm", "LiteLLM's callback payloads, as `POST /v1/litellm`", lambda _: read_entry),
    }
)
"""By the name that `calledger import` takes."""
