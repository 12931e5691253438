"""Every command, as a shell sees it: on a ledger with calls, while the service runs and while it doesn't."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from running import PYTHON_PATH, RunningService, bare_command, command, fresh_command

from service.cli import COMMANDS

KEY = re.compile(r"cl_[2-9a-z]{8}_[0-9A-Za-z]{49}")
NOW = datetime.now(UTC).replace(microsecond=0)


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"req-{number}",
        "started_at": (NOW - timedelta(hours=number)).isoformat(),
        "account": "acme" if number % 2 else "globex",
        "model": "gpt-4o",
        "status": "succeeded",
        "amount": "0.0031",
        "currency": "USD",
        **fields,
    }


FAILURE = call(
    3,
    status="failed",
    error={"type": "RateLimitError", "code": "429", "message": "quota of jane@example.com is used up"},
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("commands") / "data")
    service.report(service.admin_key, *[call(number) for number in (0, 1, 2)], FAILURE)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with one key for a partner, and no service."""
    data = tmp_path_factory.mktemp("commands-stopped") / "data"
    done = command(data, "keys", "create", "--role", "partner", "--account", "acme", "--expires", "2w", "--name", "ops")
    assert KEY.fullmatch(done.stdout.strip()), done.stderr
    return data


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


READERS = (
    ("status",),
    ("fsck",),
    ("migrate",),
    ("keys", "list"),
    ("accounts", "list"),
    ("policy", "explain", "Call.user"),
    ("purge", "--dry-run"),
    ("purge",),
    ("export", "calls"),
    ("export", "errors"),
    ("export", "costs"),
)


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_commands_work_beside_the_service(service: RunningService, arguments: tuple[str, ...]) -> None:
    """Every command works while the service runs, and says nothing on standard error in a pipe."""
    done = fresh_command(*arguments, "--data", str(service.data))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


OTHERS = sorted({entry.name for entry in COMMANDS} - {arguments[0] for arguments in READERS})


@pytest.mark.parametrize("name", OTHERS)
def test_a_command_imports_what_it_needs(name: str) -> None:
    """Each of the other commands can be loaded by a process that has loaded nothing else."""
    done = fresh_command(name, "--help")

    assert (done.returncode, done.stderr) == (0, "")


def test_commands_work_without_the_service(stopped: Path) -> None:
    """The same commands start the database for as long as they need it, and leave none behind."""
    for arguments in (("status",), ("fsck",), ("accounts", "list"), ("export", "calls"), ("purge",)):
        done = command(stopped, *arguments)

        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert not (stopped / "database.url").exists()


@pytest.mark.parametrize("arguments", [reader for reader in READERS if reader != ("migrate",)], ids=" ".join)
def test_a_mistyped_directory_does_not_become_a_ledger(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A command that reads refuses a directory without a ledger, and makes nothing there."""
    done = command(tmp_path / "typo", *arguments)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "there is no ledger in" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_data_may_stand_anywhere(service: RunningService) -> None:
    """--data works before, inside and after a command, relative too, and before CALLEDGER_DATA."""
    folder, name = service.data.parent, service.data.name
    elsewhere = {"CALLEDGER_DATA": "elsewhere"}
    ways = (
        bare_command("--data", name, "accounts", "list", folder=folder, environment=elsewhere),
        bare_command("accounts", "--data", name, "list", folder=folder, environment=elsewhere),
        bare_command("accounts", "list", "--data", f"./{name}", folder=folder, environment=elsewhere),
        bare_command("--data", "elsewhere", "accounts", "list", "--data", name, folder=folder),
        bare_command("accounts", "list", folder=folder, environment={"CALLEDGER_DATA": name}),
    )

    assert [[row[0] for row in rows(done)] for done in ways] == [["acme", "globex"]] * len(ways)


def test_a_key_stands_alone_and_is_known_at_once(service: RunningService) -> None:
    """`keys create` prints the key and nothing else, makes new accounts, and the service knows it at once."""
    done = service.command("keys", "create", "--role", "ingest", "--account", "initech", "--name", "gateway")

    assert done.stderr == ""
    assert KEY.fullmatch(done.stdout.removesuffix("\n"))
    assert service.report(done.stdout.strip(), call(9, account="initech"))["accepted"] == 1
    mine = next(row for row in rows(service.command("keys", "list")) if row[0] == done.stdout.split("_")[1])
    assert (mine[1:4], mine[5], mine[7]) == (["ingest", "initech", "gateway"], "-", "live")
    assert done.stdout.strip() not in service.command("keys", "list").stdout


def test_a_revoked_key_ends_at_once(service: RunningService) -> None:
    """`keys revoke` ends a key that the service has just used and remembers; twice is no error."""
    key = service.new_key("viewer")
    assert service.ask(key, "{ viewer { role } }")["data"]["viewer"]["role"] == "VIEWER"

    for _ in range(2):
        assert service.command("keys", "revoke", key.split("_")[1]).returncode == 0

    # A NOTIFY travels for a moment; without it the service would remember the key for half a minute.
    query = b'{"query": "{viewer{role}}"}'
    codes = (service.request("POST", "/graphql", key=key, body=query)[0] for _ in range(500))
    assert 401 in codes


def test_a_key_is_replaced(service: RunningService) -> None:
    """`keys rotate` prints a successor that may do the same; the old key ends after the overlap, and not before."""
    key = service.new_key("viewer", "initech")
    done = service.command("keys", "rotate", key.split("_")[1], "--overlap", "2d")
    new = done.stdout.removesuffix("\n")
    assert (KEY.fullmatch(new) is not None, done.stderr) == (True, "")
    for one in (key, new):
        assert service.ask(one, "{ viewer { accounts } }")["data"]["viewer"]["accounts"] == ["initech"]
    listed = {row[0]: row for row in rows(service.command("keys", "list"))}
    ends = datetime.fromisoformat(listed[key.split("_")[1]][5])
    assert timedelta(days=1, hours=23) < ends - datetime.now(UTC) < timedelta(days=2, minutes=1)
    assert listed[new.split("_")[1]][5] == "-", "it has no end, as the old one had none"
    again = service.command("keys", "rotate", key.split("_")[1], "--overlap", "91d")
    assert (again.returncode, "0 to 90 days" in again.stderr) == (1, True)


def test_a_partners_key_is_bound_and_ends(stopped: Path) -> None:
    """A partner's key has accounts and an expiry, given or not; without an account it is refused as a wrong usage."""
    bound = next(row for row in rows(command(stopped, "keys", "list")) if row[1] == "partner")
    lifetime = datetime.fromisoformat(bound[5]) - datetime.fromisoformat(bound[4])
    assert (bound[2], bound[3], lifetime) == ("acme", "ops", timedelta(weeks=2))

    unbound = command(stopped, "keys", "create", "--role", "partner")

    assert unbound.returncode == 2
    assert "add --account NAME" in unbound.stderr
    assert unbound.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("keys", "create"), 2, "--role"),
        (("keys", "create", "--role", "boss"), 2, "`boss` is none of ingest, viewer"),
        (("keys", "create", "--role", "viewer", "--expires", "0d"), 2, "write `12h`, `30d` or `8w`"),
        (("keys", "create", "--role", "viewer", "--expires", "-3d"), 2, "not a duration"),
        (("keys", "create", "--role", "viewer", "--expires", "٣d"), 2, "not a duration"),
        (("keys", "create", "--role", "viewer", "--name", "a\nb"), 2, "one printable line"),
        (("keys", "create", "--role", "viewer", "--account", ""), 1, "an account cannot be called"),
        (("keys", "create", "--role", "viewer", "--account", "a\x1b[31m"), 1, "an account cannot be called"),
        (("keys", "create", "--role", "viewer", "--account", "x" * 201), 1, "an account cannot be called"),
        (("keys", "revoke"), 2, "ID"),
        (("keys", "revoke", "nope"), 1, "no key has the id `nope`"),
        (("keys", "revoke", "cl_abcdefgh_s3cr3t"), 1, "give only its id"),
        (("export", "calls", "--format", "xml"), 2, "`xml` is none of csv, ndjson, parquet"),
        (("export", "calls", "--format", "parquet", "--gzip"), 2, "leave --gzip out"),
        (("export", "calls", "--resume"), 2, "--resume goes on with a file"),
        (("export", "calls", "--field", "nothing"), 1, "there is no field `nothing`"),
        (("export", "costs", "--by", "colour"), 2, "`colour` is none of model, provider, account"),
        (("export", "costs", "--by", "API-Key", "--time-zone", "Mars/Olympus"), 1, "Mars/Olympus"),
        (("export", "focus", "--since", "2026-11-01T01:00:00Z"), 1, "midnight, UTC"),
        (("export", "calls", "--since", "yesterday"), 2, "is not a moment"),
        (("export", "calls", "--since", "2026-11-01T08:00:00"), 2, "is not a moment"),
        (("export", "calls", "--since", "2026-11-02", "--until", "2026-11-01"), 2, "before --until"),
        (("export", "costs", "--account", "nobody"), 1, "no account is called `nobody`"),
        (("purge", "--dry-run", "--plan", "sha256:0"), 2, "give one of the two"),
        (("purge", "--plan", "sha256:zz"), 1, "`sha256:zz` is no digest of a plan"),
        (("purge", "--plan", "sha256:" + "0" * 64), 1, "the plan has changed"),
        (("erase", "--account", "acme", "--user", "", "--reason", "y"), 2, "--user is empty"),
        (("verify", "/etc/passwd"), 1, "`/etc/passwd` is no bundle"),
        (("policy", "explain", "Call.nope"), 1, "there is no field `Call.nope`"),
        (("policy", "show", "nope"), 1, "`strict`"),
        (("policy", "check", "nope.toml"), 1, "there is no file `nope.toml`"),
        (("policy", "check", "."), 1, "cannot be read"),
        (("nope",), 2, "No such command 'nope'"),
        (("statu",), 2, "Did you mean 'status'"),
        (("serve", "--port", "99999"), 2, "65535"),
        (("work",), 2, "only `calledger serve --workers`"),
    ],
)
def test_what_is_wrong_is_said(service: RunningService, arguments: tuple[str, ...], code: int, reason: str) -> None:
    """Refusals exit with 1 and one line, wrong usages with 2; both say what is wrong, and nothing is a traceback."""
    done = bare_command(*arguments, environment={"CALLEDGER_DATA": str(service.data)})

    assert done.returncode == code, done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cr3t" not in done.stderr
    assert done.stdout == ""
    assert code == 2 or done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("CALLEDGER_PORT", "tcp://10.0.0.1:80", "`CALLEDGER_PORT` is wrong"),
        ("CALLEDGER_WORKERS", "0", "`CALLEDGER_WORKERS` is wrong"),
        ("CALLEDGER_LOG_LEVEL", "loud", "`CALLEDGER_LOG_LEVEL` is wrong"),
        ("CALLEDGER_KEYRING", "s3:bucket", "a keyring is named as"),
        ("CALLEDGER_KEK", "s3:key", "a key-encryption key is named as"),
        ("CALLEDGER_READ_CONNECTIONS", "-1", "`CALLEDGER_READ_CONNECTIONS` is wrong"),
        ("CALLEDGER_DATABASE_URL", "mysql://x", "CALLEDGER_DATABASE_URL is no address"),
        ("CALLEDGER_DATABASE_URL", "postgresql://u:s3cr3t@127.0.0.1:1/x", "does not answer"),
    ],
)
def test_a_bad_setting_is_named(service: RunningService, variable: str, value: str, reason: str) -> None:
    """A setting that cannot be used ends every command in one line that names it, and never its password."""
    done = command(service.data, "status", environment={variable: value})

    assert done.returncode == 1
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert "s3cr3t" not in done.stderr


def test_an_empty_setting_is_not_set(service: RunningService) -> None:
    """An empty variable, as compose files leave them, is the default."""
    empty = {"CALLEDGER_DATABASE_URL": "", "CALLEDGER_PORT": "", "CALLEDGER_KEYRING": "", "CALLEDGER_POLICY": ""}

    done = command(service.data, "status", environment=empty)

    assert (done.returncode, done.stderr) == (0, "")


def test_exports_hold_what_was_reported(service: RunningService) -> None:
    """Calls, errors and costs come out oldest first, money exact, messages masked, by account and by time."""
    acme = ("--account", "acme")
    calls = lines(service.command("export", "calls", *acme))
    assert [row["sourceId"] for row in calls] == ["req-3", "req-1"]
    assert {row["amount"]["amount"] for row in calls} == {"0.0031"}

    since = (NOW - timedelta(hours=2)).isoformat()
    until = NOW.isoformat()
    bounded = lines(service.command("export", "calls", "--since", since, "--until", until, "--format", "ndjson"))
    assert [row["sourceId"] for row in bounded] == ["req-2", "req-1"]

    (error,) = lines(service.command("export", "errors"))
    assert error["message"] == "quota of [redacted:email] is used up"
    assert error["call"]["sourceId"] == "req-3"

    costs = lines(service.command("export", "costs", *acme))
    assert sum(int(row["calls"]) for row in costs) == 2
    assert {row["key"]["account"] for row in costs} == {"acme"}


@pytest.mark.parametrize("kind", ["calls", "errors", "costs"])
def test_rows_that_the_shell_takes_are_in_the_ledger(service: RunningService, kind: str) -> None:
    """An export by command leaves an entry with who, what, how many, by which filter and in which format."""
    auditor = service.new_key("auditor")
    entries = "{ ledger(filter: {kind: {eq: EXPORTED}}, first: 200) { nodes { actor leaf } } }"
    before = service.ask(auditor, entries)["data"]["ledger"]["nodes"]

    rows = lines(service.command("export", kind, "--account", "acme"))
    service.command("export", kind, "--since", (NOW + timedelta(hours=3)).isoformat())
    after = service.ask(auditor, entries)["data"]["ledger"]["nodes"]

    taken, nothing = after[len(before) :]
    facts, none = [json.loads(base64.b64decode(entry["leaf"]))["facts"] for entry in (taken, nothing)]
    assert (taken["actor"], facts["kind"], facts["format"], facts["rows"]) == ("cli", kind.upper(), "NDJSON", len(rows))
    assert len(rows) > 0
    assert none["rows"] == 0
    assert facts["filter"] != none["filter"] and facts["filter"].startswith("sha256:")


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    """`| head` ends an export, a filter and a long text without a word."""
    pipeline = f'"{sys.executable}" -m service policy show | head -1'
    endless = f"""yes '{{"text": "x"}}' | "{sys.executable}" -m service policy try | head -2"""
    for line in (pipeline, endless):
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=PYTHON_PATH,
            timeout=60,
        )

        assert done.stdout
        assert done.stderr == ""


def test_a_terminal_gets_a_table(service: RunningService) -> None:
    """On a terminal a list has headings; in a pipe it has none."""
    script = f'"{sys.executable}" -m service accounts list --data "{service.data}"'
    done = subprocess.run(
        ["script", "-qec", script, "/dev/null"], check=False, capture_output=True, text=True, timeout=60
    )

    assert "account" in done.stdout
    assert "since" in done.stdout
    assert "account" not in service.command("accounts", "list").stdout


def test_an_unexpected_error_is_one_line(stopped: Path, tmp_path: Path) -> None:
    """What nobody foresaw is one line that leads to a report, and the report holds no message and no value."""
    breaking = tmp_path / "sitecustomize.py"
    breaking.write_text(
        "import asyncio\ndef run(_, work):\n    work.close()\n    raise LookupError('s3cr3t value')\n"
        "asyncio.Runner.run = run\n"
    )
    paths = {"PYTHONPATH": f"{tmp_path}:{PYTHON_PATH['PYTHONPATH']}", "TMPDIR": str(tmp_path)}

    done = fresh_command("status", "--data", str(stopped), environment=paths)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    report = Path(re.search(r"`(.*?)`", done.stderr)[1])
    assert report.parent == tmp_path
    assert "LookupError" in report.read_text()
    assert "s3cr3t" not in done.stderr + report.read_text()


def test_the_version_is_said() -> None:
    """`calledger --version` says which it is."""
    assert re.fullmatch(r"calledger \d+\.\d+\.\d+\S*\n", fresh_command("--version").stdout)


LOST_FILE = """
    INSERT INTO cold_file
        (tier, start_at, end_at, partition, name, rows, bytes, sha256, fingerprint, copied_at, frozen_at)
    VALUES (1, '2001-01-01', '2001-02-01', 'call_t1_20010101', 'call_t1_20010101-0.parquet', 1, 1, '\\x00', '', now(),
        now())
"""
"""A file that is listed, and nowhere."""


def execute(service: RunningService, statement: str) -> None:
    """Execute a statement in the database of a service."""

    async def once() -> None:
        connection = await asyncpg.connect((service.data / "database.url").read_text().strip())
        await connection.execute(statement)
        await connection.close()

    asyncio.run(once())


def test_files_are_written_anew_on_request(service: RunningService) -> None:
    """`cold forget` erases as `erase` does, goes on without an account, and refuses what names nobody. It exits with 1
    while an erasure waits for a file.
    """
    service.report(service.admin_key, call(5, user="u-17", account="globex"))
    done = command(service.data, "cold", "forget", "--account", "globex", "--user", "u-17", "--reason", "by letter")
    assert (done.returncode, done.stdout) == (0, "1 rows erased\n"), done.stderr
    assert command(service.data, "cold", "forget").returncode == 0
    execute(service, LOST_FILE)
    left = command(service.data, "cold", "forget", "--account", "globex", "--user", "u-18", "--reason", "by letter")
    assert (left.returncode, left.stdout) == (1, "0 rows erased, not all yet\n") and "has not ended" in left.stderr
    assert command(service.data, "cold", "forget").returncode == 1
    execute(service, "DELETE FROM cold_file")
    assert command(service.data, "cold", "forget").returncode == 0
    for wrong in (["--all"], ["--account", "globex", "--reason", "r"], ["--account", "globex", "--all"]):
        assert command(service.data, "cold", "forget", *wrong).returncode == 2
