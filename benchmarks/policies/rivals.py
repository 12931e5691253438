"""Redaction engines side by side in one run: microseconds per message, and recall on cases of other projects."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.data.error_texts import KINDS, fresh, mixed
from benchmarks.harness.places import ROOT, environment

CASES: Final = ROOT.parent / "shared" / "redaction-cases"
_PROGRAM: Final = ROOT / "benchmarks" / "peers" / "redactor.py"
_TURNS: Final = 5
_WARM_TEXTS, _TIMED_TEXTS = 2000, 60
_PEERS: Final = {"litellm": "litellm==1.106.2", "presidio": "presidio-analyzer==2.2.366"}


class Rival:
    """One engine in a process of its own."""

    def __init__(self, name: str) -> None:
        python = environment(name, _PEERS[name]) if name in _PEERS else sys.executable
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [python, _PROGRAM, name], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.name: str = self._line()["name"]

    def _line(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a redaction engine ended before it answered")
        return json.loads(line)

    def ask(self, **asked: object) -> Any:
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        (answer,) = self._line().values()
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _cases() -> list[dict[str, Any]]:
    found = []
    for path in sorted(CASES.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                case = json.loads(line)
                if case["label"] in ("positive", "negative", "negative_structured"):
                    label = "positive" if case["label"] == "positive" else "clean"
                    found.append({**case, "key": f"{path.name.partition('.')[0]}, {label}"})
    return found


def _kept(cases: list[dict[str, Any]], masked: list[str]) -> dict[str, float]:
    """The share of each source's cases in which the engine did what was wanted."""
    good: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case, text in zip(cases, masked, strict=True):
        wanted = all(one not in text for one in case["secrets"]) if "positive" in case["key"] else text == case["text"]
        good[case["key"]] += wanted
        total[case["key"]] += 1
    return {key: good[key] / total[key] for key in sorted(total)}


def _speed(rivals: list[Rival]) -> dict[str, dict[str, float]]:
    """Median microseconds by kind of message and engine, of the quietest turn; the engines take turns.

    Every engine gets the same messages, none of them twice.
    """
    for rival in rivals:
        rival.ask(redact=mixed(_WARM_TEXTS, seed=0))
    figures: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for turn in range(1, _TURNS + 1):
        for kind, row in figures.items():
            texts = fresh(kind, _TIMED_TEXTS, seed=turn)
            for rival in rivals:
                us = rival.ask(time=texts)
                row[rival.name] = min(us, row.get(rival.name, us))
    return figures


def compare() -> dict[str, Any]:
    """Print and return `{"us": {kind: {engine: us}}, "recall": {source: {engine: share}}}`."""
    rivals = [Rival(name) for name in ("calledger", *_PEERS)]
    names = [rival.name for rival in rivals]
    speed = _speed(rivals)
    cases = _cases()
    recall: dict[str, dict[str, float]] = {}
    for rival in rivals:
        if cases:
            for key, share in _kept(cases, rival.ask(redact=[case["text"] for case in cases])).items():
                recall.setdefault(key, {})[rival.name] = share
        rival.close()
    _show("microseconds a message", names, speed, "{:.1f}")
    if cases:
        _show("secrets gone, clean text unchanged", names, recall, "{:.1%}")
    else:
        print("no other projects' cases beside the checkout: recall is not compared")
    return {"us": speed, "recall": recall}


def _show(title: str, names: list[str], table: Mapping[str, Mapping[str, float]], form: str) -> None:
    print(f"{title:46}" + "".join(f"{name:>20}" for name in names))
    for key, row in table.items():
        print(f"  {key:44}" + "".join(f"{form.format(row[name]):>20}" for name in names), flush=True)
