"""What can go wrong while redacting."""

from policies.errors import PolicyError


class RedactionError(PolicyError):
    """the text could not be redacted; keep the error's type only"""


class RuleError(RedactionError):
    """a redaction rule was refused"""
