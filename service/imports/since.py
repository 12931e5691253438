"""Rows from some moment on: older ones are skipped, and counted."""

from datetime import datetime
from functools import partial

from policies import Report
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection, Row


def reader_since(read: Reader, since: datetime | None) -> Reader:
    """What reads rows as `read` does, but for calls that began before `since`."""
    return read if since is None else partial(_read_since, read=read, since=since)


def _read_since(row: Row, *, read: Reader, since: datetime) -> Report | Rejection:
    report = read(row)
    if isinstance(report, Report) and report.started_at < since:
        return Rejection("from before `--since`", None)
    return report
