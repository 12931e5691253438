"""A redactor, and contents whose echoes it looks for."""
# full-width letters and other scripts are what is looked for

from policies.redaction import ContentIndex, Redactor

REDACTOR = Redactor()
CHINESE = "我的妻子得了乳腺癌应该怎么治疗"


def masked(text: str, *content: str, identifiers: tuple[str, ...] = ()) -> str:
    return REDACTOR.redact(text, content=ContentIndex(content, identifiers)).masked
