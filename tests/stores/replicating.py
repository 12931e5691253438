"""A streaming replica of a test's PostgreSQL, made by pg_basebackup as an operator makes one."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import PASSWORD, SHORT_FOLDER, START_TIMEOUT_S, Server, await_ready, server_command

from service.storage.embedded import processes


class Replica:
    """A standby that follows `primary`."""

    def __init__(self, primary: Server, folder: Path) -> None:
        self.server = Server(primary.programs, folder, primary.identity, primary.options)
        source = f"host={primary.folder} port=5432 user=postgres password={PASSWORD}"
        command = [primary.programs / "pg_basebackup", "-D", folder / "cluster", "-d", source, "-R", "-c", "fast"]
        done = processes.run(primary.identity, command, folder=folder)
        assert done.returncode == 0, done.stdout
        self.start()

    def start(self) -> None:
        with (self.server.folder / "server.log").open("ab") as log:
            command = server_command(self.server)
            self._process = processes.start(self.server.identity, command, folder=self.server.folder, log=log)
        await_ready(self._process, self.server.folder)

    def kill(self) -> None:
        """End it at once; its psql goes with it."""
        self.server.close()
        self.server._superuser = None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(START_TIMEOUT_S)

    def url(self, database: str) -> str:
        """The address of a database here, for its owner."""
        return self.server.url(database)


@contextmanager
def running_replica(primary: Server) -> Iterator[Replica]:
    """A replica that runs during the block."""
    folder = Path(tempfile.mkdtemp(prefix="calledger-replica-", dir=SHORT_FOLDER))
    try:
        folder.chmod(0o711)
        os.chown(folder, *primary.identity.owner)
        replica = Replica(primary, folder)
        try:
            yield replica
        finally:
            replica.kill()
    finally:
        shutil.rmtree(folder)
