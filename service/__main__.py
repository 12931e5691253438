"""`calledger`, and `python -m service`."""

import os
import sys

from service.cli import app
from service.commands.failures import explain


def main() -> None:
    """Run the command line. An error is one line on standard error and exit code 1; a wrong usage is exit code 2."""
    try:
        app(prog_name="calledger")
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()
    except Exception as error:
        sys.stderr.write(f"calledger: {explain(error)}\n")
        sys.exit(1)


def _leave_pipe() -> None:
    """End without a message, because the reader of our output has gone, as `head` does."""
    # The interpreter flushes once more at its end, which would fail.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


if __name__ == "__main__":
    main()
