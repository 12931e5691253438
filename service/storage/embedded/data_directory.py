"""The files of the embedded PostgreSQL: their paths, how they are made, who owns them.

- `DATA/database.url`: the owner's address, only while the database runs
- `DATA/postgres/cluster/`: PostgreSQL's own files
- `DATA/postgres/socket/`: its socket, unless that path is too long for one
- `DATA/postgres/superuser.password`: for repairs by hand; calledger uses it only to create the owner
- `DATA/postgres/owner.password`: of `calledger_owner`, who owns the database and is no superuser
- `DATA/postgres/server.log`: has no statement and no value in it

When we are root, `cluster` and `socket` belong to the account that PostgreSQL runs as, and all files that we write
ourselves are outside of them: that account cannot make us follow a link.
"""

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from service.disk import sync
from service.storage.embedded.processes import MAJOR, Identity, run
from service.storage.errors import EmbeddedDatabaseError

OWNER = "calledger_owner"
SUPERUSER = "postgres"
DATABASE = "calledger"
PORT = 5432  # the port is only a part of the socket's name
# Linux allows 107 bytes, macOS 103.
SOCKET_PATH_BYTES_MAX = 100
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - mkdtemp makes a directory in it that is closed to others
_SOCKET_NAME = f".s.PGSQL.{PORT}"
_LOG_BYTES_MAX = 2**20

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "calledger",
    "max_connections": "100",
    "jit": "off",
    # A page may read every partition of its stores, and locks each of them and its indexes.
    "max_locks_per_transaction": "256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Errors of statements can quote values, and no value of a call may be logged: only messages of the server itself.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_checkpoints": "off",
}

_MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def buffers_mb(memory_bytes: int) -> int:
    """Megabytes that the server may keep rows in: a thirty-second of the memory, 128 to 1,024.

    A page filtered by a model reads three calls for each that it shows. Of a million calls these did not fit into 128.
    """
    return max(128, min(1024, memory_bytes // 32 >> 20))


def _memory_bytes() -> int:
    """Of the machine, or of the container that this runs in, if that has less; 0 where the system does not say."""
    memory = 0
    with suppress(OSError, ValueError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = min(memory, int(_MEMORY_LIMIT.read_text()))
    return memory


@dataclass(frozen=True, slots=True)
class Cluster:
    """The embedded database's files under a data directory."""

    data: Path

    def __post_init__(self) -> None:
        # Absolute, because a server and its socket are used from processes with other working directories.
        object.__setattr__(self, "data", self.data.absolute())

    @property
    def url_file(self) -> Path:
        """The file with the owner's address, which exists while the database runs."""
        return self.data / "database.url"

    @property
    def folder(self) -> Path:
        """The directory of everything but the address."""
        return self.data / "postgres"

    @property
    def files(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.folder / "cluster"

    @property
    def owner_password(self) -> Path:
        """The file with the password of `calledger_owner`."""
        return self.folder / "owner.password"

    @property
    def superuser_password(self) -> Path:
        """The file with the password of `postgres`."""
        return self.folder / "superuser.password"

    @property
    def log(self) -> Path:
        """The file that the server writes its log to."""
        return self.folder / "server.log"

    def make_folder(self) -> None:
        """Make the data directory and `postgres` in it. As root, others may pass through both, as PostgreSQL has to.

        Raises EmbeddedDatabaseError when they cannot be made or belong to another user.
        """
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.data.mkdir(mode=mode, parents=True, exist_ok=True)
            self.folder.mkdir(mode=mode, exist_ok=True)
        except OSError as error:
            raise self._unusable(os.strerror(error.errno or 0).lower()) from error
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise self._unusable("it belongs to another user")

    def _unusable(self, reason: str) -> EmbeddedDatabaseError:
        return EmbeddedDatabaseError(
            f"`{self.data}` cannot hold the database ({reason}): set CALLEDGER_DATA to a folder that you may write to"
        )

    def files_owner_uid(self) -> int | None:
        """The user id that owns the database's files; None when there are none yet."""
        return self.files.stat().st_uid if self.files.exists() else None

    def check_version(self) -> None:
        """Raise EmbeddedDatabaseError unless the files are of our PostgreSQL's major version."""
        try:
            version = (self.files / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedDatabaseError(
                f"`{self.files}` holds no PostgreSQL database that can be read: restore it from a backup, or move "
                "it away to begin with an empty one"
            ) from error
        if version != str(MAJOR):
            raise EmbeddedDatabaseError(
                f"`{self.files}` was made by PostgreSQL {version}, and this calledger brings PostgreSQL {MAJOR}: dump "
                "it with the calledger that made it and restore the dump into an empty data folder, or convert it "
                "with `pg_upgrade`"
            )

    def initialise(self, programs: Path, identity: Identity) -> None:
        """Make an empty database: it exists completely or not at all, and is on disk when this returns."""
        fresh = self.folder / "cluster.new"
        remove_tree(fresh)
        write_private(self.superuser_password, secrets.token_urlsafe(24))
        self.owner_password.unlink(missing_ok=True)
        _make_owned(fresh, identity)
        password_file = self.folder / "initdb.password"
        write_private(password_file, self.superuser_password.read_text())
        try:
            os.chown(password_file, *identity.owner)
            options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "--no-locale"]
            done = run(identity, [programs / "initdb", "-D", fresh, *options], folder=self.folder)
        finally:
            password_file.unlink()
        if done.returncode:
            raise EmbeddedDatabaseError(f"`{self.files}` could not be made: {_last_line(done.stdout)}")
        fresh.rename(self.files)
        sync(self.folder)

    def hand_over(self, identity: Identity) -> None:
        """Change the owner of the files to the identity that PostgreSQL runs as now, if it was another before."""
        uid, gid = identity.owner
        if self.files_owner_uid() == uid:
            return
        if os.geteuid() != 0:
            raise EmbeddedDatabaseError(f"`{self.files}` belongs to another user: run calledger as that user")
        for folder, _, names in os.walk(self.files):
            for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118 - thousands of files
                os.chown(path, uid, gid, follow_symlinks=False)

    def make_socket_folder(self, identity: Identity) -> Path:
        """A directory for the socket that only `identity` and we can enter, with a path short enough for a socket."""
        own = self.folder / "socket"
        # Drivers treat a comma as the end of a host.
        if len(os.fsencode(own / _SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX and "," not in str(own):
            remove_tree(own)
            _make_owned(own, identity)
            return own
        short = Path(tempfile.mkdtemp(prefix="calledger-", dir=SHORT_FOLDER))
        os.chown(short, *identity.owner)
        return short

    def discard_socket_folder(self, identity: Identity) -> None:
        """Remove the short socket directory of a run that was killed; the address file names it."""
        try:
            stale = Path(parse_qs(urlsplit(self.url_file.read_text()).query)["host"][0])
            short = stale.parent == SHORT_FOLDER and stale.name.startswith("calledger-")
            if short and stale.lstat().st_uid == identity.owner[0]:
                remove_tree(stale)
        except (OSError, KeyError, ValueError):
            return

    def open_log(self) -> int:
        """A descriptor that appends to the log, which is emptied first when it has grown long."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self.log, flags, 0o600)
        if os.fstat(descriptor).st_size > _LOG_BYTES_MAX:
            os.ftruncate(descriptor, 0)
        return descriptor

    def server_pid_and_state(self) -> tuple[int, str] | None:
        """The process id and state (such as `ready`) in the server's pid file; None while it is incomplete."""
        try:
            lines = (self.files / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip()
        except (OSError, IndexError, ValueError):
            return None

    def server_pid(self) -> int | None:
        """The process id in the server's pid file, whatever its state; None without one."""
        try:
            return int((self.files / "postmaster.pid").read_text().split(maxsplit=1)[0])
        except (OSError, IndexError, ValueError):
            return None

    def server_command(self, programs: Path, socket_folder: Path) -> list[str | Path]:
        """The command line of the server, with its settings and this directory for its socket."""
        quoted = str(socket_folder).replace('"', '""')
        settings = {**SETTINGS, "shared_buffers": f"{buffers_mb(_memory_bytes())}MB"}
        settings |= {"unix_socket_directories": f'"{quoted}"'}
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        return [programs / "postgres", "-D", self.files, "-p", str(PORT), *arguments]


def address(socket_folder: Path, *, user: str, password: str, database: str) -> str:
    """The address of a database behind a socket, as drivers read it."""
    host = quote(str(socket_folder), safe="/")
    return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={host}&port={PORT}"


def write_private(path: Path, text: str) -> None:
    """Write a file that only we can read. It appears complete, and is on disk when this returns."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync(path.parent)


def read_private(path: Path) -> str:
    """The text that `write_private` wrote."""
    return path.read_text()


def _make_owned(folder: Path, identity: Identity) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, *identity.owner)


def remove_tree(folder: Path) -> None:
    """Remove a directory with everything in it, if it exists."""
    if folder.exists():
        shutil.rmtree(folder)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
