"""`calledger`, and `python -m service`."""

import sys

from policies import PolicyError
from service.cli import app
from service.errors import CalledgerError


def main() -> None:
    """Run the command line. An error is one line on standard error and exit code 1; a wrong usage is exit code 2."""
    try:
        app()
    except (CalledgerError, PolicyError) as error:
        sys.stderr.write(f"calledger: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
