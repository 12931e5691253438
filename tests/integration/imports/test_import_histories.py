"""`calledger import` of what other gateways keep: rows in are rows out, once, and without content."""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from gateway_rows import CANARY, FOLDER, READERS, litellm_pairs, reports_of, rows_of
from importing import fetch, killed_import
from running import RunningService

NOW: Final = datetime.now(UTC)
LEAK: Final = "asks for the recipe of the house"
"""What the samples' prompts say, and errors repeat."""
MAP: Final = """
[file]
decimal = ","

[call]
id = { column = "Request", prefix = "csv/" }
started_at = "Time"
model = "Model"
account = "Customer"
user = "Person"
status = { column = "State", succeeded = ["ok"], failed = ["error"] }
amount = { column = "Micro", factor = "0.000001" }
currency = { value = "EUR" }
input_tokens = "In"

[error]
message = "Error"
"""


def stored(service: RunningService, source: int, pattern: str = "%") -> tuple[int, Decimal]:
    """How many calls of a source there are, and their sum."""
    found = "SELECT count(*), coalesce(sum(amount), 0) AS sum FROM call WHERE source = $1 AND source_id LIKE $2"
    row = fetch(service.data, found, source, pattern)[0]
    return row["count"], row["sum"]


def recent(name: str, path: Path) -> str:
    """A sample with its times moved to today: a call past its window is refused."""
    text = (FOLDER / name).read_text("utf-8").replace("2026-11-20", f"{NOW - timedelta(hours=30):%Y-%m-%d}")
    text = text.replace("17951688", f"{int((NOW - timedelta(hours=30)).timestamp()) // 100}")
    path.write_text(text, "utf-8")
    return str(path)


FORMS: Final = {
    "langfuse_blob.ndjson": "langfuse",
    "langfuse_ui.csv": "langfuse",
    "openrouter_activity.csv": "openrouter",
    "openrouter_generation.ndjson": "openrouter",
    "helicone.jsonl": "helicone",
    "helicone.csv": "helicone",
    "cloudflare_logpush.ndjson": "cloudflare",
    "cloudflare_api.ndjson": "cloudflare",
    "portkey.jsonl": "portkey",
    "bifrost_logs.ndjson": "bifrost",
    "agentgateway.ndjson": "agentgateway",
}


@pytest.mark.parametrize("name", list(READERS))
def test_rows_in_are_rows_out_once(service: RunningService, tmp_path: Path, name: str) -> None:
    """Each sample is stored with the sum that its rows have, is all duplicates again, and leaves no content on disk."""
    path, reports = recent(name, tmp_path / name), reports_of(name)
    first = service.command("import", FORMS[name], path, "--account", f"of-{name}")
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    outcome = first.stdout.splitlines()[0]
    assert outcome.startswith(f"{len(rows_of(name))} rows: {len(reports)} stored")
    amounts = [report.amount for report in reports if report.amount is not None]
    found = "SELECT count(*), coalesce(sum(amount), 0) AS sum FROM call JOIN account a ON a.id = account_id"
    row = fetch(service.data, f"{found} WHERE a.name = $1", f"of-{name}")[0]
    assert (row["count"], row["sum"]) == (len(reports), sum(amounts, Decimal(0)))
    second = service.command("import", FORMS[name], path, "--account", f"of-{name}")
    assert second.stdout.splitlines()[0].startswith(f"{len(rows_of(name))} rows: {len(reports)} duplicates")
    everything = service.everything_on_disk()
    assert CANARY.encode() not in everything and LEAK.encode() not in everything


def test_litellms_callback_and_its_table_are_one_call(service: RunningService, tmp_path: Path) -> None:
    """Calls that the callback reported and that are imported from the table later are duplicates, failed ones too."""
    pairs, shift = litellm_pairs(), NOW.timestamp() - 3600
    first = min(pair["callback"]["startTime"] for pair in pairs)
    for pair in pairs:
        for field in ("startTime", "endTime", "completionStartTime"):
            for side in ("callback", "row"):
                value = pair[side].get(field)
                moment = (
                    value if isinstance(value, float) else datetime.fromisoformat(value).timestamp() if value else None
                )
                moved = None if moment is None else moment - first + shift
                pair[side][field] = (
                    moved if side == "callback" or moved is None else f"{datetime.fromtimestamp(moved, UTC)}"
                )
    answer = service.report(
        service.new_key("ingest", "litellm"), *[pair["callback"] for pair in pairs], path="/v1/litellm"
    )
    assert answer["accepted"] == len(pairs), answer
    table = tmp_path / "spend.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(pairs[0]["row"]))
        writer.writeheader()
        writer.writerows(pair["row"] for pair in pairs)
    done = service.command("import", "litellm", str(table), "--account", "litellm")
    assert done.stdout.splitlines()[0] == f"{len(pairs)} rows: {len(pairs)} duplicates", done.stdout
    alone = service.command("import", "litellm", str(table), "--account", "litellm-alone")
    assert alone.stdout.splitlines()[0] == f"{len(pairs)} rows: {len(pairs)} stored"
    sums = fetch(service.data, "SELECT a.name, sum(amount) FROM call JOIN account a ON a.id = account_id GROUP BY 1")
    of = {row["name"]: row["sum"] for row in sums}
    assert of["litellm"] == of["litellm-alone"]


def rows(name: str, count: int, **more: str) -> list[dict[str, str]]:
    return [
        {
            "Request": f"{name}-{number}",
            "Time": (NOW - timedelta(seconds=number)).isoformat(timespec="milliseconds"),
            "Model": "gpt-4o",
            "Customer": f"customer-{number % 3}",
            "Person": "jane.doe",
            "State": "ok",
            "Micro": "250000,5",
            "In": "10",
            "Prompt": f"{CANARY} {LEAK}",
        }
        | more
        for number in range(count)
    ]


def written(path: Path, some: list[dict[str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*some[0], "Error"], restval="", delimiter=";")
        writer.writeheader()
        writer.writerows(some)
    return str(path)


def map_file(folder: Path, text: str = MAP) -> str:
    path = folder / "map.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_a_table_by_its_map(service: RunningService, tmp_path: Path) -> None:
    """Rows in are rows out with exact sums, for each account that the rows name, and the second time all are known."""
    some = [*rows("map", 300), *rows("map-failed", 1, State="error", Error=f"you said: {CANARY} {LEAK}")]
    path, map_ = written(tmp_path / "calls.csv", some), map_file(tmp_path)
    done = service.command("import", "csv", path, "--map", map_)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "columns that are not kept: Prompt\n"
    assert done.stdout.splitlines()[:2] == ["301 rows: 301 stored", "amount new: 75.2501505 EUR"]
    assert stored(service, 6, "csv/map%") == (301, Decimal("75.2501505"))
    assert len(fetch(service.data, "SELECT FROM account WHERE name LIKE 'customer-%'")) == 3
    again = service.command("import", "csv", path, "--map", map_)
    assert again.stdout.splitlines()[0] == "301 rows: 301 duplicates"
    everything = service.everything_on_disk()
    assert CANARY.encode() not in everything and LEAK.encode() not in everything and b"jane.doe" not in everything


def test_a_table_goes_on_where_it_was_killed(service: RunningService, tmp_path: Path) -> None:
    """Killed behind any page, an import by a map goes on behind it, and each row is stored once."""
    path, map_ = written(tmp_path / "calls.csv", rows("killed", 20_000)), map_file(tmp_path)
    saved = killed_import(service.data, "csv", path, "--map", map_)
    done = service.command("import", "csv", path, "--map", map_)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{20_000 - saved:,} rows: ")
    assert stored(service, 6, "csv/killed%") == (20_000, Decimal("5000.01"))
    assert service.command("fsck").returncode == 0


def test_a_trial_shows_rows_as_they_would_be_stored(service: RunningService, tmp_path: Path) -> None:
    """`--try` says of each row what would be stored, what is dropped or refused and why, and stores nothing."""
    some = [*rows("tried", 1), *rows("tried-odd", 1, Micro="a lot"), *rows("tried-bad", 1, State="perhaps")]
    done = service.command("import", "csv", written(tmp_path / "c.csv", some), "--map", map_file(tmp_path), "--try")
    good, odd, bad = [json.loads(line) for line in done.stdout.splitlines()]
    assert (good["row"], good["outcome"], good["call"]["user"]) == (1, "stored", "[pseudonym]")
    assert good["dropped"]["unknown"] == 1 and good["call"]["amount"] == "0.2500005"
    assert odd["warnings"] == ["`amount`, column `Micro`: `a lot` is no number: left out"]
    assert "`status`, column `State`: `perhaps` stands neither in" in bad["reason"] and bad["row"] == 3
    assert CANARY not in done.stdout and stored(service, 6, "csv/tried%")[0] == 0


def test_refused_rows_are_named_by_number_and_column(service: RunningService, tmp_path: Path) -> None:
    """Rows that are refused are counted with the first of each reason: its number, its field and its column."""
    some = [
        *rows("mixed", 2),
        *rows("mixed-bad", 1, Time="yesterday"),
        *rows("mixed-far", 1, Time="2001-01-01 00:00:00"),
    ]
    done = service.command("import", "csv", written(tmp_path / "c.csv", some), "--map", map_file(tmp_path))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "4 rows: 2 stored, 2 refused"
    assert "such as row 3: `started_at`, column `Time`: `yesterday` is no time of the form `iso`" in done.stdout
    assert "too_old, such as row 4" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "a column map is needed"),
        (["--map", "MAP"], "[call] amount: the file has no column `Micro`, but `Mikro`"),
        (["--map", "/nowhere"], "cannot be read"),
    ],
)
def test_a_map_that_does_not_fit_is_an_error_before_anything_is_read(
    service: RunningService, tmp_path: Path, arguments: list[str], why: str
) -> None:
    """Without a map, with one that names a column that the file has not, or with none there, nothing is imported."""
    some: list[dict[str, Any]] = [
        {"Mikro" if key == "Micro" else key: cell for key, cell in row.items()} for row in rows("x", 1)
    ]
    path, map_ = written(tmp_path / "c.csv", some), map_file(tmp_path)
    done = service.command("import", "csv", path, *[map_ if given == "MAP" else given for given in arguments])
    assert done.returncode == 1 and why in done.stderr


def test_a_suggested_map_imports_the_file(service: RunningService, tmp_path: Path) -> None:
    """What `--suggest-map` prints can be used as it stands, for CSV and for nested JSON lines."""
    path = tmp_path / "calls.ndjson"
    row = {
        "request_id": "s-1",
        "timestamp": NOW.timestamp(),
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 5},
        "cost": 0.5,
    }
    path.write_text(json.dumps(row), "utf-8")
    text = service.command("import", "ndjson", str(path), "--suggest-map").stdout
    assert 'started_at = { column = "timestamp", format = "epoch" }' in text
    done = service.command("import", "ndjson", str(path), "--map", map_file(tmp_path, text))
    assert done.stdout.splitlines()[:2] == ["1 rows: 1 stored", "amount new: 0.5 USD"], done.stderr
