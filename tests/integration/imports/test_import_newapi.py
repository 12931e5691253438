"""`calledger import new-api` and `one-api` from real databases of their versions, and from CSV of the same rows."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from conftest import PASSWORD, Server
from importing import fetch, killed_import
from newapi import CANARY, SCHEMAS, consumed, failed, postgres_of, rows, sqlite_of
from running import RunningService

PER_UNIT: Final = 500_000
SECRET: Final = "only-in-the-environment-7731"


@pytest.fixture(scope="module")
def gateway(embedded_18: Server) -> Iterator[str]:
    """A gateway's own database."""
    with embedded_18.database() as url:
        yield url


def sum_of(service: RunningService, account: str) -> tuple[int, Decimal]:
    """How many calls and corrections an account has, and the sum of their amounts."""
    found = fetch(
        service.data,
        """SELECT count(*) AS rows, coalesce(sum(amount), 0) AS sum FROM call
           WHERE account_id = (SELECT id FROM account WHERE name = $1)""",
        account,
    )[0]
    return found["rows"], found["sum"]


def billed(log: list[dict[str, Any]]) -> Decimal:
    """What the gateway's own statement says: the sum of quota of calls, less refunds."""
    signs = {2: 1, 6: -1}
    return Decimal(sum(row["quota"] * signs.get(row["type"], 0) for row in log)) / PER_UNIT


VERSIONS: Final = [("sqlite", schema) for schema in SCHEMAS]
VERSIONS += [("postgresql", "new-api 1.0"), ("postgresql", "one-api 0.6.10")]


@pytest.mark.parametrize(("database", "schema"), VERSIONS)
def test_each_version_s_table_is_read(
    service: RunningService, gateway: str, tmp_path: Path, schema: str, database: str
) -> None:
    """Every call of the table is stored and the sum is the table's; a second import brings duplicates only."""
    form = schema.split()[0]
    log = [row for row in rows(300) if form == "new-api" or row["type"] != 5]
    if database == "sqlite":
        source, secret = sqlite_of(tmp_path / "one.db", schema, log), ""
    else:
        asyncio.run(postgres_of(gateway, schema, log))
        source, secret = gateway.replace(f":{PASSWORD}", ""), PASSWORD
    (tmp_path / "secret").write_text(secret + "\n")
    account = f"{schema} {database}"
    arguments = ("import", form, source, "--account", account, "--secret-file", str(tmp_path / "secret"))
    first = service.command(*arguments)
    assert first.returncode == 0, first.stderr + first.stdout
    calls = [row for row in log if row["type"] in (2, 5)]
    assert sum_of(service, account) == (len(calls), billed(log))
    assert f"amount new: {billed(log)} USD" in first.stdout.splitlines()
    assert first.stdout.startswith(f"{len(log)} rows: {len(calls)} stored, {len(log) - len(calls)} skipped")
    assert "skipped: 15 a top-up, and no call" in first.stdout.splitlines()
    second = service.command(*arguments)
    assert second.stdout.startswith(f"{len(log)} rows: {len(calls)} duplicates, {len(log) - len(calls)} skipped")
    assert sum_of(service, account) == (len(calls), billed(log))


def test_refunds_are_corrections_of_their_calls(service: RunningService, tmp_path: Path) -> None:
    """The net amount of a task is what was charged at last, and the sum is the gateway's."""
    log = [
        consumed(1, quota=2_000, other={"is_task": True, "task_id": "task_one"}),
        consumed(2, quota=3_000, other={"is_task": True, "task_id": "task_two"}),
        consumed(3, type=6, quota=500, other={"task_id": "task_one", "reason": "差额结算"}),
        consumed(4, quota=700, other={"task_id": "task_two", "actual_quota": 3_700}),
        consumed(5, type=6, quota=90, other={"task_id": "task_lost"}),
    ]
    source = sqlite_of(tmp_path / "tasks.db", "new-api 1.0", log)
    done = service.command("import", "new-api", source, "--account", "tasks")
    assert done.returncode == 1
    assert "refused: 1 correction_invalid" in done.stdout
    assert sum_of(service, "tasks") == (4, billed(log[:4]))
    query = """{ calls(filter: {account: {eq: "tasks"}, isCorrection: {eq: false}}) { nodes {
        sourceId netAmount { amount } corrections { amount { amount } } } } }"""
    calls = service.ask(service.admin_key, query)["data"]["calls"]["nodes"]
    net = {call["sourceId"]: Decimal(call["netAmount"]["amount"]) for call in calls}
    assert net == {"task_one": Decimal("0.003"), "task_two": Decimal("0.0074")}


def test_csv_of_the_table_is_the_same_calls(service: RunningService, tmp_path: Path) -> None:
    """Rows that came from the database come again as CSV: each is known."""
    log = list(rows(60))
    source = sqlite_of(tmp_path / "logs.db", "new-api 1.0", log)
    assert service.command("import", "new-api", source, "--account", "ways").returncode == 0
    with (tmp_path / "logs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows({**row, "is_stream": "t"} for row in log)
    done = service.command("import", "new-api", str(tmp_path / "logs.csv"), "--account", "ways")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("60 rows: 54 duplicates, 6 skipped")


def test_what_was_killed_goes_on(service: RunningService, tmp_path: Path) -> None:
    """An import of a database that was killed behind any page has every row once in the end."""
    log = [consumed(id_) for id_ in range(1, 12_001)]
    source = sqlite_of(tmp_path / "long.db", "new-api 1.0", log)
    saved = killed_import(service.data, "new-api", source, "--account", "killed")
    done = service.command("import", "new-api", source, "--account", "killed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{12_000 - saved:,} rows: ")
    assert sum_of(service, "killed") == (12_000, billed(log))


def test_nothing_of_content_addresses_and_keys_is_stored(service: RunningService, tmp_path: Path) -> None:
    """Bill notes, a fork's column with the prompt, its echo in an error, IP addresses and keys: none is on disk."""
    log = [
        consumed(1) | {"prompt_text": f"tell {CANARY}-one a story of long ago"},
        failed(2, content=f"upstream said: cannot tell {CANARY}-two a story of long ago, key sk-proj-{'Xy7' * 16}")
        | {"prompt_text": f"tell {CANARY}-two a story of long ago"},
        failed(3),
    ]
    lines = tmp_path / "logs.ndjson"
    lines.write_text("\n".join(json.dumps(row) for row in log))
    tried = service.command("import", "new-api", str(lines), "--account", "canary", "--try")
    assert tried.returncode == 0, tried.stderr
    shown = [json.loads(line) for line in tried.stdout.splitlines()]
    assert [one["outcome"] for one in shown] == ["stored"] * 3
    assert shown[0]["call"]["user"] == "[pseudonym]"
    assert shown[0]["dropped"] == {"content": 1, "ip": 1, "unknown": 1}
    assert shown[2]["call"]["error"]["message"].startswith("status_code=403, 用户额度不足")
    source = sqlite_of(tmp_path / "fork.db", "new-api of tomorrow", log)
    assert service.command("import", "new-api", source, "--account", "canary").returncode == 0
    assert service.command("import", "new-api", str(lines), "--account", "canary").stdout.startswith("3 rows: 3 dupl")
    disk = service.everything_on_disk()
    for secret in (CANARY, "Xy7Xy7Xy7", "Ab3Ab3Ab3", "203.0.113.77", "jane-of-acme"):
        assert secret not in tried.stdout
        assert secret.encode() not in disk, secret


def test_a_password_is_never_shown(service: RunningService, gateway: str, tmp_path: Path) -> None:
    """It is not taken from the command line, and no error and no log repeats it."""
    asyncio.run(postgres_of(gateway, "new-api 1.0", [consumed(1)]))
    with_password = service.command("import", "new-api", gateway)
    assert with_password.returncode == 1
    assert "holds a password" in with_password.stderr
    (tmp_path / "secret").write_text(SECRET)
    bare = gateway.replace(f":{PASSWORD}", "")
    wrong = service.command("import", "new-api", bare, "--secret-file", str(tmp_path / "secret"))
    assert wrong.returncode == 1
    assert "does not answer (InvalidPasswordError)" in wrong.stderr
    for said in (with_password.stderr, wrong.stderr, service.log.read_text()):
        assert PASSWORD not in said
        assert SECRET not in said


def test_a_wrong_table_is_named(service: RunningService, gateway: str, tmp_path: Path) -> None:
    """A database without the table, or with another program's of that name, a missing file and a wrong scheme."""
    empty = sqlite_of(tmp_path / "other.db", "new-api 1.0", [])
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("DROP TABLE logs")
    for source, words in (
        (empty, "there is no table `logs`"),
        (f"sqlite:///{tmp_path}/nothing.db", "unable to open"),
        ("oracle://x/y", "is no source"),
        ("postgresql://nobody@127.0.0.1:1/none", "does not answer"),
    ):
        done = service.command("import", "new-api", source)
        assert done.returncode == 1
        assert words in done.stderr, done.stderr
    options = service.command("import", "litellm", "x", "--quota-per-unit", "5")
    assert options.returncode == 2
    assert "means nothing for `litellm`" in options.stderr
