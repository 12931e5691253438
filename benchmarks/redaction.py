"""Speed of the redaction engine: microseconds for a 500-character message, and growth when the input doubles.

    python -m benchmarks.redaction [--json FILE] [--alone]

Bars: 150 us a message (aim 80); at most 2.2 times the time when the input doubles, from 1 KiB to 1 MiB,
adversarial text included. The size cap is lifted for the growth, so that the engine itself is measured.
Beside it, in the same run, LiteLLM's redactor and Presidio's pattern recognisers (not with `--alone`).
"""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rivals import compare
from policies.redaction import ContentIndex, Redactor

BAR_US, AIM_US, BAR_RATIO = 150.0, 80.0, 2.2
MESSAGE_CHARS = 500
SIZES = [1 << power for power in range(10, 21)]

_PAD = (
    "litellm.BadRequestError: OpenAIException - This model's maximum context length is 128000 tokens. However, your "
    "messages resulted in 131072 tokens. Please reduce the length of the messages. Received Model Group=gpt-4o, "
    "Available Model Group Fallbacks=None, LiteLLM Retried: 2 times, LiteLLM Max Retries: 2. Handle with "
    "`litellm.BadRequestError`. See https://docs.litellm.ai/docs/exception_mapping for what each of them means and "
    "for how to set a fallback model. Deployment gpt-4o-mini in eastus2, status_code=400, attempt 3 of 3."
)


def _message(start: str) -> str:
    return (start + " " + _PAD)[:MESSAGE_CHARS]


MESSAGES = {
    "clean": _message("Error code: 400 -"),
    "one key": _message("Incorrect API key provided: sk-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs."),
    "key, organisation, email, address": _message(
        "Rate limit for org-Xy7Lq2Tz9Rw4Vb8N, user ada@example.com at 203.0.113.77, "
        "key sk-proj-q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs:"
    ),
    "JSON with a header": _message(
        '{"error": {"message": "bad gateway", "headers": {"x-api-key": "q7Xw2Lk9Zt4Rv8Bn", "host": "api.example.com"}}}'
    ),
}

ADVERSARIAL = {
    "://a:a:": "://a:a:",
    "http://a:a@": "http://a:a@",
    "-----BEGIN PRIVATE KEY-----": "-----BEGIN PRIVATE KEY-----",
    "BEGIN and a body": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n",
    "key=": "key=",
    "password=": "password=",
    'password="': 'password="',
    "password:[": "password:[",
    "a@": "a@",
    "a@b.": "a@b.",
    "digits": "4111111111111111",
    "digits and blanks": "4 1 1 1 ",
    "base64ish": "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6HsAb",
    "base64 words": "q7Xw2Lk9Zt4Rv8Bn5Mc1Pd6Hs ",
    "hex:": "ab:",
    "eyJ.": "eyJhbGciOiJIUzI1NiJ9.",
    "escapes": "\\n\\u0061%41",
    "full width": "ｋｅｙ：ａ１ ",
    "marks": "[redacted:email] ",
    "xox": "xoxb-1-",
    "quotes": "\"'`\\",
    "base64 of text": "YXBpX2tleT1oNHJib3VyLWxhbnRlcm4tMjI= ",
    "service names": "zenrows uploadcare ",
    "token for": "token for ",
    "short tokens": "e0G9Cryn687neLfj ",
    "dots": "a.1.b.2.",
}


def _median_us(work: Callable[[], object], rounds: int) -> float:
    """Median CPU microseconds of the quietest of ten batches, for a neighbour on the machine does not count."""
    medians = []
    for _ in range(10):
        times = []
        for _ in range(rounds // 10):
            begin = time.thread_time_ns()
            work()
            times.append((time.thread_time_ns() - begin) / 1e3)
        medians.append(statistics.median(times))
    return min(medians)


def messages(redactor: Redactor) -> dict[str, float]:
    """Median microseconds of each 500-character message."""
    index = ContentIndex(["Tell me about the rivers of Norway, and name the longest of them. " * 40])
    result = {name: _median_us(lambda text=text: redactor.redact(text), 2000) for name, text in MESSAGES.items()}
    key = MESSAGES["one key"]
    result["one key, held against 2.6 KB of content"] = _median_us(lambda: redactor.redact(key, content=index), 500)
    return result


def _seconds(redactor: Redactor, text: str) -> float:
    best = float("inf")
    for _ in range(3 if len(text) < 1 << 18 else 2):
        begin = time.thread_time()
        try:
            redactor.redact(text)
        except Exception as error:  # a refusal is an answer too; it must not take longer
            sys.stderr.write(f"refused: {error}\n")
        best = min(best, time.thread_time() - begin)
    return best


def growth(redactor: Redactor, unit: str) -> tuple[float, float]:
    """The mean ratio of times from one size to its double, and the seconds for 1 MiB."""
    times = [_seconds(redactor, unit * (size // len(unit))) for size in SIZES]
    # the mean over the six doublings that end at 1 MiB: single ones are noise on a shared machine
    return (times[-1] / times[-7]) ** (1 / 6), times[-1]


def main() -> int:
    """Print each figure beside its bar; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--alone", action="store_true", help="without the other engines")
    chosen = parser.parse_args()
    redactor, wide = Redactor(), Redactor(size_cap=1 << 21)
    speed = messages(redactor)
    print(f"{'a message of 500 characters':46} {'us':>8}   bar {BAR_US:.0f}, aim {AIM_US:.0f}")
    for name, figure in speed.items():
        verdict = "aim met" if figure <= AIM_US else "met" if figure <= BAR_US else "MISSED"
        print(f"  {name:44} {figure:8.1f}   {verdict}")
    ratios = {}
    print(f"{'input doubled, 16 KiB to 1 MiB':46} {'times':>8}   bar {BAR_RATIO}")
    for name, unit in {"clean text": _PAD, **ADVERSARIAL}.items():
        ratios[name], seconds = growth(wide, unit)
        verdict = "met" if ratios[name] <= BAR_RATIO else "MISSED"
        print(f"  {name:44} {ratios[name]:8.2f}   {verdict}   {seconds:.3f} s for 1 MiB", flush=True)
    rivals = {} if chosen.alone else compare(MESSAGES)
    if chosen.json:
        chosen.json.write_text(json.dumps({"message_us": speed, "doubling": ratios, "rivals": rivals}, indent=1))
    return int(max(speed.values()) > BAR_US or max(ratios.values()) > BAR_RATIO)


if __name__ == "__main__":
    raise SystemExit(main())
