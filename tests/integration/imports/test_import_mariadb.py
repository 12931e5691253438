"""`calledger import new-api` and `one-api` from a real MariaDB, by a user who may only read."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from importing import fetch
from mariadb import PASSWORD, MariaDb, running_mariadb
from newapi import NOW, SCHEMAS, consumed, rows
from running import RunningService

ASKED: Final = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE user_host LIKE 'reader%'"


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    if shutil.which("mariadbd") is None:
        pytest.skip("no MariaDB here: `make test` installs it where apt-get is there")
    with running_mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


def sums(service: RunningService, account: str) -> tuple[int, str]:
    statement = """
        SELECT count(*) AS rows, trim_scale(coalesce(sum(amount), 0))::text AS sum FROM call
        WHERE account_id = (SELECT id FROM account WHERE name = $1)
    """
    found = fetch(service.data, statement, account)[0]
    return found["rows"], found["sum"]


@pytest.mark.parametrize("schema", ["new-api 0.6", "new-api 1.0", "one-api 0.6.10"])
def test_a_table_of_mariadb_is_read(service: RunningService, mariadb: MariaDb, secret: str, schema: str) -> None:
    """Every call is stored, Chinese texts and booleans as numbers among them; a second import brings duplicates."""
    form = schema.split()[0]
    log = [row for row in rows(2_300) if form == "new-api" or row["type"] != 5]
    mariadb.table(SCHEMAS[schema], log)
    arguments = ("import", form, mariadb.address, "--account", schema, "--secret-file", secret)
    first = service.command(*arguments)
    assert first.returncode == 0, first.stderr + first.stdout
    calls = [row for row in log if row["type"] in (2, 5)]
    quota = sum(row["quota"] for row in calls if row["type"] == 2)
    assert sums(service, schema) == (len(calls), f"{quota / 500_000:.6f}".rstrip("0"))
    assert f"{len(calls):,} duplicates" in service.command(*arguments).stdout


def test_only_what_is_newer_is_read(service: RunningService, mariadb: MariaDb, secret: str) -> None:
    """`--since` finds its first row by halves, and leaves out what began before."""
    log = [consumed(id_, created_at=NOW - 800_000 + id_ * 100, use_time=0) for id_ in range(1, 6_001)]
    mariadb.table(SCHEMAS["new-api 1.0"], log)
    since = datetime.fromtimestamp(NOW - 300_000, UTC).isoformat()
    arguments = ("import", "new-api", mariadb.address, "--account", "newer", "--secret-file", secret, "--since", since)
    done = service.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert sums(service, "newer")[0] == 1_001
    read = int(done.stdout.split()[0].replace(",", ""))
    assert 1_001 <= read <= 1_001 + 36
    assert "36 from before `--since`" in done.stdout


def test_what_is_wrong_is_named_without_the_password(
    service: RunningService, mariadb: MariaDb, secret: str, tmp_path: Path
) -> None:
    """A wrong password, a table that is gone, a column that is gone and one of another type: a line each, and nothing
    is lost of what was read before."""
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong-password-8812")
    arguments = ("import", "new-api", mariadb.address, "--account", "wrong", "--secret-file")
    refused = service.command(*arguments, str(wrong))
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    assert "8812" not in refused.stderr + refused.stdout
    mariadb.execute("DROP TABLE IF EXISTS logs")
    assert "there is no table `logs`" in service.command(*arguments, secret).stderr
    mariadb.table(SCHEMAS["new-api 1.0"], [consumed(id_) for id_ in range(1, 21)])
    assert service.command(*arguments, secret).returncode == 0
    mariadb.execute("ALTER TABLE logs CHANGE quota cost bigint")
    assert "has no `quota`" in service.command(*arguments, secret).stderr
    mariadb.execute("ALTER TABLE logs CHANGE cost quota varchar(20)", "UPDATE logs SET quota = 'many' WHERE id > 15")
    changed = service.command(*arguments, secret)
    assert changed.returncode == 1
    assert "15 duplicates, 5 refused" in changed.stdout
    assert sums(service, "wrong")[0] == 20


def test_nothing_is_written_to_it(service: RunningService, mariadb: MariaDb, secret: str) -> None:
    """A session of an import says that it only reads, whatever its user may do, and asks for rows alone."""
    mariadb.table(SCHEMAS["new-api 1.0"], [consumed(1)])
    mariadb.execute("SET GLOBAL general_log = 'ON', GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log")
    done = service.command("import", "new-api", mariadb.address, "--account", "read", "--secret-file", secret, "--try")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["outcome"] == "stored"
    mariadb.execute("SET GLOBAL general_log = 'OFF'")
    asked = mariadb.fetch(
        "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE user_host LIKE 'reader%'"
    )
    statements = [text for (text,) in asked if not text.startswith(("reader@", "SET AUTOCOMMIT", "SET NAMES"))]
    assert statements[0] == "SET SESSION TRANSACTION READ ONLY"
    assert {text.split()[0] for text in statements[1:] if text} == {"SELECT"}
