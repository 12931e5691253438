"""The redactor for our own output: texts of a caller that are repeated in an error, or might get into a log line.

Only texts that can contain a caller's input are passed, so that ordinary requests cost nothing.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from policies.redaction import Redactor

CHARS_MAX: Final = 500
WITHHELD: Final = "[redacted:engine-failure]"
_LOOKED_AT_MAX: Final = 4 * CHARS_MAX


@cache
def _identifier_redactor() -> "Redactor":
    return shared_redactor().for_identifiers()


def name_as_stored(text: str, *, max_chars: int) -> str | None:
    """A name of a call (a model, an API key) as calls are stored with it; None if redaction fails.

    What somebody asks for by it then finds them, and a credential that was pasted in its place is kept nowhere.
    """
    try:
        return _identifier_redactor().clean(text, max_chars=max_chars)[0]
    except Exception:  # whatever failed, the text is withheld
        return None


@cache
def shared_redactor() -> "Redactor":
    """The shipped rules, compiled once per process."""
    # Imported here, so that a command that does not need it need not load a thousand patterns.
    from policies.redaction import Redactor

    return Redactor()


def without_secrets(text: str) -> str:
    """A reason or a name that somebody typed, without credentials; a fixed word if redaction fails.

    Names of people stay: the text is for people to read, and is erased with its note.
    """
    try:
        return shared_redactor().redact(text).revealed
    except Exception:  # whatever failed, the text is withheld
        return WITHHELD


def guarded(text: str, *, max_chars: int = CHARS_MAX) -> str:
    """`text` on one line, of at most `max_chars`, without secrets and personal data; a fixed word if redaction
    fails.
    """
    if not text:
        return text
    try:
        return shared_redactor().clean(text[:_LOOKED_AT_MAX], max_chars=max_chars)[0]
    except Exception:  # whatever failed, the text is withheld
        return WITHHELD
