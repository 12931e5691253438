"""Every pattern of Python's `re` in the service takes time in proportion to its text, whatever a caller writes.

The patterns are found in the sources, with the methods that are called on them; the texts are made from each
pattern's own parts: a beginning that fits, a part that is repeated, and an end that fits nowhere.
"""

import ast
import gc
import importlib
import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from policies.redaction.key_names import trust

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("policies", "service")
METHODS = {"match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split"}
RATIO_BAR = 2.6
"""Of a doubling: what is linear takes 2, and more where caches end and neighbours work; the square takes 4."""
SMALL = 16 * 1024
# A pattern whose work grows with the square takes seconds for 64 KiB and tens of them for 256 KiB, so one that takes
# this, or a tenth of it for 64 KiB, is none.
NEGLIGIBLE_S = 0.01
DEAR_S, SLOW_S = 0.03, 0.3
# These judge the name of a field, which is cut before (see the last test), and an operator's pattern, which is short.
BOUNDED = {
    f"policies.redaction.key_names.{name}" for name in ("_HEADER", "_CERTAIN", "_STRONG", "_WEAK", "_HARMLESS", "_ODD")
}
BOUNDED.add("policies.policy.parameter_rules._UNIT")
ENDS = ("", "\x00")
ALWAYS = ("\\", "a", "0", " ", "=", "'", "%", "\u200b", "a@", "a.", "Ab1-", "\\u")


@dataclass(frozen=True)
class BoundPattern:
    """A compiled pattern, where its name is bound, and the methods that are called on it anywhere."""

    name: str
    pattern: "re.Pattern[Any]"
    methods: tuple[str, ...]


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def _bound_patterns() -> tuple[BoundPattern, ...]:
    bound: list[tuple[Path, str]] = []
    called: dict[tuple[Path | None, str], set[str]] = {}
    for path, tree in _sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                owner = node.value
                name = getattr(owner, "id", getattr(owner, "attr", ""))
                called.setdefault((path if name.startswith("_") else None, name), set()).add(node.attr)
        for node in tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(getattr(node, "value", None), ast.Call):
                bound.append((path, target.id))
    found = []
    for path, name in bound:
        if "re.compile(" not in path.read_text("utf-8"):
            continue
        pattern = getattr(importlib.import_module(_module(path)), name, None)
        if isinstance(pattern, re.Pattern):
            methods = tuple(sorted(called.get((path if name.startswith("_") else None, name), {"search", "fullmatch"})))
            found.append(BoundPattern(f"{_module(path)}.{name}", pattern, methods))
    return tuple(found)


def test_every_pattern_has_a_name() -> None:
    """No module calls `re.search` and its like, or compiles inside of a function: such patterns would go untried."""
    loose = []
    for path, tree in _sources():
        named = {id(node.value) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
                continue
            if node.func.attr in METHODS or (node.func.attr == "compile" and id(node) not in named):
                loose.append(f"{_module(path)}:{node.lineno}")
    assert loose == []


class _Writer:
    """Texts that the parts of a pattern fit: `beginnings` and what may be repeated after each."""

    def __init__(self) -> None:
        self.repeated: list[tuple[str, str]] = []

    def text(self, parts: Any, before: str) -> str:
        written = ""
        for code, value in parts:
            written += self._one(code, value, before + written)
        return written

    def _one(self, code: Any, value: Any, before: str) -> str:
        if code is codes.LITERAL:
            return chr(value)
        if code is codes.NOT_LITERAL:
            return "~" if value != ord("~") else "a"
        if code is codes.ANY:
            return "a"
        if code is codes.IN:
            return self._of_class(value)
        if code is codes.BRANCH:
            return next(self.text(branch, before) for branch in value[1])
        if code is codes.SUBPATTERN:
            return self.text(value[3], before)
        if code is codes.ATOMIC_GROUP:
            return self.text(value, before)
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            low, high, body = value
            unit = self.text(body, before)
            if high > 1 and unit:
                self.repeated.append((before, unit))
            return unit * min(max(low, 1), high)
        return ""  # an anchor, a look around, a group once more

    def _of_class(self, items: Any) -> str:
        if items[0][0] is codes.NEGATE:
            letters = [value for code, value in items if code is codes.RANGE and value[0] <= ord("a") <= value[1]]
            return "~" if letters else "a"
        code, value = items[-1]
        if code is codes.RANGE:
            return chr(value[0])
        if code is codes.LITERAL:
            return chr(value)
        return {codes.CATEGORY_DIGIT: "1", codes.CATEGORY_SPACE: " "}.get(value, "a")


def _texts(pattern: "re.Pattern[Any]") -> list[tuple[str, str]]:
    """A beginning and a unit to repeat after it, for everything in the pattern that may repeat, and for the whole."""
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    writer = _Writer()
    whole = writer.text(
        parser.parse(source, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags), ""
    )
    pairs = [*writer.repeated, ("", whole), *((whole[:1], unit) for unit in ALWAYS)]
    pairs += [("", begin + unit) for begin, unit in writer.repeated] + [("", whole[: len(whole) // 2])]
    return sorted({pair for pair in pairs if pair[1]})


def _seconds(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def _work(bound: BoundPattern, method: str, text: str) -> Callable[[], object]:
    given: Any = text.encode("utf-8", "replace") if isinstance(bound.pattern.pattern, bytes) else text
    call = getattr(bound.pattern, method)
    if method in ("sub", "subn"):
        return lambda: call(given[:0], given)
    return (lambda: deque(call(given), maxlen=0)) if method == "finditer" else (lambda: call(given))


def _works(bound: BoundPattern, method: str, begin: str, unit: str, end: str) -> Callable[[int], Callable[[], object]]:
    return lambda size: _work(bound, method, begin + unit * (size // len(unit)) + end)


def _growth(work: Callable[[int], Callable[[], object]], rounds: int, *, is_far: bool = False) -> float:
    """The mean growth of a doubling from 16 KiB to 256 KiB, or to 1 MiB where that costs little; far, to 4 MiB where
    that costs less than a second or two.
    """
    if not is_far and _seconds(work(4 * SMALL), rounds) < NEGLIGIBLE_S / 10:
        return 1.0
    times = {SMALL: max(_seconds(work(SMALL), rounds), 1e-6)}

    def growth(low: int, high: int) -> float:
        return (times[high] / times[low]) ** (1 / math.log2(high / low))

    for size in (4 * SMALL, 16 * SMALL, 64 * SMALL, *((256 * SMALL,) if is_far else ())):
        times[size] = last = _seconds(work(size), rounds)
        if last < NEGLIGIBLE_S and size > 4 * SMALL:
            return 1.0
        # One pair decides, so that nothing larger need be tried.
        if size == 4 * SMALL and last < NEGLIGIBLE_S and growth(SMALL, size) < RATIO_BAR:
            return growth(SMALL, size)
        if size == 16 * SMALL and growth(SMALL, size) < RATIO_BAR:
            return growth(SMALL, size)
        if last > SLOW_S or (last > DEAR_S and size > 4 * SMALL and not is_far):
            break
    # What leaves the processor's cache or asks the system for pages takes a step once. That is no growth, and is not
    # met by every pair of sizes; work that grows with the square is.
    return min(
        growth(low, high) for low in times for high in times if high >= 4 * low and (high == size or high >= 16 * low)
    )


def _is_linear(work: Callable[[int], Callable[[], object]]) -> bool:
    """Whether the time grows in proportion; a neighbour on the machine may spoil a measurement, not four of them."""
    return any(_growth(work, rounds) < RATIO_BAR for rounds in (1, 2, 3, 5))


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """The collector's rounds grow with what lives, which is not the patterns' doing."""
    gc.disable()
    yield
    gc.enable()


def test_every_pattern_is_linear() -> None:
    """From 16 KiB on, the time grows in proportion, and not by the square, however it is used."""
    tried = [
        (bound, method, begin, unit, end)
        for bound in _bound_patterns()
        if bound.name not in BOUNDED
        for method in bound.methods
        for begin, unit in _texts(bound.pattern)
        for end in ENDS
    ]
    assert tried
    slow = [one for one in tried if not _is_linear(_works(*one))]
    # Small texts find warm memory and large ones ask the system for pages: that step is wide where a neighbour uses
    # the same caches. Behind it what is linear grows as it should.
    still = [one for one in slow if _growth(_works(*one), 1, is_far=True) >= RATIO_BAR]
    assert [(one[0].name, *one[1:]) for one in still] == []


@pytest.mark.parametrize("unit", ["max", "keysexpira", "a", "passw", "密码", "\\"])
def test_the_name_of_a_field_is_bounded(unit: str) -> None:
    """The patterns that judge names see some hundred characters of one, however long a caller makes it."""
    name = (unit * (1 << 20)).encode()
    took = []
    for _ in range(3):
        begin = time.process_time()
        trust(name)
        took.append(time.process_time() - begin)
    assert min(took) < 0.05
