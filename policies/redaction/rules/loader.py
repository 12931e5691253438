"""Rules as data: what `rules*.toml` may say, and the refusals."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

import re2

from policies.redaction.errors import RuleError
from policies.redaction.matchers import FINDERS
from policies.redaction.model import HiddenKind
from policies.redaction.validators.checks import CHECKS
from policies.redaction.validators.patterns import options

_TEXTS = ("id", "kind", "description", "pattern", "name", "value", "check", "finder", "family", "hint")
_KNOWN = frozenset((*_TEXTS, "group", "entropy", "national", "guess", "positives", "negatives"))
_FILES = ("rules_named.toml", "rules_services.toml", "rules_provider.toml", "rules_national.toml",
          "rules_personal.toml", "rules.toml")  # fmt: skip  # the more particular first
# Rules that no literal gives away, by what their automata read; each family is read in one pass (see `sieve`).
FAMILIES = frozenset({"tokens", "numbers", "words", "follows", "sentences", "national"})
_MARK_ID = re2.compile(r"[a-z0-9][a-z0-9-]{1,47}")

_LIST = re.compile(r"<<([a-z]{1,20})>>")

# How a service's name and its credential stand together: environment, JSON, YAML, XML, arrows, headers, prose.
_AFTER_NAME = (
    r"[A-Za-z0-9_.\- ]{0,32}?[\"'`\\)\]]{0,4}\s{0,4}(?:(?i:string)\s{1,4})?[:=?.|>,~(-]{0,4}\s{0,8}[\"'`(\\]{0,3}"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of thing that is taken out.

    `pattern` is in RE2's syntax, over UTF-8; `group` is the group whose span is hidden.
    `entropy` is a floor in bits per byte, `check` names a confirmation in `checks`, `finder` a walk in `finders`.
    A `national` rule is used only when the policy names it.
    A `guess` has no context to go by, so it yields to any other rule that covers the same span.
    A `family` is for a pattern that no literal gives away, a `hint` is a pattern with fewer states that is in every
    text in which the rule's own is; both change the speed and nothing else (see `sieve`).
    """

    id: str
    kind: HiddenKind
    description: str
    pattern: str
    group: int = 0
    entropy: float = 0.0
    check: str = ""
    finder: str = ""
    family: str = ""
    hint: str = ""
    national: bool = False
    guess: bool = False
    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()


def _refuse(entry: Mapping[str, Any], reason: str) -> RuleError:
    return RuleError(f"rule `{entry.get('id', '?')}` {reason}")


def _checked_types(entry: Mapping[str, Any]) -> None:
    unknown = sorted(set(entry) - _KNOWN)
    if unknown:
        raise _refuse(entry, f"has an unknown key `{unknown[0]}`; known are {', '.join(sorted(_KNOWN))}")
    if any(not isinstance(entry.get(key, ""), str) for key in _TEXTS):
        raise _refuse(entry, "has a key that wants a string")
    for key in ("positives", "negatives"):
        examples = entry.get(key, [])
        if not isinstance(examples, list) or not all(isinstance(text, str) for text in cast("list[object]", examples)):
            raise _refuse(entry, f"wants a list of strings as `{key}`")
    if not entry.get("positives"):
        raise _refuse(entry, "has no positives; give at least one text in which it must hide something")


def _pattern_of(entry: Mapping[str, Any]) -> tuple[str, int]:
    """The pattern and its group; a rule says either `pattern`, or the `name` of a service and its `value`."""
    if "pattern" in entry and not {"name", "value"} & set(entry):
        return entry["pattern"], entry.get("group", 0)
    if {"name", "value"} <= set(entry) and not {"pattern", "group"} & set(entry):
        return f"(?:(?i:{entry['name']})){_AFTER_NAME}({entry['value']})(?:[^A-Za-z0-9]|$)", 1
    raise _refuse(entry, "needs either `pattern` or both of `name` and `value`")


@cache
def _words() -> Mapping[str, str]:
    """The lists of `words.toml`, each as one alternative of a pattern; the longer words first."""
    text = (resources.files("policies.redaction.rules") / "words.toml").read_text("utf-8")
    return {
        name: "(?:" + "|".join(sorted({word for words in by_language.values() for word in words}, key=_longest)) + ")"
        for name, by_language in tomllib.loads(text).items()
    }


def _longest(word: str) -> tuple[int, str]:
    return -len(word), word


def _with_words(entry: Mapping[str, Any], pattern: str) -> str:
    unknown = sorted(set(_LIST.findall(pattern)) - set(_words()))
    if unknown:
        raise _refuse(entry, f"names the list of words `{unknown[0]}`; known are {', '.join(sorted(_words()))}")
    return _LIST.sub(lambda match: _words()[match[1]], pattern)


def parse(entry: Mapping[str, Any]) -> Rule:
    """One table of a rules file as a rule. Raises RuleError, saying what to change."""
    _checked_types(entry)
    pattern, group = _pattern_of(entry)
    pattern = _with_words(entry, pattern)
    if not _MARK_ID.fullmatch(entry.get("id", "")):
        raise _refuse(entry, "needs an id of lower-case letters, digits and dashes")
    if entry.get("kind") not in set(HiddenKind):
        raise _refuse(entry, f"has kind `{entry.get('kind')}`; known are {', '.join(HiddenKind)}")
    if not entry.get("description"):
        raise _refuse(entry, "has no description")
    if entry.get("check", "") not in {"", *CHECKS}:
        raise _refuse(entry, f"names the unknown check `{entry['check']}`")
    if entry.get("finder", "") not in {"", *FINDERS}:
        raise _refuse(entry, f"names the unknown finder `{entry['finder']}`")
    if entry.get("family", "") not in {"", *FAMILIES}:
        raise _refuse(entry, f"is of the unknown family `{entry['family']}`; known are {', '.join(sorted(FAMILIES))}")
    rule = Rule(
        id=entry["id"],
        kind=HiddenKind(entry["kind"]),
        description=entry["description"],
        pattern=pattern,
        group=group,
        entropy=float(entry.get("entropy", 0.0)),
        check=entry.get("check", ""),
        finder=entry.get("finder", ""),
        family=entry.get("family", ""),
        hint=_with_words(entry, entry.get("hint", "")),
        national=bool(entry.get("national", False)),
        guess=bool(entry.get("guess", False)),
        positives=tuple(entry["positives"]),
        negatives=tuple(entry.get("negatives", ())),
    )
    _checked_pattern(rule)
    return rule


def _checked_pattern(rule: Rule) -> None:
    try:
        compiled = re2.compile(rule.pattern, options())
    except re2.error as error:
        raise RuleError(f"rule `{rule.id}` has a pattern that RE2 refuses: {error}") from None
    if not 0 <= rule.group <= compiled.groups:
        raise RuleError(f"rule `{rule.id}` hides group {rule.group}, which its pattern does not have")
    if compiled.search("") is not None:
        raise RuleError(f"rule `{rule.id}` has a pattern that matches the empty text")
    if not rule.finder and not any(compiled.search(text) for text in rule.positives):
        raise RuleError(f"rule `{rule.id}` is unreachable: its pattern is in none of its positives")
    if rule.hint:
        _checked_hint(rule, [text for text in rule.positives if compiled.search(text)])


def _checked_hint(rule: Rule, texts: Iterable[str]) -> None:
    try:
        compiled = re2.compile(rule.hint, options())
    except re2.error as error:
        raise RuleError(f"rule `{rule.id}` has a hint that RE2 refuses: {error}") from None
    if not all(compiled.search(text) for text in texts):
        raise RuleError(f"rule `{rule.id}` has a hint that is missing where its pattern is")


def checked(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """`rules` in order, refused when two share an id, or pattern, check and finder (the second is never reached)."""
    kept: dict[str, Rule] = {}
    patterns: dict[tuple[str, str, str], str] = {}
    for rule in rules:
        if rule.id in kept:
            raise RuleError(f"rule `{rule.id}` is there twice")
        earlier = patterns.setdefault((rule.pattern, rule.check, rule.finder), rule.id)
        if earlier != rule.id:
            raise RuleError(f"rule `{rule.id}` is unreachable: `{earlier}` has the same pattern and check")
        kept[rule.id] = rule
    return tuple(kept.values())


def load(text: str) -> tuple[Rule, ...]:
    """The rules of one TOML document: an array of tables `rule`. Raises RuleError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(f"the rules are not TOML: {error}") from None
    unknown = sorted(set(document) - {"rule"})
    if unknown:
        raise RuleError(f"the rules have an unknown table `{unknown[0]}`")
    return checked(parse(entry) for entry in document.get("rule", []))


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """The rules that ship with the package, the more particular first."""
    folder = resources.files("policies.redaction.rules")
    return checked(rule for name in _FILES for rule in load((folder / name).read_text("utf-8")))
