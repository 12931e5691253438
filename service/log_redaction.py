"""The redactor turned on ourselves: words of a caller that come back in an error, or might get into a log line.

Only texts that can carry a caller's input come here, so that what is served every day pays nothing.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from policies.redaction import Redactor

CHARS_MAX: Final = 500
WITHHELD: Final = "[redacted:engine-failure]"
_LOOKED_AT_MAX: Final = 4 * CHARS_MAX


@cache
def shared_redactor() -> "Redactor":
    """The shipped rules, compiled once a process."""
    # Only here: a command that logs nothing of the kind does not wait for a thousand patterns.
    from policies.redaction import Redactor

    return Redactor()


def without_secrets(text: str) -> str:
    """What somebody gives as a reason or a name: as it is, but for credentials. Fails closed to a fixed word.

    Who is named stays: it is for people to read, and is erased with its note.
    """
    try:
        return shared_redactor().redact(text).revealed
    except Exception:  # whatever failed, the text goes no further
        return WITHHELD


def guarded(text: str, *, max_chars: int = CHARS_MAX) -> str:
    """`text` on one line, of at most `max_chars`, without secrets and personal data. Fails closed to a fixed word."""
    if not text:
        return text
    try:
        return shared_redactor().clean(text[:_LOOKED_AT_MAX], max_chars=max_chars)[0]
    except Exception:  # whatever failed, the text goes no further
        return WITHHELD
