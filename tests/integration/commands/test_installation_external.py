"""A ledger in a PostgreSQL of the operator's: the oldest that is supported, and a role that may do little."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import PASSWORD, Server
from running import RunningService, command, printed


@pytest.fixture
def plain_owner_url(debian_15: Server) -> Iterator[str]:
    """A database whose owner may make no roles, on a server where nobody has made ours for him."""
    name = f"plain_{secrets.token_hex(6)}"
    debian_15.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'", f"CREATE DATABASE {name} TEMPLATE template0 OWNER {name}"
    )
    try:
        yield debian_15.url(name, user=name)
    finally:
        debian_15.execute(f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


def reports_and_reads(data: Path, url: str) -> RunningService:
    """Start on `url`, report a call and a failure, and read them back in every way."""
    service = RunningService(data, environment={"CALLEDGER_DATABASE_URL": url})
    now = datetime.now(UTC).isoformat()
    call = {"id": "req-1", "started_at": now, "account": "acme", "model": "m", "status": "succeeded"}
    error = {"type": "Timeout", "message": "jane@example.com waited"}
    answer = service.report(service.admin_key, call, call | {"id": "req-2", "status": "failed", "error": error})
    assert answer["accepted"] == 2
    partner = service.ask(service.admin_key, "{ calls { totalCount } errors { nodes { message } } }")["data"]
    assert partner["calls"]["totalCount"] == 2
    assert partner["errors"]["nodes"] == [{"message": "[redacted:email] waited"}]
    return service


def test_the_oldest_server_carries_everything(debian_15: Server, tmp_path: Path) -> None:
    """On PostgreSQL 15 with an owner who may make roles, a ledger has all its protections, and every command works."""
    with debian_15.database() as url:
        service = reports_and_reads(tmp_path / "data", url)
        status = printed(service.data, url, "status")
        assert "PostgreSQL 15" in status
        assert "CALLEDGER_DATABASE_URL" in status
        assert "protection missing" not in status
        assert "FAIL" not in printed(service.data, url, "fsck")
        assert len(printed(service.data, url, "export", "calls").splitlines()) == 2
        assert PASSWORD not in status
        service.stop()
        assert not (service.data / "postgres").exists()


def test_an_owner_who_may_make_no_roles(plain_owner_url: str, tmp_path: Path) -> None:
    """With a role that may not make others everything works, and `status` and the log name the missing protections."""
    service = reports_and_reads(tmp_path / "data", plain_owner_url)

    missing = [
        line for line in printed(service.data, plain_owner_url, "status").splitlines() if "protection missing" in line
    ]
    assert any("row-level security does not guard queries" in line for line in missing)
    assert "a protection is missing" in service.log.read_text()
    key = printed(service.data, plain_owner_url, "keys", "create", "--role", "partner", "--account", "acme").strip()
    rows = service.ask(key, "{ calls { nodes { account } } }")["data"]["calls"]["nodes"]
    assert rows == [{"account": "acme"}] * 2
    assert "FAIL" not in printed(service.data, plain_owner_url, "fsck")
    assert "nothing" in printed(service.data, plain_owner_url, "purge")
    service.stop()


def test_a_reader_makes_nothing_in_an_empty_database(debian_15: Server, tmp_path: Path) -> None:
    """A command that reads refuses a database without a ledger, and leaves it empty."""
    with debian_15.database() as url:
        done = command(tmp_path / "data", "status", environment={"CALLEDGER_DATABASE_URL": url})

        assert done.returncode == 1
        assert "there is no ledger in the database of CALLEDGER_DATABASE_URL yet" in done.stderr
        assert not (tmp_path / "data").exists()


def test_a_new_directory_is_not_given_new_keys(debian_15: Server, tmp_path: Path) -> None:
    """A ledger's database with an empty data directory is refused: its keys are elsewhere, and none are made."""
    with debian_15.database() as url:
        reports_and_reads(tmp_path / "data", url).stop()
        done = command(tmp_path / "new", "status", environment={"CALLEDGER_DATABASE_URL": url})

        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "keyring" in done.stderr
        assert not (tmp_path / "new" / "kek").exists()


def test_the_log_holds_no_password(debian_15: Server, tmp_path: Path) -> None:
    """What the service logs on a server of the operator's is JSON, one event a line, and without the password."""
    with debian_15.database() as url:
        service = reports_and_reads(tmp_path / "data", url)
        service.stop()

    events = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert [event for event in events if event["level"] not in ("info", "warning")] == []
    assert PASSWORD not in service.log.read_text()
