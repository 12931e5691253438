"""The supervisor of the embedded PostgreSQL: starts it, keeps it running, and stops it, also after either was
killed.
"""

import asyncio
import atexit
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import asyncpg

from service.logs import get_logger
from service.storage.embedded import processes
from service.storage.embedded.data_directory import (
    DATABASE,
    OWNER,
    SUPERUSER,
    Cluster,
    address,
    read_private,
    remove_tree,
    write_private,
)
from service.storage.embedded.locks import FileLock
from service.storage.embedded.processes import Identity
from service.storage.errors import EmbeddedDatabaseBusyError, EmbeddedDatabaseError

log = get_logger()

LOCK_TIMEOUT_S = 10.0
# A killed predecessor takes this long at most to release its files and its shared memory.
PREDECESSOR_TIMEOUT_S = 30.0
# Recovery after a crash replays up to a gigabyte of write-ahead log.
READY_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 30.0
RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 600.0
_POLL_S = 0.01
_WATCH_S = 0.2

# Messages of PostgreSQL, in the C locale that we start it in, while its predecessor is still closing.
_PREDECESSOR_SIGNS = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block", '.lock" already')

# Lines that give no reason for an end.
_NO_REASON = ("LOG:", "HINT:", "terminating connection due to unexpected postmaster exit")

# Every statement can be repeated, because the first start may have been interrupted between any two of them.
_CREATE_OWNER = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN
        CREATE ROLE {OWNER} LOGIN CREATEROLE;
    END IF;
END $$
"""
_SET_OWNER_PASSWORD = f"ALTER ROLE {OWNER} PASSWORD '%s'"
_DATABASE_EXISTS = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
_CREATE_DATABASE = f"CREATE DATABASE {DATABASE} OWNER {OWNER}"


class EmbeddedPostgres:
    """Our own PostgreSQL under `data`. One process at a time runs it, and it ends with that process.

    Start it from the main thread: Linux takes the end of the starting thread for the end of the process. It uses
    `database.url` and `postgres/` in `data`, and changes no permission outside of them.
    """

    def __init__(self, data: Path) -> None:
        self.cluster = Cluster(data)
        self._lock = FileLock(self.cluster.folder / "lock")
        self._changing = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._programs: Path
        self.identity: Identity
        self.socket_folder: Path | None = None
        self._log_start_bytes = 0

    async def start(self, *, timeout_s: float | None = None) -> str:
        """Start PostgreSQL, making the database if there is none, and return the owner's address.

        Until `stop` the address is also in `DATA/database.url`. Raises EmbeddedDatabaseBusyError when another process
        runs this database for longer than `timeout_s` (default: 10 seconds), and EmbeddedDatabaseError when it cannot
        run.
        """
        self._programs = processes.bundled_programs()
        self.cluster.make_folder()
        await self._take_lock(LOCK_TIMEOUT_S if timeout_s is None else timeout_s)
        atexit.register(self._interrupt)
        try:
            async with self._changing:
                await self._prepare()
                await self._run_server()
                url = await self._owner_address()
            write_private(self.cluster.url_file, url)
        except BaseException:
            await self.stop()
            raise
        return url

    async def stop(self) -> None:
        """Stop PostgreSQL, closing open connections; nothing happens when it doesn't run."""
        async with self._changing:
            if self._lock.held:
                self.cluster.url_file.unlink(missing_ok=True)
            if self._process is not None:
                await _end(self._process)
                self._process = None
            if self.socket_folder is not None:
                remove_tree(self.socket_folder)
                self.socket_folder = None
            self._lock.release()
        atexit.unregister(self._interrupt)

    async def watch(self) -> None:
        """Start PostgreSQL again whenever it ends by itself; returns after `stop`. Runs in a task next to the service.

        The address stays the same. Raises EmbeddedDatabaseError when PostgreSQL doesn't start again, or ends more than
        RESTARTS_MAX times within RESTARTS_WINDOW_S: a restart does not cure that.
        """
        ends: list[float] = []
        while self._process is not None:
            if self._process.poll() is not None:
                ends = [end for end in ends if end > time.monotonic() - RESTARTS_WINDOW_S] + [time.monotonic()]
                await self._restart(len(ends))
            await asyncio.sleep(_WATCH_S)

    async def _restart(self, count: int) -> None:
        async with self._changing:
            if self._process is None:
                return
            how = _describe_end(self._process.returncode)
            if count > RESTARTS_MAX:
                raise EmbeddedDatabaseError(
                    f"PostgreSQL ended {count} times within {RESTARTS_WINDOW_S / 60:.0f} minutes, at last {how}: "
                    f"look for the reason in `{self.cluster.log}`"
                )
            log.warning(
                "the database ended by itself and is started again", how=how, time=count, times_max=RESTARTS_MAX
            )
            await self._run_server()
            log.warning("the database runs again")

    async def _take_lock(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._lock.try_exclusive():
            if time.monotonic() >= deadline:
                raise EmbeddedDatabaseBusyError(
                    f"the database in `{self.cluster.data}` is run by another calledger, process "
                    f"{self._lock.holder()}: stop it, or give this one a folder of its own with CALLEDGER_DATA"
                )
            await asyncio.sleep(0.05)

    async def _prepare(self) -> None:
        """Bring the files into a state from which the server can start."""
        owner_uid = self.cluster.files_owner_uid()
        self.identity = processes.choose_identity(self._programs / "postgres", self.cluster.folder, owner_uid=owner_uid)
        if owner_uid is None:
            await asyncio.to_thread(self.cluster.initialise, self._programs, self.identity)
        self.cluster.hand_over(self.identity)
        self.cluster.check_version()
        self.cluster.discard_socket_folder(self.identity)
        self.socket_folder = self.cluster.make_socket_folder(self.identity)

    async def _run_server(self) -> None:
        """Start the server until it stays up, waiting for a predecessor that is still closing."""
        deadline = time.monotonic() + PREDECESSOR_TIMEOUT_S
        while (ended := await self._launch_and_wait()) is not None:
            reasons = reasons_of(self._log_since_launch())
            # A process that was ended by a signal says nothing about its files.
            may_recover = ended < 0 or any(sign in reason for sign in _PREDECESSOR_SIGNS for reason in reasons)
            if not may_recover or time.monotonic() > deadline:
                reason = reasons[-1] if reasons else _describe_end(ended)
                raise EmbeddedDatabaseError(f"PostgreSQL did not start: {reason} (see `{self.cluster.log}`)")
            self._discard_foreign_pid_file()
            await asyncio.sleep(0.2)

    async def _launch_and_wait(self) -> int | None:
        """Launch the server. Returns None once it accepts connections, its exit code when it has ended instead."""
        assert self.socket_folder is not None
        command = self.cluster.server_command(self._programs, self.socket_folder)
        with os.fdopen(self.cluster.open_log(), "ab") as output:
            self._log_start_bytes = output.tell()
            self._process = processes.start(self.identity, command, folder=self.cluster.folder, log=output)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.cluster.server_pid_and_state() != (self._process.pid, "ready"):
            if self._process.poll() is not None:
                return self._process.returncode
            if time.monotonic() > deadline:
                raise EmbeddedDatabaseError(f"PostgreSQL is not ready after {READY_TIMEOUT_S:.0f} seconds")
            await asyncio.sleep(_POLL_S)
        return None

    def _log_since_launch(self) -> str:
        with self.cluster.log.open("rb") as file:
            file.seek(self._log_start_bytes)
            return file.read().decode(errors="replace")

    def _discard_foreign_pid_file(self) -> None:
        """Remove a pid file whose process id now belongs to another program: PostgreSQL would wait for it for ever.

        That happens in containers, where process ids are few. We hold the lock, so no other supervisor runs.
        """
        noted = self.cluster.server_pid()
        command = processes.command_line(noted) if noted else None
        if command is not None and str(self.cluster.files) not in command:
            (self.cluster.files / "postmaster.pid").unlink(missing_ok=True)

    async def _owner_address(self) -> str:
        """The address of the database's owner, who is created first if he is missing."""
        if not self.cluster.owner_password.exists():
            await self._create_owner()
        connection = await self._connect(OWNER, self.cluster.owner_password, database=DATABASE)
        await connection.close()
        return self._address(OWNER, read_private(self.cluster.owner_password), DATABASE)

    async def _create_owner(self) -> None:
        password = secrets.token_urlsafe(24)
        connection = await self._connect(SUPERUSER, self.cluster.superuser_password, database="postgres")
        try:
            await connection.execute(_CREATE_OWNER)
            await connection.execute(_SET_OWNER_PASSWORD % password)
            if not await connection.fetchval(_DATABASE_EXISTS, DATABASE):
                await connection.execute(_CREATE_DATABASE)
        finally:
            await connection.close()
        # Written last, because it means that all of the above is done.
        write_private(self.cluster.owner_password, password)

    async def _connect(self, user: str, password_file: Path, *, database: str) -> asyncpg.Connection:
        try:
            url = self._address(user, read_private(password_file), database)
            return await asyncpg.connect(url)
        except (OSError, asyncpg.PostgresError) as error:
            raise EmbeddedDatabaseError(
                f"`{user}` cannot log in to the embedded database with `{password_file}` ({type(error).__name__}): "
                f"restore that file; without `{self.cluster.owner_password}` the owner gets a new password"
            ) from error

    def _address(self, user: str, password: str, database: str) -> str:
        assert self.socket_folder is not None
        return address(self.socket_folder, user=user, password=password, database=database)

    def _interrupt(self) -> None:
        """Stop the server at exit when `stop` was not called: only Linux ends a child with its parent."""
        if self._lock.held and self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the server: first disconnecting its clients, then immediately, then by force. The last two need a
    recovery.
    """
    for request, patience_s in ((signal.SIGINT, STOP_TIMEOUT_S), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        process.send_signal(request)
        for _ in range(int(patience_s / _POLL_S)):
            if process.poll() is not None:
                return
            await asyncio.sleep(_POLL_S)


def reasons_of(log: str) -> list[str]:
    """The errors in a server's log, in their order. Sessions of a killed predecessor end with a line of their own in
    the same file, before or after that in which the new server says why it does not start: those are left out.
    """
    lines = (line.strip() for line in log.splitlines())
    return [line for line in lines if line and not any(sign in line for sign in _NO_REASON)]


def _describe_end(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
