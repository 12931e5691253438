"""A native row that is complete, and what is read of it with a test's changes."""

import json
from typing import Any

from policies import Report
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.split import Rejection

ROW = {"id": "a", "started_at": "2026-11-22T10:00:00Z", "model": "gpt-4o", "status": "failed"}
ODD_TAG = "one of `tags` must be a short string, a number or a boolean, under a key of 1 to 200 characters"


def read(**facts: Any) -> Report | Rejection:
    return read_row(json.dumps(ROW | facts).encode())


def report(outcome: Report | Rejection) -> Report:
    assert isinstance(outcome, Report), outcome
    return outcome
