"""What the command line says when something fails: one line, and for what nobody expected, where the report is.

A report names places in the code and kinds of errors; messages and values stay out of it, for they may quote a row.
"""

import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from service.errors import CalledgerError

_OPERATORS_FAULTS: Final = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENFILE,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
_CAUSES_MAX: Final = 10


def explained(error: Exception) -> str:
    """One line for the operator."""
    if isinstance(error, CalledgerError) or _is_policy_error(error):
        return _one_line(str(error))
    if isinstance(error, OSError) and error.errno in _OPERATORS_FAULTS:
        reason = os.strerror(error.errno).lower()
        return _one_line(f"`{os.fsdecode(error.filename)}`: {reason}" if error.filename else reason)
    return f"something went wrong here ({type(error).__name__}); {_reported(error)}"


def _is_policy_error(error: Exception) -> bool:
    # By name: the law is not imported only to learn that it was not broken.
    return any(kind.__name__ == "PolicyError" for kind in type(error).__mro__)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _reported(error: Exception) -> str:
    try:
        descriptor, name = tempfile.mkstemp(prefix="calledger-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(_report(error))
    except OSError:
        return "and where it happened could not be written down"
    return f"`{Path(name)}` says where, without any data: please send it along with your report"


def _report(error: BaseException) -> Iterator[str]:
    yield f"calledger, {datetime.now(UTC).isoformat(timespec='seconds')}\n"
    following: BaseException | None = error
    for _ in range(_CAUSES_MAX):
        if following is None:
            return
        yield f"{type(following).__module__}.{type(following).__name__}\n"
        for frame in traceback.extract_tb(following.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}\n"
        following = following.__cause__ or following.__context__
