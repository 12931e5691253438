"""Two services of different versions on one database, while clients report: the newer one migrates under the older."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import running
from pairing import settled
from running import RunningService

from service.keyring import create_kek_file
from service.storage.schema.guard import known_migrations

ROOT = Path(running.__file__).parents[1]
NEWEST = max(known_migrations())
MIGRATION = f'''
"""What a later version adds to every call."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """A column that this version does not know."""

    dependencies = [("calledger", "{NEWEST}")]

    operations = [
        ops.RunSQL(
            ["ALTER TABLE call ADD COLUMN later text", "ALTER TABLE usage_delta ADD COLUMN later bigint"],
            reverse_sql=["ALTER TABLE call DROP COLUMN later", "ALTER TABLE usage_delta DROP COLUMN later"],
        )
    ]
'''
COUNT = '{ calls(filter: {account: {eq: "acme"}}) { totalCount } }'


class Client(threading.Thread):
    """Reports one call after the other at `service`, each until it is acknowledged, as a gateway's queue does."""

    def __init__(self, service: RunningService, key: str) -> None:
        super().__init__()
        self.service, self.key = service, key
        self.acknowledged: list[str] = []
        self.refused: list[Exception] = []
        self.ends = threading.Event()

    def run(self) -> None:
        while not self.ends.is_set():
            name = f"{self.name}-{len(self.acknowledged)}"
            moment = datetime.now(UTC).isoformat()
            call = {"id": name, "account": "acme", "model": "m", "status": "succeeded", "started_at": moment}
            while not self._reported(call) and not self.ends.is_set():
                time.sleep(0.05)
            self.acknowledged.append(name)

    def _reported(self, call: dict[str, Any]) -> bool:
        try:
            return self.service.report(self.key, call)["rejected"] == 0
        except (OSError, AssertionError) as error:  # no connection, or another status than 200
            self.refused.append(error)
            return False


@pytest.fixture
def later_version(tmp_path: Path) -> Iterator[Path]:
    """This program with one more migration, as a folder for PYTHONPATH."""
    folder = tmp_path / "later"
    for package in ("service", "policies", "migrations"):
        ignored = shutil.ignore_patterns("__pycache__", "app")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    (folder / "migrations" / "9999_later.py").write_text(MIGRATION)
    yield folder
    shutil.rmtree(folder)


def test_no_call_is_lost_while_two_versions_serve(embedded_18, later_version: Path, tmp_path: Path) -> None:
    """The older service goes on, its killed worker is replaced, maintenance is the newer one's; what was acknowledged
    is there, and a start of the older one is refused by name.
    """
    create_kek_file(tmp_path / "kek")
    with embedded_18.database(template=embedded_18.template()) as url:
        environment = {
            "CALLEDGER_DATABASE_URL": url,
            "CALLEDGER_KEYRING": f"file:{tmp_path / 'keyring'}",
            "CALLEDGER_KEK": f"file:{tmp_path / 'kek'}",
        }
        older = RunningService(tmp_path / "one", "--workers", "2", environment=environment)
        admin = older.admin_key
        client = Client(older, admin)
        client.start()
        newer = None
        try:
            settled(lambda: len(client.acknowledged) > 20, True, times=1)
            paths = {"PYTHONPATH": str(later_version), "PYTHONSAFEPATH": "1"}
            newer = RunningService(tmp_path / "other", environment=environment | paths, is_fresh=True)
            log = "a newer version has migrated the database"
            settled(lambda: log in older.log.read_text(), True, times=1, within_s=60)
            settled(lambda: "maintains the ledger" in newer.log.read_text(), True, times=1, within_s=60)

            os.kill(int(_worker_of(older)), signal.SIGKILL)
            settled(lambda: "has taken the place" in older.log.read_text(), True, times=1, within_s=60)
            client.service = newer
            done = len(client.acknowledged)
            settled(lambda: len(client.acknowledged) > done + 20, True, times=1, within_s=60)
            assert older.stop() == 0
            client.ends.set()
            client.join()

            found = newer.ask(admin, COUNT)["data"]["calls"]["totalCount"]
            assert found == len(client.acknowledged)
            assert all(isinstance(one, OSError) for one in client.refused), client.refused
            with pytest.raises(RuntimeError, match="schema of a newer calledger \\(`9999_later`\\)"):
                older.start()
        finally:
            client.ends.set()
            client.join()
            for service in (older, newer):
                if service is not None and service.process.poll() is None:
                    service.stop()


def _worker_of(service: RunningService) -> str:
    return next(line for line in service.metrics().splitlines() if "process_open_fds{" in line).split('"')[1]
