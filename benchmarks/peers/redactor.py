"""One redaction engine as a process that answers lines of JSON; run by the Python that has the engine.

    python benchmarks/peers/redactor.py calledger|litellm|presidio

{"redact": ["text", ...]} is answered by {"masked": [...]}, {"time": ["text", ...]} by {"us": 12.3}:
the median of CPU microseconds a text, each of them read once.
"""

import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

Engine = Callable[[str], str]


def calledger() -> tuple[str, Engine]:
    """Ours, with the rules as shipped."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from policies.redaction import Redactor

    redactor = Redactor()
    return "Calledger", lambda text: redactor.redact(text).masked


def litellm() -> tuple[str, Engine]:
    """LiteLLM's own redactor of logs and errors, as shipped (in Rust where the wheel brings it)."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no download at import
    from litellm.litellm_core_utils.secret_redaction import redact_string

    return f"LiteLLM {importlib.metadata.version('litellm')}", redact_string


def presidio() -> tuple[str, Engine]:
    """Presidio's pattern recognisers for what has a form, without a language model."""
    import tldextract
    from presidio_analyzer import predefined_recognizers as known

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # it would fetch the list of suffixes otherwise
    recognizers = [
        known.CreditCardRecognizer(),
        known.CryptoRecognizer(),
        known.EmailRecognizer(),
        known.IbanRecognizer(),
        known.IpRecognizer(),
        known.PhoneRecognizer(),
        known.UsSsnRecognizer(),
    ]

    def mask(text: str) -> str:
        found = [
            result
            for recognizer in recognizers
            for result in recognizer.analyze(text, recognizer.supported_entities, None) or ()
        ]
        for result in sorted(found, key=lambda one: -one.start):
            text = f"{text[: result.start]}<{result.entity_type}>{text[result.end :]}"
        return text

    return f"Presidio {importlib.metadata.version('presidio-analyzer')}", mask


def median_us(engine: Engine, texts: list[str]) -> float:
    times = []
    for text in texts:
        begin = time.thread_time_ns()
        engine(text)
        times.append((time.thread_time_ns() - begin) / 1e3)
    return statistics.median(times)


def main() -> None:
    name, engine = {"calledger": calledger, "litellm": litellm, "presidio": presidio}[sys.argv[1]]()
    print(json.dumps({"name": name}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "redact" in asked:
            answer = {"masked": [engine(text) for text in asked["redact"]]}
        else:
            answer = {"us": median_us(engine, asked["time"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
