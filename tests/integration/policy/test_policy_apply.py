"""`calledger policy apply | approve | list`, and what a running and a starting service make of it."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from running import RunningService, command, database_url

from policies import digest, parse, preset_text

QUERY = "{ policy { version digest appliedBy approvedBy } }"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    service = RunningService(tmp_path / "data")
    yield service
    if service.process.poll() is None:
        service.stop()


def written(service: RunningService, days: int, name: str = "policy.toml") -> Path:
    """A policy file: the default one, errors kept for `days`."""
    path = service.data.parent / name
    text = re.sub(r"call_error = \d+", f"call_error = {days}", preset_text("default"))
    path.write_text(re.sub(r"personal = \d+", f"personal = {min(days, 30)}", text))
    return path


def in_force(service: RunningService) -> dict[str, object]:
    return service.ask(service.admin_key, QUERY)["data"]["policy"]


def awaited(service: RunningService, version: int) -> dict[str, object]:
    """The policy that the running service obeys, once it has heard of `version`."""
    while True:
        policy = in_force(service)
        if policy["version"] == version:
            return policy
        time.sleep(0.05)


def key_file(service: RunningService, name: str, role: str = "admin") -> Path:
    path = service.data.parent / name
    path.write_text(service.new_key(role) + "\n")
    return path


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert (result.returncode, result.stdout) == (1, ""), result
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_shorter_window_is_in_force_at_once(service: RunningService) -> None:
    """The change is shown, the digest is the file's own, the running service obeys it; applying twice is once."""
    path = written(service, 14)
    shown = done(service.command("policy", "apply", str(path)))
    policy = parse(path.read_text())

    assert "purges   tier standard call_error: 30 days -> 14 days" in shown
    assert "waits 72 hours" in shown
    assert shown.splitlines()[-1] == digest(policy)
    assert awaited(service, 2) == {"version": 2, "digest": digest(policy), "appliedBy": "cli", "approvedBy": None}
    assert "in force already" in done(service.command("policy", "apply", str(path)))
    listed = [line.split("\t") for line in done(service.command("policy", "list")).splitlines()]
    assert [(row[0], row[1], row[4]) for row in listed] == [("2", "in force", "cli"), ("1", "replaced", "system")]
    service.stop()
    service.start()
    assert in_force(service)["digest"] == digest(policy)


def test_what_keeps_longer_waits_for_another_admin(service: RunningService) -> None:
    """Neither the shell nor the key in its folder approves what the shell asked for; nor any key but an admin's."""
    path, admin_file = written(service, 60), service.data / "admin.key"
    wanted = digest(parse(path.read_text()))
    second, viewer = key_file(service, "second"), key_file(service, "viewer", "viewer")
    broken = service.data.parent / "broken"
    broken.write_text(admin_file.read_text()[:-5])

    shown = done(service.command("policy", "apply", str(path)))
    assert "keeps    tier standard call_error: 30 days -> 60 days" in shown
    assert "waits for a second admin" in shown
    assert "another admin" in refused(service.command("policy", "approve", wanted, "--key", str(admin_file)))
    assert "only an admin's key" in refused(service.command("policy", "approve", wanted))
    for wrong in (viewer, broken, service.data.parent / "missing"):
        refused(service.command("policy", "approve", wanted, "--key", str(wrong)))
    secret = second.read_text().strip()
    assert secret not in refused(service.command("policy", "approve", wanted, "--key", secret))
    assert in_force(service)["version"] == 1
    assert done(service.command("policy", "list")).splitlines()[0].split("\t")[1:3] == ["waits", wanted]

    done(service.command("policy", "approve", wanted, "--key", str(second)))

    prefix = secret.split("_")[1]
    assert awaited(service, 2) == {"version": 2, "digest": wanted, "appliedBy": "cli", "approvedBy": prefix}
    assert "no policy of that digest waits" in refused(
        service.command("policy", "approve", wanted, "--key", str(second))
    )


def test_an_admin_who_asks_by_key_cannot_approve(service: RunningService) -> None:
    """Who asked is the key, not the shell: another key approves, `-` reads it from standard input."""
    path, second = written(service, 60), key_file(service, "second")
    wanted = digest(parse(path.read_text()))
    done(service.command("policy", "apply", str(path), "--key", str(second)))
    # What waited is void once another is in force: it is asked for again, and is another change then.
    done(service.command("policy", "apply", str(written(service, 14, "shorter.toml"))))
    assert "no policy of that digest waits" in refused(
        service.command("policy", "approve", wanted, "--key", "-", stdin=service.admin_key)
    )
    done(service.command("policy", "apply", str(path), "--key", str(second)))
    assert "another admin" in refused(service.command("policy", "approve", wanted, "--key", str(second)))
    done(service.command("policy", "approve", wanted, "--key", "-", stdin=service.admin_key))
    policy = awaited(service, 3)
    assert policy["appliedBy"] == second.read_text().split("_")[1]
    assert policy["approvedBy"] == service.admin_key.split("_")[1]


WRONG = {
    "did you mean `Call.model`": lambda text: text.replace('"Call.model" =', '"Call.modell" ='),
    "write `number = 1` again": lambda text: text.replace("number = 1\n", "number = 2\n"),
    "number 1 is that of tier `standard`": lambda text: text.replace("standard", "renamed"),
    "calledger: ": lambda text: text[:2000],
}


def test_what_cannot_be_in_force_changes_nothing(service: RunningService) -> None:
    """Neither a file that does not load, leaves a field of the schema out, or renumbers a tier; nor a dry run."""
    path = written(service, 14)
    text = path.read_text()
    for says, change in WRONG.items():
        path.write_text(change(text))
        result = service.command("policy", "apply", str(path))
        assert (result.returncode, says in result.stderr) == (1, True), result.stderr
    path.write_text(text)
    assert "30 days -> 14 days" in done(service.command("policy", "apply", str(path), "--dry-run"))
    assert "would wait" in done(service.command("policy", "apply", str(written(service, 60)), "--dry-run"))
    assert len(done(service.command("policy", "list")).splitlines()) == 1


def test_serve_refuses_a_file_that_is_not_in_force_until_it_is(service: RunningService) -> None:
    """CALLEDGER_POLICY with another digest keeps `serve` from starting, and no other command from putting it right."""
    path = written(service, 14)
    service.stop()
    service._environment["CALLEDGER_POLICY"] = str(path)
    with pytest.raises(RuntimeError, match="calledger policy apply FILE"):
        service.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLEDGER_POLICY", str(path))
        done(command(service.data, "policy", "apply", str(path)))
    service.start()
    assert in_force(service)["digest"] == digest(parse(path.read_text()))


def sql(service: RunningService, statement: str) -> None:
    """As somebody with the owner's access to the database."""

    async def run() -> None:
        connection = await asyncpg.connect(database_url(service.data))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def test_a_forged_policy_keeps_the_service_from_starting(service: RunningService) -> None:
    """A running service keeps the policy that it has and says so; a starting one refuses in one clear line."""
    sql(
        service,
        "UPDATE policy_version SET document = replace(document, 'call_error = 30', 'call_error = 300'), version = 2; "
        "SELECT pg_notify('calledger_control', 'policy')",
    )
    while "the one before it stays in force" not in service.log.read_text():
        time.sleep(0.05)
    line = next(line for line in service.log.read_text().splitlines() if "the one before it stays" in line)
    assert json.loads(line)["version"] == 1
    assert service.ask(service.admin_key, "{ viewer { role } }")["data"]
    service.stop()
    with pytest.raises(RuntimeError, match="is not what was applied"):
        service.start()
    assert "Traceback" not in service.log.read_text()


def test_a_rewritten_policy_contradicts_the_ledger(service: RunningService) -> None:
    """A forgery whose digest fits is found by the ledger; applying the right policy again puts it right."""
    path = written(service, 14)
    done(service.command("policy", "apply", str(path)))
    awaited(service, 2)
    sql(service, "DELETE FROM policy_version WHERE version = 2")
    service.stop()
    with pytest.raises(RuntimeError, match="by the ledger version 2"):
        service.start()
    done(command(service.data, "policy", "apply", str(path)))
    service.start()
    assert in_force(service)["digest"] == digest(parse(path.read_text()))
