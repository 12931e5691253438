"""What can go wrong while redacting."""


class RedactionError(Exception):
    """the text could not be redacted; keep the error's type only"""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__)


class RuleError(RedactionError):
    """a redaction rule was refused"""
