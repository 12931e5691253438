"""The first start and every later one: cut short, twice at once, without its keys, on a server of the operator's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import PYTHON_PATH, RunningService, bare_command, command

pytestmark = pytest.mark.embedded("begins with it")

VIEWER = b'{"query": "{ viewer { role } }"}'


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that has been set up, without a service."""
    data = tmp_path_factory.mktemp("installation") / "data"
    assert command(data, "keys", "create", "--role", "viewer").returncode == 0
    return data


@contextmanager
def set_aside(path: Path) -> Iterator[None]:
    aside = path.with_name(path.name + ".aside")
    path.rename(aside)
    try:
        yield
    finally:
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        aside.rename(path)


def refused(data: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """The one line in which a command is refused."""
    done = command(data, *(arguments or ("status",)), environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_first_start_may_be_cut_short_anywhere(tmp_path: Path) -> None:
    """Killed as soon as each of its files appears, and started again each time: it works, with one admin key."""
    data = tmp_path / "data"
    steps = ("postgres/cluster.new", "postgres/cluster", "database.url", "kek", "keyring/keyring.json", "admin.key")
    for step in steps:
        arguments = [sys.executable, "-m", "service", "serve", "--port", "0", "--data", str(data)]
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL, env={**os.environ, **PYTHON_PATH}) as start:
            while not (data / step).exists() and start.poll() is None:
                os.sched_yield()
            start.kill()

    service = RunningService(data, is_fresh=True)

    assert service.request("POST", "/graphql", key=service.admin_key, body=VIEWER)[0] == 200
    keys = [line.split("\t") for line in service.command("keys", "list").stdout.splitlines()]
    assert [key[1] for key in keys] == ["admin"]
    assert keys[0][0] == service.admin_key.split("_")[1]
    assert (data / "admin.key").stat().st_mode & 0o777 == 0o600
    assert "FAIL" not in service.command("fsck").stdout
    service.stop()


def test_first_commands_at_once_make_one_ledger(tmp_path: Path) -> None:
    """Three commands at once on an empty directory: all succeed, on one database, with one admin key."""
    data = tmp_path / "data"
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(command, data, "keys", "create", "--role", "viewer") for _ in range(3)]

    made = [run.result() for run in runs]
    assert [done.returncode for done in made] == [0, 0, 0], [done.stderr for done in made]
    roles = [line.split("\t")[1] for line in command(data, "keys", "list").stdout.splitlines()]
    assert sorted(roles) == ["admin", "viewer", "viewer", "viewer"]


def test_without_its_keyring_a_ledger_says_so(ledger: Path) -> None:
    """A missing keyring or key-encryption key is named, with where it was looked for; none is made instead."""
    for name in ("keyring", "kek"):
        with set_aside(ledger / name):
            done = command(ledger, "status")
            assert (done.returncode, f"`{ledger / name}`" in done.stdout) == (0, True), done.stdout
            assert not (ledger / name).exists()


def test_another_ledgers_keyring_is_not_used(ledger: Path, tmp_path: Path) -> None:
    """The keyring of another ledger does not open this one, whether named by a setting or put in its place."""
    other = tmp_path / "data"
    assert command(other, "keys", "create", "--role", "viewer").returncode == 0
    foreign = {"CALLEDGER_KEYRING": f"file:{other / 'keyring'}", "CALLEDGER_KEK": f"file:{other / 'kek'}"}

    assert "belongs to" in command(ledger, "status", environment=foreign).stdout
    done = command(ledger, "status", environment={"CALLEDGER_KEK": f"file:{other / 'kek'}"})
    assert "key-encryption key" in done.stdout


def test_an_exposed_key_is_refused(ledger: Path) -> None:
    """A key-encryption key that others can read is refused, and the message says how to close it."""
    (ledger / "kek").chmod(0o644)
    try:
        assert "chmod 600" in refused(ledger)
    finally:
        (ledger / "kek").chmod(0o600)


def test_another_policy_is_refused(ledger: Path, tmp_path: Path) -> None:
    """`serve` with a policy file of another digest refuses, naming both; with the one in force it goes on."""
    strict, same = tmp_path / "strict.toml", tmp_path / "same.toml"
    strict.write_text(bare_command("policy", "show", "strict").stdout)
    same.write_text("# a comment changes nothing\n" + bare_command("policy", "show", "default").stdout)

    reason = refused(ledger, "serve", "--port", "0", environment={"CALLEDGER_POLICY": str(strict)})
    assert bare_command("policy", "check", "strict").stdout.split()[-1] in reason
    assert bare_command("policy", "check", "default").stdout.split()[-1] in reason

    service = RunningService(ledger, environment={"CALLEDGER_POLICY": str(same)})
    assert service.stop() == 0


def test_a_mistyped_setting_is_noticed(ledger: Path) -> None:
    """A variable that is almost a setting is named in the log, without its value."""
    service = RunningService(ledger, environment={"CALLEDGER_DATABSE_URL": "s3cr3t"})
    service.stop()

    assert "CALLEDGER_DATABSE_URL" in service.log.read_text()
    assert "CALLEDGER_DATABASE_URL" in service.log.read_text()
    assert "s3cr3t" not in service.log.read_text()


def test_a_first_start_takes_the_policy_that_is_named(tmp_path: Path) -> None:
    """An empty ledger starts with the policy of CALLEDGER_POLICY; one that cannot be read leaves no ledger behind."""
    strict = tmp_path / "strict.toml"
    strict.write_text(bare_command("policy", "show", "strict").stdout)
    data = tmp_path / "data"
    create = ("keys", "create", "--role", "viewer")

    assert "CALLEDGER_POLICY" in refused(data, *create, environment={"CALLEDGER_POLICY": str(tmp_path)})
    assert command(data, *create, environment={"CALLEDGER_POLICY": str(strict)}).returncode == 0
    assert bare_command("policy", "check", "strict").stdout.split()[-1] in command(data, "status").stdout


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_directory_that_cannot_be_one_is_refused(tmp_path: Path, place: str) -> None:
    """A data directory that is a file, lies under one, or cannot be made is named in one line."""
    (tmp_path / "file").touch()

    reason = refused(tmp_path / place, "serve", "--port", "0")

    assert str(tmp_path / place) in reason


def test_without_permission_nothing_is_read(ledger: Path) -> None:
    """Another user is told so in one line; nothing of the ledger is shown to them."""
    if os.geteuid() != 0:
        reason = "only root can act as another user"
        print(reason)
        pytest.skip(reason)
    ledger.chmod(0o700)
    program = (
        f"import os; os.setgid(65534); os.setuid(65534); os.execv({sys.executable!r}, [{sys.executable!r}, *{{}}])"
    )
    probe = subprocess.run(
        [sys.executable, "-c", program.format(["-c", "import service.cli"])],
        check=False,
        capture_output=True,
        text=True,
        env=PYTHON_PATH,
    )
    if probe.returncode:
        reason = "this checkout cannot be read by another user"
        print(reason)
        pytest.skip(reason)
    for arguments in (["status"], ["keys", "create", "--role", "viewer"], ["serve", "--port", "0"]):
        done = subprocess.run(
            [sys.executable, "-c", program.format(["-m", "service", *arguments, "--data", str(ledger)])],
            check=False,
            capture_output=True,
            text=True,
            env=PYTHON_PATH,
        )

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
