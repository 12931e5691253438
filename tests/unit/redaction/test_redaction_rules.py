"""Rules are data: what loads, what is refused, and that each does what its own examples say."""

from pathlib import Path

import pytest

from policies.redaction import HiddenKind, Redactor, Rule, RuleError, load, shipped_rules
from policies.redaction.validators.national import NATIONAL

RULES = shipped_rules()
PLAIN = Redactor()
NATIONAL_TOO = Redactor(national_ids=frozenset(rule.id for rule in RULES if rule.national))
GOOD = """
[[rule]]
id = "sample"
kind = "secret"
description = "a sample"
pattern = 'smp_[a-z]{8}'
positives = ["smp_abcdefgh"]
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_examples(rule: Rule) -> None:
    """A rule hides something in each of its positives, and nothing in any of its negatives."""
    redactor = NATIONAL_TOO if rule.national else PLAIN
    for text in rule.positives:
        assert rule.id in redactor.redact(text).counts, text
    for text in rule.negatives:
        assert rule.id not in redactor.redact(text).counts, text


def test_number_of_credential_services() -> None:
    """At least 150 rules are for the credentials of services."""
    general = {
        rule.id for rule in load((Path(__file__).parents[3] / "policies/redaction/rules/rules.toml").read_text())
    }
    assert len([rule for rule in RULES if rule.kind is HiddenKind.secret and rule.id not in general]) >= 150


def test_every_rule_has_negatives_and_a_description() -> None:
    """No rule ships without a text that it must leave alone and a sentence that says what it is for."""
    assert [rule.id for rule in RULES if not rule.negatives or len(rule.description) < 8] == []


def test_national_rules_name_a_check() -> None:
    """Every rule that a policy may choose by country stands on a checksum of its own name."""
    assert sorted(rule.id for rule in RULES if rule.national) == sorted(NATIONAL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("description", "desciption"), "unknown key"),
        (('"secret"', '"secrets"'), "kind"),
        (("smp_[a-z]{8}", "smp_[a-z"), "RE2 refuses"),
        (("smp_[a-z]{8}", "(?<=a)b"), "RE2 refuses"),
        (("smp_[a-z]{8}", "(?:smp)*"), "empty text"),
        (("smp_[a-z]{8}", "other"), "unreachable"),
        (('positives = ["smp_abcdefgh"]', "positives = []"), "no positives"),
        (('positives = ["smp_abcdefgh"]', "negatives = []"), "no positives"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\ngroup = 1'), "group 1"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\ncheck = "none"'), "unknown check"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\nfinder = "none"'), "unknown finder"),
        (('positives = ["smp_abcdefgh"]', 'positives = "smp_abcdefgh"'), "list of strings"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\nfamily = "none"'), "unknown family"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\nhint = "["'), "hint that RE2 refuses"),
        (('positives = ["smp_abcdefgh"]', 'positives = ["smp_abcdefgh"]\nhint = "@"'), "hint that is missing"),
        (('id = "sample"', 'id = "Sample!"'), "id"),
        (("pattern = 'smp_[a-z]{8}'", "name = 'smp'"), "either"),
        (("[[rule]]", "[[rules]]"), "unknown table"),
        (("[[rule]]", "[[rule"), "not TOML"),
    ],
)
def test_refusals(change: tuple[str, str], reason: str) -> None:
    """A rule that is misspelt, broken, unreachable or without an example does not load, and the error says why."""
    assert len(load(GOOD)) == 1
    with pytest.raises(RuleError, match=reason):
        load(GOOD.replace(*change, 1))


def test_duplicates_are_refused() -> None:
    """Two rules with one id, or with one pattern, do not load."""
    with pytest.raises(RuleError, match="there twice"):
        load(GOOD + GOOD)
    with pytest.raises(RuleError, match="same pattern"):
        load(GOOD + GOOD.replace('"sample"', '"sample-2"'))


def test_few_rules_are_asked_about_every_text() -> None:
    """A rule has a literal by which it is ruled out, or a family; what has neither costs every text its own pass."""
    asked = Redactor()._scanner._sieve._literals.candidates(b"")
    assert {PLAIN.rules[rank].id for rank in asked} == {"generated-token", "generated-short", "encoded-secret"}


def test_an_unknown_national_id_is_refused() -> None:
    """A policy that misspells a national id learns so, and does not run without it."""
    with pytest.raises(RuleError, match="no known national id"):
        Redactor(national_ids=frozenset({"xx-id"}))
