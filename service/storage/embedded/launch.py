"""Switches to the right user, arranges to end with the parent, then executes the database program.

It is started as a program by `service.storage.embedded.processes`, not imported: its work must happen between fork and
exec, where a process that has threads may run no Python of its own. It uses the standard library only, and starts fast
with `-I -S`.

    python -I -S launch.py PARENT_PID IDENTITY FOLDER PROGRAM [ARGUMENT ...]

IDENTITY is `self`, `user:UID:GID` or `namespace:UID:GID`; FOLDER becomes the working directory.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

CANNOT_LAUNCH = 126  # the shell's code for "found, but cannot be executed"
CLONE_NEWUSER = 0x10000000  # linux/sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def libc_call(name: str, *arguments: int) -> None:
    """Call a C function that returns 0 on success; raise its OSError otherwise."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def become_user(uid: int, gid: int) -> None:
    """Drop to an ordinary account for good, with no group but its own."""
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a user namespace where we appear as `uid`, and keep our identity on disk (user_namespaces(7))."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc_call("unshare", CLONE_NEWUSER)
    # The kernel lets a process map its groups only once it has denied itself setgroups.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def become(identity: str) -> None:
    """Switch to an identity written as `self`, `user:UID:GID` or `namespace:UID:GID`. Raises OSError."""
    kind, *numbers = identity.split(":")
    if kind == "user":
        become_user(*map(int, numbers))
    elif kind == "namespace":
        enter_namespace(*map(int, numbers))


def end_with(parent: int) -> None:
    """Ask the kernel for SIGINT, PostgreSQL's fast shutdown, when the parent dies. Works on Linux only."""
    if sys.platform != "linux":
        return
    # This comes after the change of user, which would clear the setting.
    libc_call("prctl", PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:
        raise OSError("the parent is gone")


def main(parent: str, identity: str, folder: str, program: str, *arguments: str) -> None:
    """Execute `program` in `folder` under the identity; on an OSError say why and exit with CANNOT_LAUNCH."""
    try:
        become(identity)
        end_with(int(parent))
        os.chdir(folder)
        os.execv(program, [program, *arguments])  # noqa: S606 - the caller names the program by its full path
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT_LAUNCH)


if __name__ == "__main__":
    main(*sys.argv[1:])
