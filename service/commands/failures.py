"""What the command line prints when something fails: one line, and for an unexpected error the path of a report.

A report has code locations and kinds of errors; messages and values are left out, because they may quote a row.
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

_OPERATOR_ERRNOS: Final = {
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


def explain(error: Exception) -> str:
    """The error in one line for the operator."""
    if isinstance(error, CalledgerError) or _is_policy_error(error):
        return _one_line(str(error))
    if isinstance(error, OSError) and error.errno in _OPERATOR_ERRNOS:
        reason = os.strerror(error.errno).lower()
        return _one_line(f"`{os.fsdecode(error.filename)}`: {reason}" if error.filename else reason)
    return f"something went wrong here ({type(error).__name__}); {_write_report(error)}"


def _is_policy_error(error: Exception) -> bool:
    # By name, so that `policies` need not be imported for errors that are none of its own.
    return any(kind.__name__ == "PolicyError" for kind in type(error).__mro__)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _write_report(error: Exception) -> str:
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
