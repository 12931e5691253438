"""Whether an exported file is the one that its manifest is of: `calledger verify FILE`."""

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from service.errors import RequestError

SUFFIX: Final = ".manifest.json"
_FORMAT: Final = "calledger-export/1"
_CHUNK_BYTES: Final = 2**20
_MANIFEST_BYTES_MAX: Final = 2**20
_CELL_BYTES_MAX: Final = 2**27


class ExportDiffersError(RequestError):
    """the file is not the one that the manifest is of"""


def manifest_beside(file: Path) -> Path | None:
    """The manifest that stands beside a file; None when there is none."""
    beside = file.with_name(file.name + SUFFIX)
    return beside if beside.is_file() else None


def verify_export(file: Path, manifest: Path) -> list[str]:
    """Lines that say what holds. Raises ExportDiffersError for what does not, RequestError for what is no manifest.

    Raises OSError.
    """
    said = _manifest(manifest)
    size, digest = _digest(file)
    if size != said["bytes"]:
        raise ExportDiffersError(f"NOT verified: the file has {size} bytes, and the manifest is of {said['bytes']}")
    if digest != said["sha256"]:
        raise ExportDiffersError("NOT verified: the file was changed: its SHA-256 is not that of the manifest")
    lines = [f"{file.name}: {size} bytes, {digest}, as the manifest says"]
    rows = _rows(file, said)
    if rows is None:
        lines.append(f"{said['rows']} rows by the manifest; not counted: pyarrow is not installed")
    elif rows != said["rows"]:
        raise ExportDiffersError(f"NOT verified: the file has {rows} rows, and the manifest is of {said['rows']}")
    else:
        lines.append(f"{rows} rows of {said['kind']}, as of {said['as_of']}, under the policy {said['policy']}")
    chosen = "all that the role sees" if said["filter"] is None else json.dumps(said["filter"], sort_keys=True)
    return [*lines, f"filter: {chosen}", *(f"nothing before {at} ({tier})" for tier, at in said["horizon"].items())]


def _manifest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(_MANIFEST_BYTES_MAX)
    said: dict[str, Any] = {}
    try:
        said = json.loads(text)
        known = said["manifest"] == _FORMAT and {"bytes", "sha256", "rows", "format", "kind", "filter"} <= set(said)
    except (ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known:
        raise RequestError(f"`{path}` is no manifest of an export: it is what `Export.manifest` says, as a file")
    return said


def _digest(path: Path) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            digest.update(part)
            size += len(part)
    return size, f"sha256:{digest.hexdigest()}"


def _rows(path: Path, said: dict[str, Any]) -> int | None:
    """How many rows a file has; None of Parquet where nothing can read it."""
    if said["format"] == "PARQUET":
        return import_module("pyarrow.parquet").read_metadata(path).num_rows if find_spec("pyarrow") else None
    with _opened(path, gz=bool(said.get("gzip"))) as file:
        return sum(1 for _ in (_records(file) if said["format"] == "CSV" else file))


def _opened(path: Path, *, gz: bool) -> IO[str]:
    if gz:
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")


def _records(file: IO[str]) -> Iterator[list[str]]:
    """The records of a CSV behind its header; an end of line in quotes ends none (RFC 4180)."""
    csv.field_size_limit(_CELL_BYTES_MAX)
    reader = csv.reader(file)
    next(reader, None)
    return reader
