"""`calledger scale-out citus` where there is no cluster: it says what to do, and does nothing."""

import asyncio
from pathlib import Path

from conftest import Server
from running import bare_command

from service.storage.schema.installed import has_ledger


def test_one_postgresql_is_no_cluster(debian_15: Server, tmp_path: Path) -> None:
    """On a PostgreSQL without Citus it names what has to be installed, and makes no ledger there."""
    with debian_15.database() as url:
        environment = {"CALLEDGER_DATABASE_URL": url}
        for option in ([], ["--dry-run"]):
            done = bare_command("scale-out", "citus", *option, "--data", str(tmp_path), environment=environment)
            assert (done.returncode, done.stdout) == (1, "")
            assert "this database has no Citus: on the coordinator and every worker install it" in done.stderr
        assert not asyncio.run(has_ledger(url))


def test_the_embedded_postgresql_is_one_machine(debian_15: Server, tmp_path: Path) -> None:
    """Without an address it says that the embedded database stays on its machine, and starts none."""
    done = bare_command("scale-out", "citus", "--data", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "the embedded PostgreSQL is one machine" in done.stderr
    assert not (tmp_path / "none").exists()
