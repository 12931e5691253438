"""Rows by a column map: each becomes a row of the native format, which is read as any other."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from policies import Report
from service.ingest.formats.content import count_dropped
from service.ingest.formats.figures import decode
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.mapped.column_map import ColumnMap, read_column_map
from service.ingest.formats.mapped.conversions import CellError, Cells, Convert, conversion, moment_text
from service.ingest.formats.native.fields import CONTENT_FIELDS
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.rejections import wrong_json
from service.ingest.formats.split import Rejection, Row
from service.ingest.refusals import Refusal

_CELLS: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_NEEDED: Final = frozenset({"id", "started_at", "ended_at", "model", "status", "account", "corrects"})
_NO_ROW: Final[Mapping[type, str]] = {
    list: "has another number of cells than the header",
    str: "has a quote without an end, or characters that are none of the file's `encoding`",
}
"""As what a line of CSV comes that is no row."""
_SUCCEEDED: Final = "succeeded"
_MILLISECOND: Final = timedelta(milliseconds=1)
_NEVER_BEGAN: Final = Rejection("`started_at` is required, or `ended_at` and `latency_ms`", Refusal.FIELD_MISSING)


class MappedReader:
    """What reads rows by the column map in `document`, a TOML file named `where`. ColumnMapError at once.

    It can be pickled, for long rows are read by another process.
    """

    def __init__(self, document: bytes, where: str) -> None:
        self._made_of = document, where
        self.column_map = read_column_map(document, where)
        self._call = _compiled(self.column_map, "call")
        self._tags = _compiled(self.column_map, "tags")
        self._units = _compiled(self.column_map, "units")
        self._error = _compiled(self.column_map, "error")
        self._mapped = frozenset(name.split(".")[0] for entry in self.column_map.entries for name in entry.columns)
        self._mapped |= {name for entry in self.column_map.entries for name in entry.columns}

    def __reduce__(self) -> "tuple[type[MappedReader], tuple[bytes, str]]":
        return MappedReader, self._made_of

    def __repr__(self) -> str:
        """The map, which tells one import of a file from another."""
        return f"MappedReader({self._made_of!r})"

    def __call__(self, row: Row) -> Report | Rejection:
        """One row, as a JSON object; never raises."""
        try:
            cells = _cells(row)
            faults: list[FieldError] = []
            call = self._converted(self._call, cells, faults, "")
            _complete_times(call)
            if "amount" not in call:
                call.pop("currency", None)
        except _UnreadableError as error:
            return error.rejection
        failed = call.setdefault("status", _SUCCEEDED) != _SUCCEEDED
        if self._tags:
            call["tags"] = self._converted(self._tags, cells, faults, "tags")
        if self._units:
            call["units"] = self._converted(self._units, cells, faults, "units")
        if failed:
            call["error"] = self._error_of(cells, faults)
        unmapped = [name for name in cells if name not in self._mapped]
        if unmapped and failed:
            self._add_unmapped(call, cells, unmapped)
        return _read(call, faults, 0 if failed else len(unmapped))

    def _converted(
        self, conversions: Mapping[str, Convert], cells: Cells, faults: list[FieldError], within: str
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, convert in conversions.items():
            try:
                value = convert(cells)
            except CellError as error:
                if not within and name in _NEEDED:
                    raise _UnreadableError(f"`{name}`, {error}") from None
                fault = FieldError(f"`{within}.{name}`, {error}" if within else f"`{name}`, {error}")
                fault.fields = frozenset((within or name,))
                faults.append(fault)
                continue
            if value is not None:
                found[name] = value
        return found

    def _error_of(self, cells: Cells, faults: list[FieldError]) -> dict[str, Any]:
        error = self._converted(self._error, cells, faults, "error")
        if isinstance(at := error.get("occurred_at"), datetime):
            error["occurred_at"] = moment_text(at)
        return error

    def _add_unmapped(self, call: dict[str, Any], cells: Cells, unmapped: list[str]) -> None:
        """Let the other columns be looked through for what the error's text repeats of them: content by their name or
        by the map, or columns of any kind. Nothing of them is kept.
        """
        content = [name for name in unmapped if name in self.column_map.content or name.lower() in CONTENT_FIELDS]
        if content:
            call["content"] = {name: cells[name] for name in content}
        others = {name: cells[name] for name in unmapped if name not in content}
        if others:
            call["columns"] = others


class _UnreadableError(Exception):
    """A row that is none, or whose call cannot be found without what is wrong with it."""

    def __init__(self, reason: str, code: Refusal = Refusal.FIELD_INVALID) -> None:
        super().__init__(reason)
        self.rejection = Rejection(reason, code)


def _compiled(column_map: ColumnMap, section: str) -> dict[str, Convert]:
    entries = getattr(column_map, section)
    return {name: conversion(entry, column_map) for name, entry in entries.items()}


def _cells(row: Row) -> dict[str, Any]:
    try:
        return _CELLS.decode(row)
    except (ValueError, RecursionError, ArithmeticError):
        pass
    try:
        value = decode(row)
    except (ValueError, RecursionError) as error:
        wrong = wrong_json(bytes(row), error)
        raise _UnreadableError(str(wrong), wrong.code) from None
    if isinstance(value, dict):
        return value
    why = _NO_ROW.get(type(value), "must be a JSON object")
    raise _UnreadableError(f"the row {why}", Refusal.ROW_UNREADABLE)


def _complete_times(call: dict[str, Any]) -> None:
    """Work the start out of the end, or the latency of both."""
    started, ended = call.get("started_at"), call.pop("ended_at", None)
    if isinstance(started, datetime):
        if isinstance(ended, datetime) and ended >= started and "latency_ms" not in call:
            call["latency_ms"] = min((ended - started) // _MILLISECOND, 2**31 - 1)
    elif isinstance(ended, datetime) and isinstance(latency := call.get("latency_ms"), int):
        started = ended - latency * _MILLISECOND
    else:
        raise _UnreadableError(_NEVER_BEGAN.reason, Refusal.FIELD_MISSING)
    call["started_at"] = moment_text(started)


def _read(call: dict[str, Any], faults: list[FieldError], unmapped: int) -> Report | Rejection:
    try:
        row = msgspec.json.encode(call)
    except (UnicodeEncodeError, RecursionError):
        return Rejection("the row holds half of a surrogate pair, or is nested too deeply", Refusal.ROW_UNREADABLE)
    report = read_row(row)
    if isinstance(report, Rejection):
        return report
    report.source = "csv"
    if unmapped:
        count_dropped(report, "unknown", unmapped)
    if faults:
        warn_of(report, faults)
        if report.amount is None and any("amount" in fault.fields for fault in faults):
            report.amount_unknown = "UNREADABLE"
    return report
