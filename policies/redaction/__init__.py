"""Redaction: what may not be kept is taken out of text before anything is stored.

`Redactor` is the door; `Rule` and `shipped_rules` are what it works by,
`ContentIndex` what a report's own content is to it.
"""

from policies.redaction.echoes.echo import ContentIndex
from policies.redaction.echoes.persons import PERSON_RULE, Persons
from policies.redaction.engine import SIZE_CAP_CHARS, Redactor
from policies.redaction.errors import RedactionError, RuleError
from policies.redaction.model import Hidden, HiddenKind, Redaction
from policies.redaction.rules.loader import Rule, load, shipped_rules

__all__ = [
    "PERSON_RULE",
    "SIZE_CAP_CHARS",
    "ContentIndex",
    "Hidden",
    "HiddenKind",
    "Persons",
    "Redaction",
    "RedactionError",
    "Redactor",
    "Rule",
    "RuleError",
    "load",
    "shipped_rules",
]
