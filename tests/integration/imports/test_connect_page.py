"""docs/connect.md, walked through as a gateway's operator does: every command in it runs as it is written."""

import asyncio
import csv
import gzip
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
from conftest import PASSWORD, Server
from gateway_rows import FOLDER
from importing import fetch
from litellm_proxy import KEY, TABLE, SpendServer, recorded, table_of
from newapi import consumed, failed, postgres_of, sqlite_of
from newapi_server import TOKEN, LogServer
from packages import skipped
from running import RunningService, bare_command, surroundings
from served import serving

PAGE: Final = Path(__file__).parents[3] / "docs" / "connect.md"
BEGIN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)
COMMANDS: Final = re.findall(r"^\$ (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
ENVOY: Final = {
    "duration": 12, "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "a", "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 6, "response_code": 200, "start_time": BEGIN.isoformat(timespec="milliseconds"),
    "x-request-id": "envoy-1",
}  # fmt: skip
KONG: Final = {
    "request": {"id": "kong-1"}, "started_at": int(BEGIN.timestamp() * 1000), "latencies": {"request": 7},
    "response": {"status": 200}, "consumer": {"username": "shop"},
    "ai": {"proxy": {"usage": {"prompt_tokens": 5, "completion_tokens": 6, "cost": 0.5},
                     "meta": {"request_model": "gpt-4o", "response_model": "gpt-4o", "provider_name": "openai"}}},
}  # fmt: skip
TOOLS: Final = ("psql", "jq", "sqlite3", "curl")
"""What lines that are none of ours use."""


def recent(name: str) -> str:
    """A sample with its times moved to today."""
    text = (FOLDER / name).read_text("utf-8").replace("2026-11-20", f"{BEGIN:%Y-%m-%d}")
    return text.replace("17951688", f"{int(BEGIN.timestamp()) // 100}")


def newapi_log(first: int) -> list[dict[str, Any]]:
    return [consumed(first), failed(first + 1)]


class Workshop:
    """A folder with the files that the page names, and what answers at the addresses that it names."""

    def __init__(self, service: RunningService, folder: Path) -> None:
        self.service, self.folder = service, folder
        self.replaced = {"http://127.0.0.1:8790": service.url, "2026-11-30T10:00:00Z": BEGIN.isoformat()}
        self.environment = {"INGEST": service.new_key("ingest", "acme"), "PGPASSWORD": PASSWORD}
        self._files()

    def _files(self) -> None:
        page, folder = PAGE.read_text("utf-8"), self.folder
        payloads = [json.loads(line)["callback"] for line in recent("litellm_1.106.2.ndjson").splitlines()]
        moved = [one | dict.fromkeys(("startTime", "endTime"), BEGIN.timestamp()) for one in payloads]
        (folder / "payloads.ndjson.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, moved)).encode()))
        for name, sample in (
            ("observations.jsonl.gz", "langfuse_blob.ndjson"),
            ("openrouter_activity.csv", "openrouter_activity.csv"),
            ("helicone-export.jsonl", "helicone.jsonl"),
            ("20261120T100000Z.log.gz", "cloudflare_logpush.ndjson"),
            ("portkey.jsonl", "portkey.jsonl"),
            ("traces.json", "collector_file.ndjson"),
        ):
            text = recent(sample).encode()
            (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        for name, section in (("kong.toml", "Kong AI Gateway"), ("envoy.toml", "Envoy's access log")):
            [document] = re.findall(rf"### {section}\n.*?```toml\n(.*?)```", page, re.DOTALL)
            (folder / name).write_text(document)
        (folder / "kong.log").write_text(json.dumps(KONG) + "\n" + json.dumps({"request": {"id": "no-ai"}}) + "\n")
        kubectl = folder / "bin" / "kubectl"
        kubectl.parent.mkdir()
        kubectl.write_text(f"#!/bin/sh\necho 'starting'\ncat <<'END'\n{json.dumps(ENVOY)}\nEND\n")
        kubectl.chmod(0o755)
        for name, secret in (("password.txt", PASSWORD), ("token.txt", TOKEN), ("key.txt", KEY)):
            (folder / name).write_text(secret)
        with (folder / "one-api-logs.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(consumed(1)))
            writer.writeheader()
            writer.writerow(consumed(21) | {"is_stream": "t"})
        self.replaced["sqlite:////opt/new-api/one-api.db"] = sqlite_of(folder / "one.db", "new-api 1.0", newapi_log(31))
        agentgateway = [json.loads(line) for line in recent("agentgateway.ndjson").splitlines()]
        table = [row for row in agentgateway if "started_at" in row]  # its API spells them in another way
        _sqlite_table(folder / "agentgateway.db", "request_logs", table)

    def databases(self, newapi: str, litellm: str, bifrost: str) -> None:
        """Fill three databases as the page has them."""
        asyncio.run(postgres_of(newapi, "new-api 1.0", newapi_log(41)))
        asyncio.run(table_of(litellm, recorded(BEGIN)))
        rows = [json.loads(line) for line in recent("bifrost_logs.ndjson").splitlines()]
        asyncio.run(_postgres_table(bifrost, "logs", rows))
        self.replaced["postgresql://reader@127.0.0.1/newapi"] = newapi.replace(f":{PASSWORD}", "")
        self.replaced["postgresql://reader@127.0.0.1/litellm"] = litellm.replace(f":{PASSWORD}", "")
        self.environment |= {"LITELLM_DATABASE": litellm, "BIFROST_DATABASE": bifrost}

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line of the page: a command of ours as it stands, another in a shell; both in the folder."""
        for written, here in self.replaced.items():
            line = line.replace(written, here)
        if line.startswith("calledger "):
            words = [*shlex.split(line)[1:], "--data", str(self.service.data)]
            return bare_command(*words, folder=self.folder)
        environment = surroundings(self.environment) | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        shell = ["bash", "-c", f"set -eo pipefail; {line}"]
        return subprocess.run(
            shell, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list | bool) else value


def _sqlite_table(path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    columns = list({column: None for row in rows for column in row})
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    marks = ", ".join("?" * len(columns))
    connection.executemany(
        f"INSERT INTO {name} VALUES ({marks})", [[_text(row.get(one)) for one in columns] for row in rows]
    )
    connection.commit()
    connection.close()


async def _postgres_table(url: str, name: str, rows: list[dict[str, Any]]) -> None:
    columns = list({column: None for row in rows for column in row})
    connection = await asyncpg.connect(url)
    made = ", ".join(f'"{one}" text' for one in columns)
    await connection.execute(f"CREATE TABLE {name} ({made})")
    texts = [[None if row.get(one) is None else str(_text(row[one])) for one in columns] for row in rows]
    await connection.copy_records_to_table(name, records=texts, columns=columns)
    await connection.close()


def test_every_command_of_the_page_runs(service: RunningService, tmp_path: Path, debian_15: Server) -> None:
    """With files, databases and gateways where the page has them, each line ends well, and each of the sources that it
    names has calls here in the end; what a line brings that another brought before is known.
    """
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        skipped(f"no {', '.join(missing)} here: `make test` installs them where apt-get is there")
    workshop = Workshop(service, tmp_path)
    own = LogServer([consumed(61)], family="one-api")
    with (
        serving(LogServer([consumed(51)])) as gateway,
        serving(own),
        serving(SpendServer(recorded(BEGIN))) as proxy,
        debian_15.database() as newapi,
        debian_15.database() as litellm,
        debian_15.database() as bifrost,
    ):
        workshop.databases(newapi, litellm, bifrost)
        workshop.replaced["https://gateway.internal/api/log/self"] = f"{own.url}/api/log/self"
        workshop.replaced["https://gateway.internal"] = gateway.url
        workshop.replaced["https://litellm.internal"] = proxy.url
        for line in COMMANDS:
            done = workshop.run(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    found = fetch(service.data, "SELECT source, count(*) AS calls FROM call GROUP BY 1")
    assert len(found) >= 11, found
    assert "shop" in service.command("sources", "list").stdout
    assert len(COMMANDS) > 30 and TABLE
