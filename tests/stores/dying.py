"""Processes that are killed in the middle of what they do."""

import itertools
import os
import signal


def die_at(owner: object, name: str, nth: int) -> None:
    """From now on the process dies by SIGKILL at the nth call of `owner.name`."""
    work, calls = getattr(owner, name), itertools.count(1)

    def die(*arguments: object, **options: object) -> object:
        if next(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments, **options)

    setattr(owner, name, die)
