"""Become the right user, end with the parent, then become the database program.

Started as a program by `service.storage.embedded.processes`, not imported: what it does must happen between fork and
exec, where a process that has threads may run no Python of its own. Standard library only; with `-I -S` it costs 20 ms.

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
    """Call a C function that returns 0, and raise its OSError when it doesn't."""
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
    """Enter a user namespace where we appear as `uid`, and on disk stay who we are (user_namespaces(7))."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc_call("unshare", CLONE_NEWUSER)
    # The kernel lets a process map its groups only once it has given up changing them.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def become(identity: str) -> None:
    kind, *numbers = identity.split(":")
    if kind == "user":
        become_user(*map(int, numbers))
    elif kind == "namespace":
        enter_namespace(*map(int, numbers))


def end_with(parent: int) -> None:
    """Ask the kernel for SIGINT, PostgreSQL's fast shutdown, when the parent dies. Only Linux knows this."""
    if sys.platform != "linux":
        return
    # After the change of user, which would clear it.
    libc_call("prctl", PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:
        raise OSError("the parent is gone")


def main(parent: str, identity: str, folder: str, program: str, *arguments: str) -> None:
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
