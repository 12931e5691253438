"""Invariant: whatever text comes, the redactor gives segments that are the text in order, in which every planted secret
is gone and in which a second look finds nothing; or it raises RedactionError, whose message holds nothing of the text.
Never another exception.

    python tests/fuzz/test_fuzz_redaction.py [SEED [SECONDS]]    until it fails or the time is over

The tests below are short runs with fixed seeds.
"""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import random
import string
import sys
import time
from collections.abc import Callable

import pytest

from policies.redaction import Hidden, RedactionError, Redactor, shipped_rules

REDACTOR = Redactor(national_ids=frozenset(rule.id for rule in shipped_rules() if rule.national))
EXAMPLES = [text for rule in shipped_rules() for text in (*rule.positives, *rule.negatives)]
GLUE = [" ", "", "\n", "=", ": ", '"', "'", "\\n", "\\u0022", "%3D", "&quot;", "{", "}", "[", "]", ",", "://", "@"]
GLUE += ["\x00", "\u200b", "：", "，", "…", "[redacted:email]", "[redacted:", "-----BEGIN PRIVATE KEY-----", "\ud800"]
ALPHABET = string.ascii_letters + string.digits


def planted(rnd: random.Random) -> str:
    """A secret that no surroundings save."""
    return rnd.choice(("sk-proj-", "ghp_", "hvs.")) + "".join(rnd.choices(ALPHABET, k=40))


def _cut(rnd: random.Random, text: str) -> str:
    start = rnd.randrange(len(text) + 1)
    return text[start : rnd.randrange(start, len(text) + 1)]


def _twisted(rnd: random.Random, text: str) -> str:
    chars = list(text)
    for _ in range(rnd.randrange(4)):
        if chars:
            chars[rnd.randrange(len(chars))] = chr(rnd.choice((rnd.randrange(128), rnd.randrange(0x110000))))
    return "".join(chars)


def _wide(_: random.Random, text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


CHANGES: tuple[Callable[[random.Random, str], str], ...] = (_cut, _twisted, _wide, lambda _, text: text)


def made_up(rnd: random.Random) -> tuple[str, str]:
    """A text of pieces of examples and of glue, and the secret that stands in it between blanks."""
    secret = planted(rnd)
    parts = []
    for _ in range(rnd.randrange(1, 7)):
        parts += [rnd.choice(CHANGES)(rnd, rnd.choice(EXAMPLES)), rnd.choice(GLUE) * rnd.randrange(1, 4)]
    parts.insert(rnd.randrange(len(parts) + 1), f" {secret} ")
    return "".join(parts), secret


def check(text: str, secret: str) -> None:
    """The invariant, for one text."""
    try:
        result = REDACTOR.redact(text)
    except RedactionError as error:
        assert secret not in str(error)
        return
    assert secret not in result.masked
    at = 0
    for segment in result.segments:
        shown = segment.text if isinstance(segment, Hidden) else segment
        if shown is not None:
            at = text.index(shown, at) + len(shown)
    again = REDACTOR.redact(result.masked)
    assert (again.masked, again.counts) == (result.masked, {})


@pytest.mark.parametrize("seed", range(8))
def test_short_run(seed: int) -> None:
    """The invariant holds for twenty-five made-up texts of each seed."""
    rnd = random.Random(seed)
    for _ in range(25):
        check(*made_up(rnd))


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else time.time_ns()
    until = time.monotonic() + (float(sys.argv[2]) if len(sys.argv) > 2 else 600)
    while time.monotonic() < until:
        text, secret = made_up(random.Random(seed))
        try:
            check(text, secret)
        except Exception:
            print(f"seed {seed}: {text!r}")
            raise
        seed += 1


if __name__ == "__main__":
    main()
