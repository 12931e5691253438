"""`calledger export` to files, and `calledger verify` of what it wrote."""

import csv
import gzip
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from running import PYTHON_PATH, RunningService, command

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
COUNT = 3_500


def call(number: int) -> dict[str, Any]:
    return {
        "id": f"=req-{number}", "started_at": (START + timedelta(seconds=number)).isoformat(),
        "model": f"m-{number % 3}", "status": "succeeded", "amount": "0.25", "currency": "USD", "input_tokens": number,
    }  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("export") / "data")
    key = running.new_key("ingest", "acme")
    for begin in range(0, COUNT, 500):
        answer = running.report(key, *(call(number) for number in range(begin, begin + 500)))
        assert answer["accepted"] == 500
    yield running
    running.stop()


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


@pytest.mark.parametrize(("form", "more"), [("csv", ()), ("csv", ("--gzip",)), ("ndjson", ()), ("parquet", ())])
def test_a_file_comes_with_a_manifest_that_verifies_it(
    service: RunningService, tmp_path: Path, form: str, more: tuple[str, ...]
) -> None:
    """Every row once; `verify` says size, digest and rows, and finds a changed byte, a lost row and another file."""
    path = tmp_path / f"calls.{form}"
    done = service.command("export", "calls", "--format", form, "-o", str(path), *more)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.manifest.json"]
    body = path.read_bytes()
    plain = gzip.decompress(body) if more else body
    ids = (
        [row["sourceId"] for row in table(plain)] if form == "csv"
        else [json.loads(line)["sourceId"] for line in plain.splitlines()] if form == "ndjson"
        else pq.read_table(path)["sourceId"].to_pylist()
    )  # fmt: skip
    mark = "'" if form == "csv" else ""
    assert ids == [f"{mark}=req-{number}" for number in range(COUNT)]

    checked = command(tmp_path, "verify", str(path))
    assert (checked.returncode, f"{COUNT} rows of CALLS" in checked.stdout) == (0, True), checked.stderr
    path.write_bytes(body[:-9] + b"!" + body[-8:])
    changed = command(tmp_path, "verify", str(path))
    assert (changed.returncode, "was changed" in changed.stderr) == (1, True)
    path.write_bytes(body[:-30])
    assert "bytes, and the manifest is of" in command(tmp_path, "verify", str(path)).stderr
    path.write_bytes(body)
    manifest = path.with_name(path.name + ".manifest.json")
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": 3500', b'"rows": 3501'))
    assert "has 3500 rows" in command(tmp_path, "verify", str(path)).stderr
    manifest.write_text("{}")
    assert "is no manifest" in command(tmp_path, "verify", str(path)).stderr


def test_what_was_broken_off_goes_on_where_it_was(service: RunningService, tmp_path: Path) -> None:
    """Killed in the middle, even of a row, and gone on with: the file is byte by byte the one without the kill."""
    whole, path = tmp_path / "whole.csv", tmp_path / "calls.csv"
    until = ("--until", (START + timedelta(days=1)).isoformat(), "--format", "csv")
    assert service.command("export", "calls", "-o", str(whole), *until).returncode == 0
    script = (
        "import sys, time; from service.commands.data import export_file; export_file._SAVE_S = 0.0\n"
        "save = export_file._Part.save\n"
        "def slow(self, *given):\n    save(self, *given); print('saved', flush=True); time.sleep(5)\n"
        "export_file._Part.save = slow\nfrom service.__main__ import main\n"
        "sys.argv = ['calledger', *sys.argv[1:]]; main()"
    )
    arguments = ["export", "calls", "-o", str(path), *until, "--data", str(service.data)]
    child = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env=PYTHON_PATH, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "saved\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    part = tmp_path / "calls.csv.part"
    with part.open("ab") as file:
        file.write(b"half of a row that was not counte")
    assert not path.exists()

    again = service.command("export", "calls", "-o", str(path), *until)
    assert (again.returncode, "--resume" in again.stderr) == (1, True)
    other = service.command("export", "calls", "-o", str(path), "--resume", "--format", "csv")
    assert (other.returncode, "other options" in other.stderr) == (1, True)
    resumed = service.command("export", "calls", "-o", str(path), "--resume", *until)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        [whole.name, path.name, f"{whole.name}.manifest.json", f"{path.name}.manifest.json"]
    )
    assert command(tmp_path, "verify", str(path)).returncode == 0
    assert "is there already" in service.command("export", "calls", "-o", str(path), *until).stderr
    nothing = service.command("export", "calls", "-o", str(tmp_path / "x.csv"), "--resume", *until)
    assert (nothing.returncode, "nothing to go on with" in nothing.stderr) == (1, True)


def test_costs_and_charges_by_command(service: RunningService) -> None:
    """In another grouping, by local months; FOCUS adds up to the same."""
    options = ("--by", "model", "--bucket", "month", "--time-zone", "Europe/Vienna", "--format", "csv")
    rows = table(service.command("export", "costs", *options).stdout.encode())
    assert {row["key.model"] for row in rows} == {"m-0", "m-1", "m-2"}
    assert "key.account" not in rows[0]
    assert sum(float(row["amount.amount"]) for row in rows) == COUNT * 0.25
    charges = table(service.command("export", "focus").stdout.encode())
    assert sum(float(row["BilledCost"]) for row in charges) == COUNT * 0.25
    assert "x_TokenType" in charges[0]


def test_progress_is_shown_on_a_terminal(service: RunningService, tmp_path: Path) -> None:
    """What is exported, on standard error; nothing of it in the file."""
    path = tmp_path / "calls.csv"
    line = f'"{sys.executable}" -m service export calls --format csv -o "{path}" --data "{service.data}"'
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"], check=False, capture_output=True, text=True, timeout=120, env=PYTHON_PATH
    )
    assert "exporting calls" in done.stdout
    assert len(table(path.read_bytes())) == COUNT
