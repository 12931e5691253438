"""What the commands print, and what the log of a start says, of what was done behind our back."""

import asyncio
import json
from pathlib import Path

import asyncpg
from running import RunningService, command

MANIPULATIONS = {
    "UPDATE api_key SET revoked_at = NULL": "is live here: it is refused",
    "UPDATE api_key SET role = 'admin' WHERE role = 'auditor'": "role is `auditor` in the ledger and `admin` here",
    "ALTER TABLE call DISABLE ROW LEVEL SECURITY": "row-level security of `call` is switched off",
    "ALTER TABLE ledger_entry DISABLE TRIGGER append_only": "`append_only` of `ledger_entry` is switched off",
    "UPDATE ledger_entry SET actor = 'system'": "its columns say something else than its leaf",
    "UPDATE policy_version SET applied_by = 'somebody'": "applied_by is `system` in the ledger and `somebody` here",
}


async def manipulate(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in MANIPULATIONS:
            await connection.execute(statement)
    finally:
        await connection.close()


def test_each_command_and_the_log_of_a_start_say_what_was_done(database_url: str, tmp_path: Path) -> None:
    """`fsck` and `attest` fail and say it, `status` says it, and so does the log: in the same words."""
    environment = {"CALLEDGER_DATABASE_URL": database_url}
    service = RunningService(tmp_path / "data", environment=environment)

    def run(*arguments: str) -> tuple[int, str]:
        done = command(service.data, *arguments, environment=environment)
        return done.returncode, done.stdout

    revoked = run("keys", "create", "--role", "viewer")[1].strip()
    auditor = run("keys", "create", "--role", "auditor")[1].strip()
    assert run("keys", "revoke", revoked.split("_")[1])[0] == 0
    assert run("purge")[0] == 0
    service.stop()
    asyncio.run(manipulate(database_url))
    service.start()
    try:
        checked, said = run("fsck")
        attested, statement = run("attest", str(tmp_path / "statement.json"))
        _, status = run("status")
        for words in MANIPULATIONS.values():
            assert words in said, said
            assert words in statement, statement
            assert words in status, status
            assert words.replace("`", "") in service.log.read_text().replace("`", ""), words
        assert (checked, attested) == (1, 1)
        states = {row.split("\t")[0]: row.split("\t")[-1] for row in run("keys", "list")[1].splitlines()}
        assert states[revoked.split("_")[1]].startswith("refused: revoked by entry ")
        assert states[auditor.split("_")[1]] == "live"
        assert service.request("POST", "/graphql", key=revoked, body=b'{"query": "{ viewer { role } }"}')[0] == 401
        asked = service.request("POST", "/graphql", key=auditor, body=b'{"query": "{ viewer { role } }"}')[2]
        assert json.loads(asked)["data"]["viewer"]["role"] == "AUDITOR"
    finally:
        service.kill()
