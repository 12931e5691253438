"""`calledger import` of files: the one way in, resumed wherever it ended, and duplicates only the second time."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from importing import fetch, killed_import
from running import RunningService, command

CANARY: Final = "zebra-quartz-4417-prompt"
NOW: Final = datetime.now(UTC)


def call(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{name}-{number}",
        "started_at": (NOW - timedelta(seconds=number)).isoformat(timespec="milliseconds"),
        "model": "gpt-4o",
        "status": "succeeded",
        "amount": "0.25",
        "currency": "USD",
    } | more


def written(path: Path, calls: list[Any]) -> str:
    path.write_bytes(gzip.compress(b"\n".join(json.dumps(one).encode() for one in calls)))
    return str(path)


def stored(service: RunningService, name: str) -> tuple[int, int]:
    """How many calls there are whose id begins so, and their sum."""
    row = fetch(service.data, "SELECT count(*), sum(amount) FROM call WHERE source_id LIKE $1 || '-%'", name)[0]
    return row["count"], int(row["sum"])


def test_what_is_imported_twice_is_stored_once(service: RunningService, tmp_path: Path) -> None:
    """The first time all is new, the second time all is known; reported over HTTP it is the same call."""
    calls = [call("twice", number) for number in range(2_500)]
    path = written(tmp_path / "calls", calls)
    first = service.command("import", "native", path, "--account", "imported")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == ["2,500 rows: 2,500 stored", "amount new: 625 USD"]
    second = service.command("import", "native", path, "--account", "imported")
    assert second.stdout.splitlines() == ["2,500 rows: 2,500 duplicates", "amount known before: 625 USD"]
    answer = service.report(service.new_key("ingest", "imported"), *calls[:3])
    assert (answer["duplicates"], answer["accepted"]) == (3, 0)
    assert stored(service, "twice") == (2_500, 625)
    assert not fetch(service.data, "SELECT FROM import_checkpoint")


def test_what_was_killed_goes_on(service: RunningService, tmp_path: Path) -> None:
    """Killed behind any page, it goes on behind what it had saved, and in the end each row is stored once."""
    path = written(tmp_path / "calls", [call("killed", number) for number in range(20_000)])
    saved = killed_import(service.data, "native", path)
    done = service.command("import", "native", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{20_000 - saved:,} rows: ")
    assert stored(service, "killed") == (20_000, 5_000)
    assert service.command("fsck").returncode == 0


def test_restart_begins_anew(service: RunningService, tmp_path: Path) -> None:
    """With `--restart` all rows are read again, although an import of the file was broken off."""
    path = written(tmp_path / "calls", [call("restart", number) for number in range(20_000)])
    killed_import(service.data, "native", path)
    done = service.command("import", "native", path, "--restart")
    assert done.stdout.startswith("20,000 rows: "), done.stderr
    assert stored(service, "restart") == (20_000, 5_000)


def test_a_cut_file_keeps_what_is_before(service: RunningService, tmp_path: Path) -> None:
    """Rows before the damage are stored, the command says what is wrong, and the whole file later brings the rest."""
    whole = [call("cut", number, tags={"a": str(number * 7919)}) for number in range(6_000)]
    path = tmp_path / "calls"
    written(path, whole)
    path.write_bytes(path.read_bytes()[:-2_000])
    done = service.command("import", "native", str(path))
    assert done.returncode == 1
    assert "gzip ends too early" in done.stderr
    count, _ = stored(service, "cut")
    assert 2_000 <= count < 6_000
    assert service.command("import", "native", written(path, whole)).returncode == 0
    assert stored(service, "cut") == (6_000, 1_500)


def test_refused_rows_are_counted_and_named(service: RunningService, tmp_path: Path) -> None:
    """A bad row costs itself: it is in the summary with its reason, in `ingestReport`, and makes the exit code 1."""
    rows = [
        call("bad", 1),
        call("bad", 2, status="maybe"),
        "nonsense",
        call("bad", 3, started_at="2001-01-01T00:00:00Z"),
    ]
    done = service.command("import", "native", written(tmp_path / "calls", rows))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "calledger: 3 rows were refused: what is above says why"
    lines = done.stdout.splitlines()
    assert lines[0] == "4 rows: 1 stored, 3 refused"
    assert 'refused: 1 field_invalid, such as row 2: `status` must be `succeeded` or `failed`, not `"maybe"`' in lines
    assert any(line.startswith("refused: 1 too_old") for line in lines)
    query = "query ($since: DateTime!) { ingestReport(since: $since) { rows { source reason refused } } }"
    report = service.ask(service.admin_key, query, since=(NOW - timedelta(hours=1)).isoformat())
    assert {"source": "native", "reason": "TOO_OLD", "refused": "1"} in report["data"]["ingestReport"]["rows"]


@pytest.mark.parametrize("form", ["native", "litellm"])
def test_content_is_never_stored(service: RunningService, tmp_path: Path, form: str) -> None:
    """Of prompts and answers, and of their echoes in an error's text, nothing is on disk, and `--try` shows none."""
    message = f"bad request: the prompt {CANARY}-{form} was not understood"
    content = {"messages": [{"role": "user", "content": f"{CANARY}-{form}"}], "anything": f"{CANARY}-{form} again"}
    native = call("canary", 1, status="failed", error={"type": "BadRequest", "message": message}) | content
    payload = {
        "litellm_call_id": "canary-2",
        "startTime": (NOW - timedelta(hours=1)).timestamp(),
        "endTime": NOW.timestamp(),
        "status": "failure",
        "model": "gpt-4o",
        "error_information": {"error_class": "BadRequest", "error_message": message},
    } | content
    path = written(tmp_path / "calls", [native if form == "native" else payload])
    tried = service.command("import", form, path, "--try")
    assert tried.returncode == 0, tried.stderr
    shown = json.loads(tried.stdout)
    assert shown["call"]["error"]["type"] == "BadRequest"
    assert shown["dropped"]["messages"] == 1
    assert CANARY not in tried.stdout
    assert not fetch(
        service.data, "SELECT FROM call WHERE source_id = $1", "canary-1" if form == "native" else "canary-2"
    )
    assert service.command("import", form, path).returncode == 0
    assert fetch(service.data, "SELECT FROM call WHERE source_id LIKE 'canary-%'")
    assert f"{CANARY}-{form}".encode() not in service.everything_on_disk()


def test_the_account_is_one_that_may_be(service: RunningService, tmp_path: Path) -> None:
    """An account is named by what no credential or address is; a native row that names another one is refused."""
    path = written(tmp_path / "calls", [call("account", 1, account="other")])
    refused = service.command("import", "native", path, "--account", "jane.doe@example.com")
    assert refused.returncode == 1
    assert "an account cannot be called" in refused.stderr
    done = service.command("import", "native", path, "--account", "mine")
    assert done.returncode == 1
    assert "account_not_allowed" in done.stdout


def test_an_import_needs_a_ledger(tmp_path: Path) -> None:
    """A mistyped `--data` is named, and no ledger is made there."""
    path = written(tmp_path / "calls", [call("none", 1)])
    done = command(tmp_path / "none", "import", "native", path)
    assert done.returncode == 1
    assert "there is no ledger" in done.stderr
    wrong = command(tmp_path / "none", "import", "nativ", path)
    assert wrong.returncode == 2
