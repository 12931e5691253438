"""Every way in which a ledger and its keyring can meet at the start, on the path that the service takes."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from conftest import Server
from keks import kek_home
from keyring_folder import slot_of
from running import RunningService, command, database_url
from vault_server import TOKEN, TransitKey, VaultServer

import service.keyring.deferred
from service.errors import OperatorError
from service.keyring import (
    AccountKeyName,
    KekWrongError,
    KeyDestroyedError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringSameClusterError,
    KeyringUnavailableError,
    PeriodKeyName,
    create_kek_file,
)
from service.runtime.replacement import replace_keyring
from service.runtime.runtime import Runtime, open_runtime
from service.settings import load_settings

ERRORS = "{ errors(first: 5) { nodes { message disclosure } } calls(first: 5) { nodes { model status } } }"


class Place:
    """A ledger in a database of the test's server, and its data directory."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data

    def open(self, **settings: object) -> AbstractAsyncContextManager[Runtime]:
        return open_runtime(load_settings(data=self.data, database_url=self.url, **settings))


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Place:
    return Place(database_url, tmp_path / "data")


async def refuses_keys(runtime: Runtime) -> None:
    """It works without its keyring: API keys are told apart, and no key is there or is made."""
    assert len(await runtime.keyring.secret("pepper")) == 32
    for ask in (
        runtime.keyring.key(AccountKeyName(1), mint=True),
        runtime.keyring.secret("signer"),
        runtime.keyring.check(),
    ):
        with pytest.raises(KeyringUnavailableError):
            await ask


class TestWithout:
    async def test_missing(self, place: Place) -> None:
        """A ledger whose keyring is gone works without it, and no new keyring is made."""
        async with place.open():
            pass
        shutil.move(place.data / "keyring", place.data / "elsewhere")

        async with place.open() as runtime:
            await refuses_keys(runtime)

        assert not (place.data / "keyring").exists()
        shutil.move(place.data / "elsewhere", place.data / "keyring")
        async with place.open():
            pass

    async def test_foreign(self, place: Place, embedded_18: Server, tmp_path: Path) -> None:
        """The keyring of another ledger is not used, and stays that ledger's."""
        with embedded_18.database(template=embedded_18.template()) as url:
            other = Place(url, tmp_path / "other")
            for ledger in (place, other):
                async with ledger.open():
                    pass
            theirs = {"keyring": f"file:{other.data / 'keyring'}", "kek": f"file:{other.data / 'kek'}"}

            async with place.open(**theirs) as runtime:
                assert "belongs to database" in runtime.keyring.describe()
                await refuses_keys(runtime)

            async with other.open():
                pass

    async def test_empty_database(self, place: Place, embedded_18: Server) -> None:
        """An empty database does not take over a keyring that holds the keys of another."""
        async with place.open() as runtime:
            await runtime.keyring.key(AccountKeyName(1), mint=True)
        with embedded_18.database(template=embedded_18.template()) as url, pytest.raises(KeyringForeignError):
            async with Place(url, place.data).open():
                pass

    async def test_wrong_kek(self, place: Place, tmp_path: Path) -> None:
        """With another key-encryption key nothing is sealed or opened."""
        async with place.open():
            pass
        create_kek_file(tmp_path / "another")

        async with place.open(kek=f"file:{tmp_path / 'another'}") as runtime:
            assert "set CALLEDGER_KEK to it" in runtime.keyring.describe()
            await refuses_keys(runtime)
        another = load_settings(data=place.data, database_url=place.url, kek=f"file:{tmp_path / 'another'}")
        with pytest.raises(KekWrongError, match="CALLEDGER_START_WITHOUT_KEK=true"):
            async with open_runtime(another, serving=True):
                pass
        allowed = another.model_copy(update={"start_without_kek": True})
        async with open_runtime(allowed, serving=True) as runtime:
            await refuses_keys(runtime)

    async def test_exposed(self, place: Place) -> None:
        """A keyring that others can enter is refused: that is mended in a minute, and less safe if it goes on."""
        async with place.open():
            pass
        (place.data / "keyring").chmod(0o755)

        with pytest.raises(KeyringExposedError, match="chmod 700"):
            async with place.open():
                pass

    async def test_no_fallback(self, place: Place) -> None:
        """Without the fallback secrets no API key can be checked: refused, in words that name what there is to do."""
        async with place.open():
            pass
        assert (place.data / "standby").stat().st_mode & 0o777 == 0o600
        shutil.move(place.data / "keyring", place.data / "elsewhere")
        (place.data / "standby").unlink()

        with pytest.raises(KeyringMissingError, match="calledger keyring replace --accept-loss"):
            async with place.open():
                pass

    async def test_same_cluster(self, place: Place, embedded_18: Server) -> None:
        """A keyring in the PostgreSQL of the calls is refused at the first start."""
        with embedded_18.database() as url, pytest.raises(KeyringSameClusterError):
            async with place.open(keyring=f"postgres:{url}"):
                pass

    async def test_errors_are_the_operators(self) -> None:
        """Whoever runs the service is told, not whoever asks it."""
        assert issubclass(KeyringSameClusterError, OperatorError)


async def test_older_keyring(place: Place) -> None:
    """Keys that an older copy of the keyring brings back are destroyed again before anything is served."""
    old = (datetime.now(UTC) - timedelta(days=90)).strftime("%Y-%m-%d")
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    async with place.open() as runtime:
        await runtime.keyring.key(PeriodKeyName(1, "personal", old), mint=True)
        kept = await runtime.keyring.key(PeriodKeyName(1, "personal", today), mint=True)
    shutil.copytree(place.data / "keyring", place.data / "backup")
    done = command(place.data, "purge", environment={"CALLEDGER_DATABASE_URL": place.url})
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place.data / "keyring")
    shutil.move(place.data / "backup", place.data / "keyring")
    assert slot_of(place.data / "keyring", PeriodKeyName(1, "personal", old)).exists()

    async with place.open() as runtime:
        assert str(PeriodKeyName(1, "personal", old)) in await runtime.keyring.tombstones()
        with pytest.raises(KeyDestroyedError):
            await runtime.keyring.key(PeriodKeyName(1, "personal", old), mint=True)
        assert await runtime.keyring.key(PeriodKeyName(1, "personal", today), mint=False) == kept
    assert not slot_of(place.data / "keyring", PeriodKeyName(1, "personal", old)).exists()


class TestPostgresKeyring:
    @pytest.fixture
    def keys(self, debian_15: Server) -> Iterator[str]:
        with debian_15.database() as url:
            yield url

    async def test_away_at_start(
        self, place: Place, keys: str, debian_15: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A keyring that is away lets its ledger start, gives out no key, and is used when it is back."""
        monkeypatch.setattr(service.keyring.deferred, "PAUSE_S", 0.0)
        keyring = f"postgres:{keys}"
        async with place.open(keyring=keyring) as runtime:
            key = await runtime.keyring.key(AccountKeyName(1), mint=True)
            pepper = await runtime.keyring.secret("pepper")
        name = keys.split("@/")[1].split("?")[0]
        debian_15.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

        async with place.open(keyring=keyring) as runtime:
            assert await runtime.keyring.secret("pepper") == pepper
            assert "away" in runtime.keyring.describe()
            for ask in (runtime.keyring.key(AccountKeyName(1), mint=True), runtime.keyring.secret("signer")):
                with pytest.raises(KeyringUnavailableError):
                    await ask
            debian_15.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            assert await runtime.keyring.key(AccountKeyName(1), mint=False) == key

    async def test_replaced(self, place: Place, keys: str) -> None:
        """A keyring in PostgreSQL whose key-encryption key is gone is moved aside for a new one; API keys go on."""
        keyring = f"postgres:{keys}"
        async with place.open(keyring=keyring) as runtime:
            await runtime.keyring.key(AccountKeyName(1), mint=True)
            pepper = await runtime.keyring.secret("pepper")
        (place.data / "kek").unlink()

        settings = load_settings(data=place.data, database_url=place.url, keyring=keyring)
        done = await replace_keyring(settings, reason=None)

        assert done.aside is not None
        assert "calledger_keyring_given_up_" in done.aside
        assert done.admin_key is None
        async with place.open(keyring=keyring) as runtime:
            await runtime.keyring.check()
            assert await runtime.keyring.secret("pepper") == pepper
            assert await runtime.keyring.names() == []

    async def test_never_started_here(self, place: Place, keys: str, debian_15: Server) -> None:
        """A host that never started with the keyring does not start without it."""
        keyring = f"postgres:{keys}"
        async with place.open(keyring=keyring):
            pass
        assert (place.data / "standby").stat().st_mode & 0o777 == 0o600
        (place.data / "standby").unlink()
        debian_15.execute(f"ALTER DATABASE {keys.split('@/')[1].split('?')[0]} ALLOW_CONNECTIONS false")

        with pytest.raises(KeyringUnavailableError):
            async with place.open(keyring=keyring):
                pass

    async def test_anothers_standby(self, place: Place, keys: str, debian_15: Server) -> None:
        """What another ledger left in the data directory lets nobody in."""
        keyring = f"postgres:{keys}"
        async with place.open(keyring=keyring):
            pass
        path = place.data / "standby"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"database": "another"}))
        debian_15.execute(f"ALTER DATABASE {keys.split('@/')[1].split('?')[0]} ALLOW_CONNECTIONS false")

        with pytest.raises(KeyringUnavailableError):
            async with place.open(keyring=keyring):
                pass


async def test_first_start_without_kms(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first start while what is to wrap the keys is away is refused, and leaves no keyring behind."""
    with kek_home("vault", tmp_path, monkeypatch) as home:
        url = home.new()
        home.stop()

        with pytest.raises(KeyringUnavailableError):
            async with place.open(kek=url):
                pass

        assert not (place.data / "keyring").exists()
        home.start()


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    server = VaultServer()
    server.keys["calledger"] = TransitKey()
    yield server
    server.stop()


class Service(RunningService):
    """Its commands work under the same settings."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.settings = settings
        super().__init__(data, environment=settings)

    def start(self) -> None:
        self._environment |= self.settings
        super().start()

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return command(self.data, *arguments, stdin=stdin, environment=self.settings)


def failed(id_: str) -> dict[str, object]:
    error = {"type": "RateLimitError", "code": "429", "message": f"limit reached for {id_}"}
    moment = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    return {"id": id_, "started_at": moment, "model": "gpt-4o", "status": "failed", "user": "u-1", "error": error}


def until_disclosed(service: RunningService, wanted: list[str]) -> list[dict[str, str]]:
    """The errors, once they are disclosed as wanted; the last answer if they never are."""
    deadline = time.monotonic() + 60
    while True:
        nodes = service.ask(service.admin_key, ERRORS)["data"]["errors"]["nodes"]
        if sorted(node["disclosure"] for node in nodes) == sorted(wanted) or time.monotonic() > deadline:
            return nodes
        time.sleep(0.2)


def forget_keys(service: RunningService) -> None:
    """Have the service drop the keys that it holds in memory, as a purge does."""

    async def notify() -> None:
        connection = await asyncpg.connect(database_url(service.data))
        await connection.execute("SELECT pg_notify('calledger_control', 'purge')")
        await connection.close()

    asyncio.run(notify())


def test_kms_away(vault: VaultServer, tmp_path: Path) -> None:
    """While the KMS is away, running or at the start: calls are taken and served, sealed fields stay sealed and come
    back; what was reported meanwhile is stored without its details."""
    service = Service(tmp_path / "data", CALLEDGER_KEK=f"vault:{vault.url}/calledger", VAULT_TOKEN=TOKEN)
    try:
        ingest = service.new_key("ingest")
        assert service.report(ingest, failed("first"))["accepted"] == 1
        assert until_disclosed(service, ["CLEAR"]) == [{"message": "limit reached for first", "disclosure": "CLEAR"}]

        vault.stop()
        forget_keys(service)
        assert until_disclosed(service, ["SEALED"]) == [{"message": None, "disclosure": "SEALED"}]
        service.stop()
        service.start()
        assert until_disclosed(service, ["SEALED"]) == [{"message": None, "disclosure": "SEALED"}]
        second = failed("second")
        assert service.report(ingest, second)["accepted"] == 1
        answer = service.ask(service.admin_key, ERRORS)["data"]
        assert [node["status"] for node in answer["calls"]["nodes"]] == ["FAILED", "FAILED"]

        vault.start()
        nodes = until_disclosed(service, ["CLEAR", "NOT_KEPT"])
        assert {node["disclosure"]: node["message"] for node in nodes} == {
            "CLEAR": "limit reached for first",
            "NOT_KEPT": None,
        }
        assert service.report(ingest, second)["duplicates"] == 1
        assert service.report(ingest, failed("third"))["accepted"] == 1
        assert len(until_disclosed(service, ["CLEAR", "CLEAR", "NOT_KEPT"])) == 3
        assert b"limit reached for second" not in service.everything_on_disk()
    finally:
        if not vault._thread.is_alive():
            vault.start()
        service.stop()


def test_lost_and_rotated(tmp_path: Path) -> None:
    """A key that is gone and was not destroyed is lost, and `keyring status` says so; a rotation is in the ledger."""
    service = Service(tmp_path / "data")
    try:
        key = service.new_key("ingest")
        service.report(key, failed("first"))
        assert service.command("keyring", "status").returncode == 0

        create_kek_file(tmp_path / "new")
        done = service.command("keyring", "rotate", "--to", f"file:{tmp_path / 'new'}")
        assert done.returncode == 0, done.stderr
        assert f"CALLEDGER_KEK=file:{tmp_path / 'new'}" in done.stdout
        rotated = service.ask(
            service.admin_key, "{ ledger(filter: {kind: {eq: KEYRING_ROTATED}}) { nodes { actor } } }"
        )
        assert rotated["data"]["ledger"]["nodes"] == [{"actor": "cli"}]
        forget_keys(service)
        assert until_disclosed(service, ["CLEAR"])[0]["message"] == "limit reached for first"
        service.stop()
        (service.data / "kek").unlink()
        service.settings["CALLEDGER_KEK"] = f"file:{tmp_path / 'new'}"
        service.start()
        assert until_disclosed(service, ["CLEAR"])[0]["message"] == "limit reached for first"

        [path] = [path for path in (service.data / "keyring" / "packs" / "accounts").rglob("*") if path.is_file()]
        path.unlink()
        assert until_disclosed(service, ["KEY_LOST"]) == [{"message": None, "disclosure": "KEY_LOST"}]
        status = service.command("keyring", "status")
        assert status.returncode == 1
        assert "accounts\t0\t0\t1" in status.stdout
        assert "tier 1, personal\t1\t0\t0" in status.stdout
    finally:
        service.stop()
