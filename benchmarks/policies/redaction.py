"""Speed of the redaction engine: microseconds for a 500-character message, and growth when the input doubles.

    python -m benchmarks.policies.redaction [--json FILE] [--alone]

No message is timed twice: each has ids, keys and addresses of its own, as errors have. The engine has read some
thousand others before, as one at work has. The same text again, which caches answer, is printed beside it.

Bars: 150 us a new message (aim 80), 300 us one with a URL and userinfo (aim 150); 200 ms for any text of 64 KiB (aim
50), which is what is read of a longer one; at most 2.2 times the time when the input doubles, from 1 KiB to 1 MiB,
adversarial text included. The size cap is lifted for the growth, so that the engine itself is measured.
Beside it, in the same run, LiteLLM's redactor and Presidio's pattern recognisers (not with `--alone`).
"""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path

from benchmarks.data.error_texts import KINDS, PAD, URL_KINDS, fresh, mixed
from benchmarks.policies.rivals import compare
from policies.redaction import SIZE_CAP_CHARS, ContentIndex, Redactor

BAR_US, AIM_US, BAR_RATIO = 150.0, 80.0, 2.2
URL_BAR_US, URL_AIM_US, CAP_BAR_MS, CAP_AIM_MS = 300.0, 150.0, 200.0, 50.0
WARM_TEXTS, TIMED_TEXTS = 6000, 1000
SIZES = [1 << power for power in range(10, 21)]

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
    "backslashes": "\\",
    "Authorization": "Authorization: ",
    "set-cookie": "set-cookie: ",
    "long userinfo": "http://" + "a" * 300 + ":",
    "full width key": "ｋｅｙ：",
    "many private keys": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n",
    "base64 of text": "YXBpX2tleT1oNHJib3VyLWxhbnRlcm4tMjI= ",
    "service names": "zenrows uploadcare ",
    "token for": "token for ",
    "short tokens": "e0G9Cryn687neLfj ",
    "dots": "a.1.b.2.",
}


def _median_us(work: Callable[[str], object], texts: Iterable[str]) -> float:
    """Median CPU microseconds a text, of the quietest of ten batches, for a neighbour on the machine does not count."""
    times = []
    for text in texts:
        begin = time.thread_time_ns()
        work(text)
        times.append((time.thread_time_ns() - begin) / 1e3)
    size = len(times) // 10
    return min(statistics.median(times[first : first + size]) for first in range(0, size * 10, size))


def messages(redactor: Redactor) -> dict[str, tuple[float, float]]:
    """Median microseconds by kind of message: of messages that were never seen, and of one that is seen again."""
    content = ["Tell me about the rivers of Norway, and name the longest of them. " * 40]
    works: dict[str, tuple[str, Callable[[str], object]]] = {
        kind: (kind, redactor.redact) for kind in KINDS | URL_KINDS
    }
    works["one key, held against 2.6 KB of content"] = (
        "one key",
        # each failed call has content of its own, so what is made of it is made for each message
        lambda text: redactor.redact(text, content=ContentIndex(content)),
    )
    for text in mixed(WARM_TEXTS, seed=0):
        redactor.redact(text)
    result = {}
    for seed, (name, (kind, work)) in enumerate(works.items(), start=1):
        texts = fresh(kind, TIMED_TEXTS, seed)
        result[name] = _median_us(work, texts), _median_us(work, repeat(texts[0], TIMED_TEXTS))
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


def at_cap() -> dict[str, float]:
    """Milliseconds for 64 KiB of each adversarial text, as the service reads it."""
    redactor = Redactor()
    return {name: 1e3 * _seconds(redactor, unit * (SIZE_CAP_CHARS // len(unit))) for name, unit in ADVERSARIAL.items()}


def growth(redactor: Redactor, unit: str) -> tuple[float, float]:
    """The mean ratio of times from one size to its double, and the seconds for 1 MiB."""
    # each text is its predecessor twice: with another remainder at its end it might be a text of another kind
    smallest = SIZES[0] // len(unit)
    times = [_seconds(redactor, unit * (smallest * size // SIZES[0])) for size in SIZES]
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
    print(f"{'a message of 500 characters':46} {'new us':>8} {'again':>8}   bar {BAR_US:.0f}, aim {AIM_US:.0f}")
    for name, (new, again) in speed.items():
        bar, aim = (URL_BAR_US, URL_AIM_US) if name in URL_KINDS else (BAR_US, AIM_US)
        verdict = "aim met" if new <= aim else "met" if new <= bar else "MISSED"
        print(f"  {name:44} {new:8.1f} {again:8.1f}   {verdict}")
    capped = at_cap()
    worst = max(capped, key=capped.__getitem__)
    print(
        f"  64 KiB of the slowest text ({worst}): {capped[worst]:.0f} ms   bar {CAP_BAR_MS:.0f}, aim {CAP_AIM_MS:.0f}"
    )
    ratios = {}
    print(f"{'input doubled, 16 KiB to 1 MiB':46} {'times':>8}   bar {BAR_RATIO}")
    for name, unit in {"clean text": PAD, **ADVERSARIAL}.items():
        ratios[name], seconds = growth(wide, unit)
        verdict = "met" if ratios[name] <= BAR_RATIO else "MISSED"
        print(f"  {name:44} {ratios[name]:8.2f}   {verdict}   {seconds:.3f} s for 1 MiB", flush=True)
    rivals = {} if chosen.alone else compare()
    if chosen.json:
        chosen.json.write_text(
            json.dumps(
                {
                    "message_us": {name: new for name, (new, _) in speed.items() if name not in URL_KINDS},
                    "url_us": {name: new for name, (new, _) in speed.items() if name in URL_KINDS},
                    "cap_ms": capped,
                    "doubling": ratios,
                    "rivals": rivals,
                },
                indent=1,
            )
        )
    slow = any(new > (URL_BAR_US if name in URL_KINDS else BAR_US) for name, (new, _) in speed.items())
    return int(slow or max(ratios.values()) > BAR_RATIO or capped[worst] > CAP_BAR_MS)


if __name__ == "__main__":
    raise SystemExit(main())
