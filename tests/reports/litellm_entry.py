"""A LiteLLM payload that is complete, and what is read of it with a test's changes."""

import json
from typing import Any

from policies import Report
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.split import Rejection

ENTRY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "litellm_call_id": "call-1",
    "call_type": "acompletion",
    "status": "success",
    "model": "gpt-4o",
    "startTime": 1795341600.25,
    "endTime": 1795341601.5,
    "completionStartTime": 1795341600.5,
}


def read(**facts: Any) -> Report:
    outcome = read_entry(json.dumps(ENTRY | facts).encode())
    assert isinstance(outcome, Report), outcome
    return outcome


def reason(**facts: Any) -> str:
    outcome = read_entry(json.dumps(ENTRY | facts).encode())
    assert isinstance(outcome, Rejection), outcome
    return outcome.reason
