"""LiteLLM's spend logs, from its PostgreSQL and over HTTP: rows in are rows out, once, and without content."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from conftest import PASSWORD, Server
from gateway_rows import CANARY, litellm_pairs
from importing import fetch, killed_import
from litellm_proxy import KEY, LATER, TABLE, SpendServer, add_rows, recorded, spent, table_of, total_of
from running import PYTHON_PATH, RunningService
from served import serving

BEGIN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)
LEAK: Final = "asks for the recipe of the house"
"""What the recorded prompts say."""


@pytest.fixture(scope="module")
def database(debian_15: Server) -> Iterator[str]:
    """LiteLLM's own database, in a PostgreSQL 15."""
    with debian_15.database() as url:
        yield url


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The password of the database, and the proxy's key, in files."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "password").write_text(PASSWORD)
    (folder / "key").write_text(f"{KEY}\n")
    return folder


def bare(url: str) -> str:
    return url.replace(f":{PASSWORD}", "")


def imported(service: RunningService, source: str, secret: Path, account: str, *more: str) -> Any:
    return service.command("import", "litellm", source, "--secret-file", str(secret), "--account", account, *more)


def sum_of(service: RunningService, account: str) -> tuple[int, Decimal]:
    """How many calls an account has, and the sum of the amounts that were reported: of a call that LiteLLM had no price
    for the amount is estimated here.
    """
    statement = """SELECT count(*) AS rows, coalesce(sum(amount) FILTER (WHERE amount_source = 2), 0) AS sum FROM call
        WHERE account_id = (SELECT id FROM account WHERE name = $1)"""
    row = fetch(service.data, statement, account)[0]
    return row["rows"], row["sum"]


TOLD: Final = ("model", "operation", "status", "streamed", "inputTokens", "outputTokens", "cacheHit", "errorType")
CALLS: Final = f"""{{ calls(filter: {{account: {{eq: "recorded"}}}}, orderBy: {{field: STARTED_AT, direction: ASC}}) {{
    nodes {{    {" ".join(TOLD)} servedModel apiKey team attempt error {{ code }} }} }} }}"""
EXPECTED: Final = [
    ("smart", "chat", "SUCCEEDED", None, 10, 20, None, None),
    ("fast", "chat", "SUCCEEDED", True, 17, 4, False, None),
    ("claude", "chat", "SUCCEEDED", None, 10, 20, None, None),
    ("claude", "chat", "SUCCEEDED", None, 2095, 503, None, None),
    ("smart", "responses", "SUCCEEDED", None, 36, 87, None, None),
    ("live", "chat", "SUCCEEDED", None, 120, 30, None, None),
    ("live", "chat", "SUCCEEDED", True, 120, 30, False, None),
    ("embed", "embeddings", "SUCCEEDED", None, 8, 0, None, None),
    ("smart", "chat", "SUCCEEDED", None, 10, 20, None, None),
    ("smart", "chat", "SUCCEEDED", None, 10, 20, True, None),
    ("fast", "chat", "SUCCEEDED", None, 10, 20, None, None),
    ("broken", "chat", "FAILED", None, 17, 0, False, "InternalServerError"),
    ("unknown-model", "chat", "FAILED", None, 0, 0, False, "ProxyModelNotFoundError"),
    ("smart", "chat", "SUCCEEDED", None, 10, 20, None, None),
]


def test_rows_of_a_proxy_are_the_same_calls_from_everywhere(
    service: RunningService, database: str, secrets: Path
) -> None:
    """What a proxy wrote of successes, streams, answers of its cache, tries that failed, refusals and embeddings: each
    row is a call, their sum is the table's, and what its two addresses give and its table once more are duplicates.
    """
    rows = recorded(BEGIN)
    asyncio.run(table_of(database, rows))
    first = imported(service, bare(database), secrets / "password", "recorded")
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    assert first.stdout.splitlines()[0] == f"{len(rows)} rows: {len(rows)} stored"
    assert sum_of(service, "recorded") == (len(rows), total_of(rows))
    calls = service.ask(service.admin_key, CALLS)["data"]["calls"]["nodes"]
    assert [tuple(call[name] for name in TOLD) for call in calls] == EXPECTED
    assert {call["apiKey"] for call in calls} == {"batch-jobs"} and {call["team"] for call in calls} == {"search"}
    assert [call["attempt"] for call in calls if call["servedModel"] == "gpt-4o-mini"] == [1, 2]
    assert [call["error"]["code"] for call in calls if call["error"]] == ["500", "400"]
    with serving(SpendServer(rows)) as proxy:
        for source, secret in (
            (bare(database), "password"),
            (proxy.url, "key"),
            (f"{proxy.url}/spend/logs", "key"),
        ):
            again = imported(service, source, secrets / secret, "recorded", "--since", f"{BEGIN:%Y-%m-%d}")
            assert again.stdout.splitlines()[0] == f"{len(rows)} rows: {len(rows)} duplicates", again.stdout
        alone = imported(service, proxy.url, secrets / "key", "over-http", "--since", f"{BEGIN:%Y-%m-%d}")
        assert alone.stdout.splitlines()[0] == f"{len(rows)} rows: {len(rows)} stored"
        difference = service.command(
            *("reconcile", proxy.url, "--from", "litellm", "--secret-file", str(secrets / "key")),
            *("--account", "recorded", "--since", f"{BEGIN:%Y-%m-%d}", "--until", f"{datetime.now(UTC):%Y-%m-%d}"),
        )
        assert "compared by their ids: 0 differ" in difference.stdout, difference.stdout + difference.stderr
    assert sum_of(service, "over-http") == sum_of(service, "recorded")
    everything = service.everything_on_disk()
    assert CANARY.encode() not in everything and LEAK.encode() not in everything
    assert PASSWORD not in service.log.read_text() and KEY not in service.log.read_text()


def test_rows_of_one_moment_and_of_many_pages(service: RunningService, database: str, secrets: Path) -> None:
    """Thousands of rows, many of one millisecond, killed behind a page and gone on: each is there once."""
    rows = [spent(f"many-{number:05d}", BEGIN + timedelta(milliseconds=number // 700)) for number in range(3_000)]
    asyncio.run(table_of(database, rows))
    environment = {"CALLEDGER_SOURCE_SECRET": PASSWORD}
    saved = killed_import(service.data, "litellm", bare(database), "--account", "many", environment=environment)
    done = imported(service, bare(database), secrets / "password", "many")
    assert done.returncode == 0, done.stderr
    assert 0 < saved < 3_000
    assert sum_of(service, "many") == (3_000, Decimal("0.000225") * 3_000)


def test_tables_of_last_year_and_tables_of_others(service: RunningService, database: str, secrets: Path) -> None:
    """Without the newer columns rows are read by what is there; without one that is needed the table is named."""
    rows = [spent(f"old-{number}", BEGIN + timedelta(seconds=number)) for number in range(20)]
    asyncio.run(table_of(database, [{k: v for k, v in row.items() if k not in LATER} for row in rows], without=LATER))
    done = imported(service, bare(database), secrets / "password", "old")
    assert done.stdout.splitlines()[0] == "20 rows: 20 stored", done.stderr
    asyncio.run(table_of(database, [], without=frozenset({"spend", "metadata"})))
    changed = imported(service, bare(database), secrets / "password", "old", "--restart")
    assert "the table `LiteLLM_SpendLogs` has no `spend`, `metadata`" in changed.stderr
    for source, words in (
        ("sqlite:///x.db", "is in PostgreSQL"),
        ("mysql://a@127.0.0.1/b", "is in PostgreSQL"),
        (f"{bare(database)}_none", "does not answer"),
    ):
        refused = imported(service, source, secrets / "password", "old")
        assert refused.returncode == 1 and words in refused.stderr


def test_long_and_odd_metadata_costs_itself(service: RunningService, database: str, secrets: Path) -> None:
    """Ten megabytes of metadata, or a list in its place, leave what the columns say, with a warning; rows around them
    are whole, and a failed call's prompt of megabytes is looked for in its error and stored nowhere.
    """
    prompt = "tell kanarie a story of long ago and of the sea"
    failed = {"status": "failure", "error_information": {"error_class": "BadRequest", "error_message": f"no: {prompt}"}}
    rows = [
        spent("whole-1", BEGIN),
        spent("long", BEGIN + timedelta(seconds=1), metadata={"spend_logs_metadata": {"note": "y" * 10_000_000}}),
        spent("listed", BEGIN + timedelta(seconds=2), metadata=[1, 2]),
        spent(
            "failed",
            BEGIN + timedelta(seconds=3),
            status="failure",
            spend=0.0,
            metadata=failed,
            messages=[{"role": "user", "content": f"{prompt} {'z' * 3_000_000}"}],
        ),
        spent("whole-2", BEGIN + timedelta(seconds=4)),
    ]
    asyncio.run(table_of(database, rows))
    tried = imported(service, bare(database), secrets / "password", "odd", "--try")
    shown = [json.loads(line) for line in tried.stdout.splitlines()]
    assert ["metadata" in " ".join(one.get("warnings", [])) for one in shown] == [False, True, True, False, False]
    keys = [one["call"]["api_key"] for one in shown]
    assert keys == ["batch-jobs", *["key-88dc28d0f030"] * 3, "batch-jobs"]
    assert shown[3]["call"]["error"]["type"] == "BadRequest" and "kanarie" not in tried.stdout
    done = imported(service, bare(database), secrets / "password", "odd")
    assert done.stdout.splitlines()[0] == "5 rows: 5 stored", done.stdout + done.stderr
    assert sum_of(service, "odd") == (5, total_of(rows))
    assert b"kanarie" not in service.everything_on_disk()


def test_a_source_finds_rows_of_calls_that_took_long(service: RunningService, database: str, secrets: Path) -> None:
    """Pulled again, a row is found that came in under a time that was read already, and each row is there once."""
    asyncio.run(
        table_of(database, [spent(f"pull-{number}", BEGIN + timedelta(minutes=number)) for number in range(60)])
    )
    added = service.command(
        *("sources", "add", "litellm", "litellm", bare(database), "--account", "pulled", "--every", "160h"),
        *("--secret-file", str(secrets / "password")),
    )
    assert added.returncode == 0, added.stderr

    def pulled() -> tuple[int, Decimal]:
        for _ in range(100):
            done = service.command("pull", "litellm")
            if not done.stdout.endswith("reads it just now\n"):
                break
        assert done.returncode == 0, done.stderr
        return sum_of(service, "pulled")

    async def late(*moments: datetime) -> None:
        connection = await asyncpg.connect(database)
        await add_rows(connection, [spent(f"late-{moment}", moment) for moment in moments])
        await connection.close()

    assert pulled()[0] == 60
    last = BEGIN + timedelta(minutes=59)
    asyncio.run(late(last - timedelta(minutes=3), last + timedelta(minutes=1)))
    assert pulled()[0] == 62
    asyncio.run(late(last - timedelta(minutes=1)))
    assert pulled()[0] == 63
    asyncio.run(_break(database))
    assert service.command("pull", "litellm").returncode == 1
    assert "has no `spend`" in service.command("sources", "list").stdout


async def _break(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f'ALTER TABLE "{TABLE}" RENAME COLUMN spend TO cost')
    await connection.close()


def test_an_import_outlives_the_process_that_reads_for_it(service: RunningService, tmp_path: Path) -> None:
    """Its process is killed in the middle: the import goes on without it, and every row is there once."""
    row = litellm_pairs()[0]["row"]
    source = tmp_path / "spend.ndjson"
    with source.open("w") as file:
        for number in range(12_000):
            names = {"request_id": f"r-{number}", "litellm_call_id": f"c-{number}"}
            file.write(json.dumps(row | names) + "\n")
    command = [sys.executable, "-m", "service", "import", "litellm", str(source), "--account", "alone"]
    process = subprocess.Popen(
        [*command, "--data", str(service.data)], env={**os.environ, **PYTHON_PATH}, stdout=subprocess.PIPE, text=True
    )
    with process:
        os.kill(child_of(process), signal.SIGKILL)
        said = process.communicate(timeout=120)[0]

    assert (process.returncode, said.splitlines()[0]) == (0, "12,000 rows: 12,000 stored")
    assert sum_of(service, "alone") == (12_000, 12_000 * round(Decimal(str(row["spend"])), 12))


def child_of(process: "subprocess.Popen[str]") -> int:
    """The process that the import has started, as soon as it has."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.005)
    raise AssertionError("it has started none")
