"""Recall and precision on cases that other projects wrote, when their folder lies beside the checkout."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from policies.redaction import Redactor

CASES = Path(__file__).resolve().parents[4] / "shared" / "redaction-cases"
PERSONAL = ("presidio_analyzer_tests", "presidio_research_synth")
CLEAN = ("portkey_error_strings", "litellm_redaction")
CREDENTIALS_BAR, PERSONAL_BAR, CLEAN_ERRORS_BAR, CLEAN_PROSE_BAR = 0.95, 0.92, 0.99, 0.98

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no folder of redaction cases at {CASES.name}")


class Counts:
    """Kept promises by source and label, and what was missed by kind."""

    def __init__(self) -> None:
        self.good: Counter[tuple[str, str]] = Counter()
        self.all: Counter[tuple[str, str]] = Counter()
        self.missed: Counter[str] = Counter()

    def add(self, source: str, label: str, kind: str, good: bool) -> None:
        self.all[source, label] += 1
        self.good[source, label] += good
        if not good:
            self.missed[f"{label} {kind}"] += 1

    def rate(self, sources: tuple[str, ...], *labels: str) -> float:
        keys = [key for key in self.all if key[0] in sources and key[1] in labels]
        return sum(self.good[key] for key in keys) / sum(self.all[key] for key in keys)

    def show(self) -> None:
        for key in sorted(self.all):
            print(
                f"{key[0]:26} {key[1]:20} {self.good[key]:5}/{self.all[key]:<5} {self.good[key] / self.all[key]:7.1%}"
            )
        for kind, number in sorted(self.missed.items()):
            print(f"  missed {number:3} {kind}")


def _is_good(case: dict[str, Any], masked: str) -> bool:
    if case["label"] in ("positive", "optional"):
        return all(secret not in masked for secret in case["secrets"])
    return masked == case["text"]


@pytest.fixture(scope="module")
def counts() -> Counts:
    redactor, result = Redactor(), Counts()
    for path in sorted(CASES.glob("*.jsonl.gz")):
        source = path.name.partition(".")[0]
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for case in map(json.loads, lines):
                kind = case["source"].partition(":")[2]
                result.add(source, case["label"], kind, _is_good(case, redactor.redact(case["text"]).masked))
    result.show()
    return result


def test_credentials(counts: Counts) -> None:
    """At least 95 % of the credentials that other projects' tests hold are gone."""
    sources = tuple({source for source, _ in counts.all} - set(PERSONAL))
    assert counts.rate(sources, "positive") >= CREDENTIALS_BAR


def test_every_credential_source(counts: Counts) -> None:
    """No single source of credentials falls below the bar behind the others' backs."""
    for source in {source for source, label in counts.all if label == "positive"} - set(PERSONAL):
        assert counts.rate((source,), "positive") >= CREDENTIALS_BAR, source


def test_personal_data(counts: Counts) -> None:
    """At least 92 % of the personal data that other projects' tests hold is gone."""
    assert counts.rate(PERSONAL, "positive") >= PERSONAL_BAR


def test_clean_gateway_errors(counts: Counts) -> None:
    """At least 99 % of the gateways' clean error strings come out unchanged."""
    assert counts.rate(CLEAN, "negative") >= CLEAN_ERRORS_BAR


def test_clean_prose(counts: Counts) -> None:
    """At least 98 % of clean prose, with its names, places and dates, comes out unchanged."""
    assert counts.rate(("presidio_research_synth",), "negative", "negative_structured") >= CLEAN_PROSE_BAR
