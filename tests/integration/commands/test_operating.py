"""docs/operating.md, followed to the letter on a PostgreSQL 15 whose owner of the ledger is no superuser."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from conftest import DEBIAN_PROGRAMS, OWNER, Server, running_server
from running import RunningService, printed

from policies import Store, load_preset
from service.storage.partitions import Partitions

PAGE = Path(__file__).resolve().parents[3] / "docs/operating.md"
OLD = datetime.now(UTC) - timedelta(days=500)
OLD_CALL = """
    INSERT INTO call (account_id, tier, started_at, id, digest, source, failed, source_id, model)
    SELECT id, 1, $1, gen_random_uuid(), 0, 1, false, 'old', 'm' FROM account
"""


def statements() -> list[list[str]]:
    """The statements of each SQL block of the page."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [[one.strip() for one in block.split(";") if one.strip()] for block in blocks]


@pytest.fixture
def bare_15() -> Iterator[Server]:
    """A PostgreSQL 15 on which nobody has made a role yet."""
    if not (DEBIAN_PROGRAMS / "postgres").exists():
        reason = f"no PostgreSQL 15 in {DEBIAN_PROGRAMS}: `make test` installs it where apt-get is there"
        pytest.skip(reason)
    with running_server(DEBIAN_PROGRAMS) as server:
        server.execute(f"DROP ROLE {OWNER}")
        yield server


def address(server: Server) -> str:
    """What the page gives as CALLEDGER_DATABASE_URL, for a server that is reached by its socket."""
    found = re.search(r"CALLEDGER_DATABASE_URL=postgresql://(\S+)@HOST/(\w+)", PAGE.read_text("utf-8"))
    assert found is not None
    return server.url(found[2]).replace(server.url("x").split("@")[0], f"postgresql://{found[1]}")


async def add_old_call(url: str) -> None:
    """A call that is past its window, in a partition of its own."""
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        await Partitions(pool).ensure(load_preset("default"), [(Store.CALL, 1, OLD)])
        await pool.execute(OLD_CALL, OLD)


def try_everything(service: RunningService, url: str, prefix: str) -> None:
    """Calls in, pages out for both kinds of key, a purge that drops something, exports, the checks."""
    now = datetime.now(UTC).isoformat()
    rows = [
        {"id": f"{prefix}-{account}", "started_at": now, "account": account, "model": "m", "status": "succeeded"}
        for account in ("acme", "rival")
    ]
    assert service.report(service.admin_key, *rows)["accepted"] == 2
    bound = printed(service.data, url, "keys", "create", "--role", "partner", "--account", "acme").strip()
    seen = {
        key: {node["account"] for node in service.ask(key, "{ calls { nodes { account } } }")["data"]["calls"]["nodes"]}
        for key in (service.admin_key, bound)
    }
    assert seen == {service.admin_key: {"acme", "rival"}, bound: {"acme"}}
    assert len(printed(service.data, url, "export", "calls", "--account", "acme").splitlines()) >= 1
    asyncio.run(add_old_call(url))
    assert "call_t1" in printed(service.data, url, "purge", "--dry-run")
    printed(service.data, url, "purge")
    assert "call_t1" not in printed(service.data, url, "purge", "--dry-run")
    assert "FAIL" not in printed(service.data, url, "fsck")


def test_a_prepared_server_has_every_guarantee(bare_15: Server, tmp_path: Path) -> None:
    """What the page says to prepare is enough: an owner without any power has a ledger with all its protections."""
    server, cluster = statements()[0], statements()[1]
    bare_15.execute(*server, *cluster)
    url = address(bare_15)

    printed(tmp_path / "data", url, "migrate")
    service = RunningService(tmp_path / "data", environment={"CALLEDGER_DATABASE_URL": url})
    try_everything(service, url, "first")
    status = printed(service.data, url, "status")
    service.stop()

    assert re.search(r"protections +all there", status), status
    assert "protection is missing" not in service.log.read_text()


def test_following_the_hint_of_status_completes_a_ledger(bare_15: Server, tmp_path: Path) -> None:
    """A ledger that was begun without the roles says what it lacks; with the roles made later, everything works."""
    own = [one for one in statements()[1] if not one.startswith("GRANT")]
    bare_15.execute(*own)
    url = address(bare_15)
    service = RunningService(tmp_path / "data", environment={"CALLEDGER_DATABASE_URL": url})
    try_everything(service, url, "before")

    lacking = [
        line for line in printed(service.data, url, "status").splitlines() if line.startswith("protection missing")
    ]
    bare_15.execute(*statements()[2])
    # The service of before goes on meanwhile, and every command works at once.
    after = printed(service.data, url, "status")
    try_everything(service, url, "meanwhile")
    service.stop()
    again = RunningService(service.data, environment={"CALLEDGER_DATABASE_URL": url})
    try_everything(again, url, "after")
    again.stop()

    assert ["calledger_app`" in line or "calledger_app_all`" in line for line in lacking] == [True, True]
    assert all("docs/operating.md" in line for line in lacking)
    assert re.search(r"protections +all there", after), after


def test_the_owner_of_the_page_has_no_power(bare_15: Server, tmp_path: Path) -> None:
    """The page's owner is no superuser and may make no roles."""
    bare_15.execute(*statements()[0], *statements()[1])

    async def powers() -> tuple[bool, ...]:
        connection = await asyncpg.connect(address(bare_15))
        try:
            columns = "rolsuper, rolcreaterole, rolcreatedb, rolbypassrls"
            return tuple(await connection.fetchrow(f"SELECT {columns} FROM pg_roles WHERE rolname = current_user"))
        finally:
            await connection.close()

    assert asyncio.run(powers()) == (False,) * 4
