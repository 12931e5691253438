"""Rows as other gateways keep them (tests/reports/histories), and what reads them."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from policies import Report
from service.ingest.formats.gateways.agentgateway import read_request_log
from service.ingest.formats.gateways.bifrost import read_log as read_bifrost
from service.ingest.formats.gateways.cloudflare import read_event
from service.ingest.formats.gateways.helicone import read_request
from service.ingest.formats.gateways.langfuse import read_observation
from service.ingest.formats.gateways.openrouter import read_generation
from service.ingest.formats.gateways.portkey import read_log as read_portkey
from service.ingest.formats.litellm.spend_log import read_spend_log
from service.ingest.formats.split import Rejection

FOLDER: Final = Path(__file__).parent / "histories"
CANARY: Final = "CANARY"
"""Stands in every field of the samples that may hold content."""

Read = Callable[[bytes], Report | Rejection]

READERS: Final[Mapping[str, Read]] = MappingProxyType(
    {
        "langfuse_blob.ndjson": read_observation,
        "langfuse_ui.csv": read_observation,
        "openrouter_activity.csv": read_generation,
        "openrouter_generation.ndjson": read_generation,
        "helicone.jsonl": read_request,
        "helicone.csv": read_request,
        "cloudflare_logpush.ndjson": read_event,
        "cloudflare_api.ndjson": read_event,
        "portkey.jsonl": read_portkey,
        "bifrost_logs.ndjson": read_bifrost,
        "agentgateway.ndjson": read_request_log,
    }
)
"""By sample, the reader of its rows."""
ALL_READERS: Final = {reader.__module__.rpartition(".")[2]: reader for reader in (*READERS.values(), read_spend_log)}


def rows_of(name: str) -> list[bytes]:
    """The rows of a sample, as a source hands them over."""
    path = FOLDER / name
    if path.suffix != ".csv":
        return path.read_bytes().splitlines()
    with path.open(encoding="utf-8", newline="") as file:
        return [json.dumps({key: cell for key, cell in row.items() if cell}).encode() for row in csv.DictReader(file)]


def litellm_pairs() -> list[dict[str, Any]]:
    """What LiteLLM 1.106.2 gave its callback for a call, and the row that it made of it for its table."""
    return [json.loads(line) for line in (FOLDER / "litellm_1.106.2.ndjson").read_bytes().splitlines()]


def reports_of(name: str) -> list[Report]:
    """The reports among the rows of a sample."""
    return [report for row in rows_of(name) if isinstance(report := READERS[name](row), Report)]
