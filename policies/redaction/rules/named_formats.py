"""Which rules an identifier is held against: credentials of a named format, and e-mail addresses.

Ids are random by nature (ULID, cuid, snowflakes) and numbers among them pass checksums: neither says anything about
them, and an id that is taken out loses the call that it is the id of.
"""

from collections.abc import Iterable

from policies.redaction.model import HiddenKind
from policies.redaction.rules.loader import Rule

# Checks that look for a digit or for a placeholder, and not for randomness.
_PLAIN_CHECKS = frozenset({"", "digit", "digit-or-filler", "written"})
_PLAIN_FINDERS = frozenset({"", "pem", "userinfo"})
_ALSO = frozenset({"email", "authorization"})
# So short a prefix that one random id in a thousand has it.
_TOO_COMMON = frozenset(
    {
        "jfrog-key",
        "key-with-uuid",
        "pagerduty-key",
        "lark-app-id",
        "yandex-key",
        "plivo-auth-id",
        "brave-key",
        "zhipu-key",
        "twitter-bearer",
    }
)


def identifier_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Those of `rules` that may take something out of an identifier, in order."""
    return tuple(rule for rule in rules if rule.id in _ALSO or _names_format(rule))


def _names_format(rule: Rule) -> bool:
    return (
        rule.kind is HiddenKind.secret
        and not (rule.guess or rule.entropy or rule.national)
        and rule.check in _PLAIN_CHECKS
        and rule.finder in _PLAIN_FINDERS
        and rule.id not in _TOO_COMMON
    )
