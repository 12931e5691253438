"""Everything that the policies can object to.

    PolicyError                 base: catch this to catch them all
    |-- PolicyDocumentError     the operator's document cannot be loaded (says where, and what to write instead)
    |-- PolicyChangeError       one policy cannot replace another
    |-- SchemaCoverageError     a field of the GraphQL schema is none that policies name
    `-- UnknownPresetError      no shipped policy has that name

The sealing and redaction modules add their own children of PolicyError. No message ever carries a secret or a
content field: a document error quotes the document, which holds neither.
"""


class PolicyError(Exception):
    """the policy does not allow it"""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__ or "")


class PolicyDocumentError(PolicyError):
    """the policy document cannot be loaded"""

    def __init__(self, message: str = "", *, where: str = "", line: int | None = None, advice: str = "") -> None:
        """Join what is wrong, where it stands (table and key, and the 1-based `line` if known) and the `advice`."""
        self.reason = message or self.__doc__ or ""
        self.where = where
        self.line = line
        self.advice = advice
        location = f"{where}: " if where else ""
        location = f"line {line}, {location}" if line is not None else location
        super().__init__(location + self.reason + (f"; {advice}" if advice else ""))


class PolicyChangeError(PolicyError):
    """the policy cannot take the place of the one in force"""


class SchemaCoverageError(PolicyError):
    """fields of the schema are not in the table of those that policies name"""

    def __init__(self, missing: list[str]) -> None:
        """`missing` are names as `Type.field`, sorted; all of them are in the message."""
        self.missing = missing
        super().__init__(
            f"{self.__doc__}: {', '.join(f'`{name}`' for name in missing)}; "
            "add each to `policies/policy/fields.py` and to every preset"
        )


class UnknownPresetError(PolicyError):
    """there is no such preset"""
