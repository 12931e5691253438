"""A keyring that is lost, on the real service: what goes on without it, and how a new one begins."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running import RunningService, command

from service.keyring import create_kek_file

ERRORS = "{ errors(first: 9) { nodes { message disclosure } } }"
BILL = "{ calls(first: 9) { totalCount nodes { amount { amount } } } costs { totals { calls } } }"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    service = RunningService(tmp_path / "data")
    yield service
    if service.process.poll() is None:
        service.stop()


def failed(id_: str) -> dict[str, object]:
    error = {"type": "RateLimitError", "code": "429", "message": f"limit reached for {id_}"}
    moment = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    call = {"id": id_, "started_at": moment, "model": "gpt-4o", "status": "failed", "user": "u-1", "error": error}
    return call | {"account": "acme"}


def until(ask: Callable[[], object], wanted: object) -> object:
    """The answer, once it is as wanted; the last one if it never is."""
    deadline = time.monotonic() + 60
    while (answer := ask()) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def disclosed(service: RunningService, key: str | None = None) -> list[tuple[str | None, str]]:
    nodes = service.ask(key or service.admin_key, ERRORS)["data"]["errors"]["nodes"]
    return sorted(((node["message"], node["disclosure"]) for node in nodes), key=str)


def readiness(service: RunningService) -> dict[str, object]:
    return json.loads(service.request("GET", "/readyz")[2])


def logged(service: RunningService, words: str, *, whole: bool = False) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if (words == line["event"] if whole else words in line["event"])]


def unsealed(service: RunningService) -> float:
    return service.figure("calledger_ingest_unsealed_total")


def remove(data: Path) -> None:
    shutil.move(data / "keyring", data.parent / "lost")


def empty(data: Path) -> None:
    remove(data)
    (data / "keyring").mkdir(mode=0o700)


def take_kek(data: Path) -> None:
    (data / "kek").rename(data.parent / "lost-kek")


def anothers(data: Path) -> None:
    remove(data)
    other = RunningService(data.parent / "other", is_first=True)
    other.stop()
    shutil.copytree(other.data / "keyring", data / "keyring")
    shutil.copy(other.data / "kek", data / "kek")


@pytest.mark.parametrize("lose", [remove, empty, take_kek, anothers])
def test_everything_but_sealed_fields_is_served(service: RunningService, lose: Callable[[Path], None]) -> None:
    """Whatever became of the keyring, the service starts without it, says so, and gives and takes everything else."""
    ingest = service.new_key("ingest")
    assert service.report(ingest, failed("first"))["accepted"] == 1
    assert until(lambda: disclosed(service), [("limit reached for first", "CLEAR")])
    service.stop()
    lose(service.data)
    service.start()

    assert len(logged(service, "the keyring is gone")) == 1
    assert readiness(service) == {"status": "degraded", "missing": ["the keyring"]}
    assert disclosed(service) == [(None, "SEALED")]
    before = unsealed(service)
    assert service.report(ingest, failed("second"))["accepted"] == 1
    assert unsealed(service) > before
    assert until(lambda: disclosed(service), [(None, "NOT_KEPT"), (None, "SEALED")])
    answer = service.ask(service.admin_key, BILL)
    assert "errors" not in answer
    assert answer["data"]["calls"]["totalCount"] == 2
    status = service.command("status")
    assert status.returncode == 0, status.stderr
    assert "away: " in status.stdout
    assert service.command("keyring", "status").returncode == 1
    assert b"limit reached for second" not in service.everything_on_disk()
    assert lose in (take_kek, anothers) or not (service.data / "keyring" / "keyring.json").exists()


def usable(service: RunningService) -> str:
    lines = service.metrics().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("calledger_keyring_usable"))


def test_a_wrong_key_is_refused_at_the_start_and_loud_when_it_is_allowed(service: RunningService) -> None:
    """A setting is mended before anything is lost; allowed, or exchanged under way, it is said wherever one looks."""
    assert until(lambda: usable(service), "1.0") == "1.0"
    service.stop()
    create_kek_file(service.data / "another")
    (service.data / "kek").rename(service.data / "right")
    (service.data / "another").rename(service.data / "kek")
    with pytest.raises(RuntimeError, match="CALLEDGER_START_WITHOUT_KEK=true starts without it"):
        service.start()

    service = RunningService(service.data, environment={"CALLEDGER_START_WITHOUT_KEK": "true"})
    try:
        assert readiness(service) == {"status": "degraded", "missing": ["the keyring"]}
        assert until(lambda: usable(service), "0.0") == "0.0"
        status, fsck = service.command("status").stdout, service.command("fsck")
        assert "away: the key-encryption key does not open the keyring" in status
        assert "being lost" in status
        assert (fsck.returncode, "not looked at: the key-encryption key does not open" in fsck.stdout) == (1, True)
        (service.data / "right").replace(service.data / "kek")
        assert until(lambda: usable(service), "1.0") == "1.0"
    finally:
        service.stop()


def test_a_keyring_that_comes_back_is_used_again(service: RunningService) -> None:
    """Gone before the start or under way, it is noticed within seconds when it is back, and what it sealed opens."""
    ingest = service.new_key("ingest")
    service.report(ingest, failed("first"))
    until(lambda: disclosed(service), [("limit reached for first", "CLEAR")])
    remove(service.data)
    assert disclosed(service) == [(None, "SEALED")]
    assert until(lambda: len(logged(service, "the keyring is gone")), 1) == 1
    service.stop()
    service.start()
    assert disclosed(service) == [(None, "SEALED")]

    shutil.move(service.data.parent / "lost", service.data / "keyring")
    assert until(lambda: disclosed(service), [("limit reached for first", "CLEAR")]) == [
        ("limit reached for first", "CLEAR")
    ]
    assert readiness(service) == {"status": "ok"}
    assert until(lambda: len(logged(service, "the keyring is back", whole=True)), 1) == 1
    assert service.command("fsck").returncode == 0


def test_replace_is_refused(service: RunningService, tmp_path: Path) -> None:
    """Without the word for it, and while the keyring still opens, nothing is replaced; nor is another's keyring."""
    service.stop()
    remove(service.data)
    done = service.command("keyring", "replace")
    assert done.returncode == 2
    assert "--accept-loss" in done.stderr
    assert not (service.data / "keyring").exists()
    shutil.move(tmp_path / "lost", service.data / "keyring")

    done = service.command("keyring", "replace", "--accept-loss")
    assert done.returncode == 1
    assert "opens, so nothing is lost" in done.stderr

    other = RunningService(tmp_path / "other", is_first=True)
    other.stop()
    theirs = {"CALLEDGER_KEYRING": f"file:{other.data / 'keyring'}", "CALLEDGER_KEK": f"file:{other.data / 'kek'}"}
    done = command(service.data, "keyring", "replace", "--accept-loss", environment=theirs)
    assert done.returncode == 1
    assert "belongs to database" in done.stderr
    other.start()
    assert readiness(other) == {"status": "ok"}
    other.stop()


def bundle(service: RunningService, *options: str) -> Path:
    path = service.data.parent / f"bundle-{time.monotonic_ns()}"
    done = service.command("ledger", "export", str(path), *options)
    assert done.returncode == 0, done.stderr
    return path


def verify(service: RunningService, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return service.command("verify", str(path), *options)


def facts(service: RunningService, kind: str) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in bundle(service).read_text().splitlines()]
    leaves = [json.loads(base64.b64decode(entry["leaf"])) for entry in entries if entry["type"] == "entry"]
    return [leaf["facts"] for leaf in leaves if leaf["kind"] == kind]


def test_a_new_keyring_begins(service: RunningService, tmp_path: Path) -> None:
    """The command begins one while the service runs without: keys and API keys go on, old details are lost and said to
    be, in `fsck`, `attest` and status; verifiers follow in true words; the old keyring is not taken up again."""
    ingest = service.new_key("ingest")
    service.report(ingest, failed("first"))
    until(lambda: disclosed(service), [("limit reached for first", "CLEAR")])
    old_key = service.command("ledger", "key").stdout.strip()
    kept = tmp_path / "checkpoint"
    kept.write_text(service.command("ledger", "checkpoint").stdout)
    service.stop()
    remove(service.data)
    service.start()
    service.report(ingest, failed("second"))

    done = service.command("keyring", "replace", "--accept-loss", "--reason", "the volume was deleted")
    assert done.returncode == 0, done.stderr
    assert "API keys go on as they are" in done.stdout
    assert until(lambda: readiness(service), {"status": "ok"}) == {"status": "ok"}
    assert service.report(ingest, failed("third"))["accepted"] == 1
    wanted = [("limit reached for third", "CLEAR"), (None, "KEY_LOST"), (None, "NOT_KEPT")]
    assert until(lambda: disclosed(service), wanted) == wanted

    (replaced,) = facts(service, "KEYRING_REPLACED")
    assert replaced["keys"] == 2
    assert replaced["api_keys"] == 0
    (lost,) = facts(service, "KEY_LOST")
    assert lost["replaced"] is True
    assert len(lost["keys"]) == 2
    checked = service.command("fsck")
    assert checked.returncode == 1
    assert "account/1 was lost by" in checked.stdout
    keys = service.command("keyring", "status")
    assert keys.returncode == 1
    assert "accounts\t1\t0\t1" in keys.stdout
    assert "account/1 was lost by" in service.command("status").stdout
    statement = tmp_path / "statement.json"
    service.command("attest", str(statement))
    said = {one["title"]: one for one in json.loads(statement.read_text())["statement"]["checks"]}
    assert not said["keys, here or destroyed on record"]["holds"]

    new_key = service.command("ledger", "key").stdout.strip()
    assert new_key != old_key
    whole = bundle(service)
    assert "verified: signed by the key you gave" in verify(service, whole, "--key", new_key).stdout
    assert "says that the keyring was lost" in verify(service, whole, "--key", new_key).stdout
    refused = verify(service, whole, "--key", old_key)
    assert refused.returncode == 1
    assert "says that the keyring was lost" in refused.stderr + refused.stdout
    since = verify(service, bundle(service, "--since", str(kept)), "--key", new_key, "--since", str(kept))
    assert since.returncode == 0, since.stderr
    assert "nothing was changed or removed" in since.stdout

    service.stop()
    shutil.move(service.data / "keyring", tmp_path / "new")
    shutil.move(tmp_path / "lost", service.data / "keyring")
    service.start()
    assert readiness(service)["status"] == "degraded"
    assert "restore that one" in service.command("status").stdout
    shutil.rmtree(service.data / "keyring")
    shutil.move(tmp_path / "new", service.data / "keyring")
    assert until(lambda: disclosed(service), wanted) == wanted
    service.stop()
    service.start()
    assert readiness(service) == {"status": "ok"}


def test_without_fallback_secrets_api_keys_are_reset(service: RunningService) -> None:
    """With neither keyring nor fallback secrets the service refuses, naming the command; that ends every API key."""
    ingest, old_admin = service.new_key("ingest"), service.admin_key
    service.report(ingest, failed("first"))
    service.stop()
    remove(service.data)
    (service.data / "standby").unlink()
    with pytest.raises(RuntimeError, match="calledger keyring replace --accept-loss"):
        service.start()

    done = service.command("keyring", "replace", "--accept-loss")
    assert done.returncode == 0, done.stderr
    assert "2 API keys were revoked" in done.stdout
    assert service.admin_key != old_admin
    service.start()
    assert service.request("POST", "/v1/calls", key=ingest, body=b"[]")[0] == 401
    assert disclosed(service) == [(None, "KEY_LOST")]
    assert service.report(service.new_key("ingest"), failed("second"))["accepted"] == 1
    checked = service.command("fsck")
    assert "api keys" not in checked.stdout.lower() or "FAIL" not in checked.stdout.split("api keys")[1].split("\n")[0]


def test_lost_twice(service: RunningService, tmp_path: Path) -> None:
    """A new keyring that is lost in turn is replaced in turn, also where the first one has come back in its place."""
    service.stop()
    remove(service.data)
    assert service.command("keyring", "replace", "--accept-loss").returncode == 0
    shutil.rmtree(service.data / "keyring")
    shutil.move(tmp_path / "lost", service.data / "keyring")

    done = service.command("keyring", "replace", "--accept-loss")
    assert done.returncode == 0, done.stderr
    assert "what was left of the old keyring" in done.stdout
    service.start()
    assert readiness(service) == {"status": "ok"}
    assert len(facts(service, "KEYRING_REPLACED")) == 2
    assert service.command("fsck").returncode == 0


def account_key(service: RunningService) -> Path:
    (path,) = [path for path in (service.data / "keyring" / "packs" / "accounts").rglob("*") if path.is_file()]
    return path


@pytest.mark.parametrize("running", [True, False])
def test_a_lost_account_key_stays_named(service: RunningService, running: bool) -> None:
    """A key whose file is deleted is written down as lost before another is made for the account, and `fsck`, `attest`
    and status go on naming it; what the new one seals opens."""
    ingest = service.new_key("ingest")
    service.report(ingest, failed("first"))
    until(lambda: disclosed(service), [("limit reached for first", "CLEAR")])
    service.stop()
    service.start()  # a round of maintenance writes down the keys that were made
    assert until(lambda: len(facts(service, "KEY_CREATED")), 1) == 1
    if not running:
        service.stop()
    account_key(service).unlink()
    if not running:
        service.start()
    for id_ in ("second", "third", "fourth"):  # the first of them may meet the key that is gone
        assert service.report(ingest, failed(id_))["accepted"] == 1
    assert account_key(service).exists()

    lost = facts(service, "KEY_LOST")
    # Where the round of maintenance at the start came first, it has said so too.
    assert [one for one in lost if one != {"keys": ["account/1"]}] == [{"keys": ["account/1"], "replaced": True}]
    assert len(logged(service, "a key is lost, and another is made in its place")) == 1
    shown = disclosed(service)
    assert (None, "KEY_LOST") in shown
    assert ("limit reached for fourth", "CLEAR") in shown
    checked = service.command("fsck")
    assert checked.returncode == 1
    assert "account/1 was lost by" in checked.stdout
    assert service.command("keyring", "status").returncode == 1
    assert "account/1 was lost by" in service.command("status").stdout
    statement = service.data.parent / "statement.json"
    service.command("attest", str(statement))
    said = {one["title"]: one for one in json.loads(statement.read_text())["statement"]["checks"]}
    assert "account/1" in said["keys, here or destroyed on record"]["finding"]


def test_a_key_that_is_put_back_is_no_longer_lost(service: RunningService) -> None:
    """A key's file is lost, another is made in its place, and the old one comes back: what it sealed opens, and neither
    fsck, attest, status nor `keyring status` call it lost any more."""
    ingest = service.new_key("ingest")
    service.report(ingest, failed("first"))
    until(lambda: disclosed(service), [("limit reached for first", "CLEAR")])
    service.stop()
    service.start()  # a round of maintenance writes down the keys that were made
    assert until(lambda: len(facts(service, "KEY_CREATED")), 1) == 1
    kept = account_key(service).read_bytes()
    account_key(service).unlink()
    # Its pseudonym wants the key, and nothing is sealed with it.
    plain = {name: value for name, value in failed("second").items() if name != "error"} | {"status": "succeeded"}
    assert service.report(ingest, plain)["accepted"] == 1
    until(lambda: {"keys": ["account/1"], "replaced": True} in facts(service, "KEY_LOST"), True)
    assert "account/1 was lost by" in service.command("fsck").stdout
    path = account_key(service)
    path.chmod(0o600)
    path.write_bytes(kept)

    assert service.command("fsck").returncode == 0
    assert "account/1" not in service.command("status").stdout
    assert service.command("keyring", "status").returncode == 0
    statement = service.data.parent / "statement.json"
    service.command("attest", str(statement))
    said = {one["title"]: one for one in json.loads(statement.read_text())["statement"]["checks"]}
    assert said["keys, here or destroyed on record"]["holds"]
