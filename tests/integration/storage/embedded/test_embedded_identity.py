"""Who the embedded PostgreSQL runs as. Root stands for every user here, through user namespaces."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from folders import SHORT_FOLDER

from service.storage.embedded import processes
from service.storage.embedded.processes import Identity
from service.storage.embedded.supervisor import EmbeddedPostgres
from service.storage.errors import EmbeddedDatabaseError

pytestmark = pytest.mark.embedded("how it is run")

START = """
import asyncio, os, sys
from pathlib import Path
from service.errors import OperatorError
from service.storage.embedded.supervisor import EmbeddedPostgres

async def main():
    postgres = EmbeddedPostgres(Path(sys.argv[1]))
    try:
        await postgres.start()
        print("started", os.geteuid())
    except OperatorError as error:
        print("refused:", error)
    await postgres.stop()

asyncio.run(main())
"""
# A container whose only user is root: there is nobody to become, and no namespace to enter.
LONELY_ROOT = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
# Any account will do but the one that stands for unknown users.
ORDINARY = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, 65534))
NAMESPACE = Identity("namespace", ORDINARY.pw_uid, ORDINARY.pw_gid)


def has_namespaces() -> bool:
    return processes.run(NAMESPACE, ["/bin/true"], folder=Path("/")).returncode == 0


@pytest.fixture(autouse=True)
def root_with_namespaces() -> None:
    if os.geteuid() != 0 or not has_namespaces():
        reason = "changing users needs root, and a kernel that allows user namespaces"
        print(reason)
        pytest.skip(reason)


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="calledger-test-", dir=SHORT_FOLDER))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def identity_of(data: Path) -> tuple[str, int, int]:
    """Kind of identity, real user of the server, owner of the files; after a start and a stop."""
    postgres = EmbeddedPostgres(data)
    await postgres.start()
    try:
        pid = postgres.cluster.server_pid()
        assert pid is not None
        return postgres.identity.kind, user_of(pid), postgres.cluster.files.stat().st_uid
    finally:
        await postgres.stop()


def start_as_ordinary_user(data: Path) -> str:
    return processes.run(NAMESPACE, [sys.executable, "-c", START, data], folder=Path.cwd()).stdout


def start_as_lonely_root(data: Path) -> str:
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c", LONELY_ROOT, "sh"]
    done = subprocess.run([*unshare, sys.executable, "-c", START, data], capture_output=True, text=True, check=True)
    return done.stdout


def test_root_drops_to_an_account(folder: Path) -> None:
    """As root, in a folder that others can reach, PostgreSQL runs as an account that owns its files and no more."""
    kind, server_uid, files_uid = asyncio.run(identity_of(folder / "data"))

    assert kind == "user"
    assert server_uid == files_uid != 0
    ours = [folder / "data", folder / "data" / "postgres", folder / "data" / "postgres" / "owner.password"]
    assert {path.stat().st_uid for path in ours} == {0}


def test_root_in_a_closed_folder_uses_a_namespace(folder: Path) -> None:
    """As root, in a folder that nobody else can reach, PostgreSQL runs all the same, and the folder stays closed."""
    folder.chmod(0o700)

    kind, server_uid, files_uid = asyncio.run(identity_of(folder / "data"))

    assert (kind, server_uid, files_uid) == ("namespace", 0, 0)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_database_outlives_a_change_of_identity(folder: Path) -> None:
    """Files that one identity made are handed over when the next start needs another."""
    kinds = []
    for mode in (0o700, 0o755, 0o700):
        folder.chmod(mode)
        kinds.append(asyncio.run(identity_of(folder / "data"))[0])

    assert kinds == ["namespace", "user", "namespace"]


def test_root_without_any_way_out_is_told_which_folder_is_closed(folder: Path) -> None:
    """Where root can become nobody else, the error says so and what to set."""
    folder.chmod(0o700)

    said = start_as_lonely_root(folder / "data")

    assert said.startswith("refused:")
    assert f"`{folder}`" in said
    assert "CALLEDGER_DATA" in said


def test_ordinary_user_runs_it_as_himself(folder: Path) -> None:
    """Without root nothing is dropped or mapped: the database is the user's own, in folders closed to others."""
    said = start_as_ordinary_user(folder / "data")

    assert said.strip() == f"started {NAMESPACE.uid}"
    assert [path.stat().st_mode & 0o777 for path in (folder / "data", folder / "data" / "postgres")] == [0o700] * 2


def test_ordinary_user_is_told_of_files_that_are_not_his(folder: Path) -> None:
    """A database that another user made is not touched, and the error says whose turn it is."""
    asyncio.run(identity_of(folder / "data"))
    before = (folder / "data" / "postgres" / "cluster").stat()

    said = start_as_ordinary_user(folder / "data")

    after = (folder / "data" / "postgres" / "cluster").stat()
    assert said.startswith("refused:")
    assert "belongs to another user" in said
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)


def test_account_of_the_database_cannot_make_us_follow_a_link(folder: Path) -> None:
    """A link where root writes is never followed: the folders that hold those places are root's own."""
    asyncio.run(identity_of(folder / "data"))
    target = folder / "target"
    target.write_text("untouched")
    log = folder / "data" / "postgres" / "server.log"
    log.unlink()
    log.symlink_to(target)

    with pytest.raises((EmbeddedDatabaseError, OSError)):
        asyncio.run(identity_of(folder / "data"))

    assert target.read_text() == "untouched"
