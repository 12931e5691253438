"""`calledger purge`, `hold`, `erase` and `accounts tier`, as an operator types them, beside a running service."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate
from running import RunningService, bare_command, command

ROOT = Path(__file__).parents[3]
MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("retention") / "data")
    key = service.new_key("ingest")
    for account in ("acme", "other"):
        error = {"type": "E", "message": "no quota left"}
        call = {"id": account, "started_at": MOMENT.isoformat(), "account": account, "model": "m", "status": "failed"}
        service.report(key, {**call, "user": "u-17", "error": error})
    yield service
    service.stop()


def done(service: RunningService, *arguments: str) -> str:
    result = service.command(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_hold_is_placed_listed_and_lifted(service: RunningService) -> None:
    """`place` prints the id alone; `list` shows it in force and then lifted; the service sees the same."""
    hold = done(
        service, "hold", "place", "case-17", "--account", "acme", "--owner", "counsel", "--reason", "suit", "--class",
        "personal",
    ).strip()  # fmt: skip
    assert re.fullmatch(r"hold_[a-z2-7]{26}", hold)
    listed = done(service, "hold", "list").splitlines()[0].split("\t")
    assert (listed[0], listed[3], listed[4], listed[8]) == (hold, "acme", "personal", "in force")
    seen = service.ask(service.admin_key, "{ holds(active: true) { nodes { id owner } } }")
    assert seen["data"]["holds"]["nodes"] == [{"id": hold, "owner": "counsel"}]
    assert done(service, "hold", "lift", hold, "--reason", "settled") == "lifted; 0 copies deleted\n"
    again = service.command("hold", "lift", hold, "--reason", "settled")
    assert again.returncode == 1
    assert "lifted before" in again.stderr


def test_held_rows_are_exported_by_the_holds_id(service: RunningService, tmp_path: Path) -> None:
    """`export` writes a file for its owner alone and says how many rows; a wrong id or no reason is told in a line."""
    hold = done(service, "hold", "place", "c", "--account", "acme", "--owner", "counsel", "--reason", "suit").strip()
    file = tmp_path / "case.ndjson"
    assert done(service, "hold", "export", hold, str(file)) == f"0 calls and 0 errors written to {file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    wrong = service.command("hold", "export", "hold_x", str(file))
    assert (wrong.returncode, "`hold_x` is not the id of a hold" in wrong.stderr) == (1, True)
    assert service.command("hold", "export", hold, str(file), "--reveal").returncode == 2
    done(service, "hold", "lift", hold, "--reason", "settled")
    assert "lifted" in service.command("hold", "export", hold, str(file)).stderr


def test_an_erasure_says_what_is_left_to_do(service: RunningService) -> None:
    """A person's rows go at once, and the answer says from when copies cannot be opened."""
    said = done(service, "erase", "--account", "acme", "--user", "u-17", "--reason", "asked")
    assert said.startswith("2 rows erased\n")
    assert "copies in backups cannot be opened from" in said
    users = service.ask(service.admin_key, "{ calls { nodes { account user } } }")["data"]["calls"]["nodes"]
    assert {one["account"]: one["user"] is None for one in users} == {"acme": True, "other": False}
    assert service.command("erase", "--account", "acme", "--reason", "asked").returncode == 2


def test_a_tier_that_is_not_there_or_comes_too_soon_is_refused(service: RunningService) -> None:
    """The command says which tiers there are, from when a move can take effect, and that one to the same is none."""
    unknown = service.command("accounts", "tier", "acme", "gold")
    assert (unknown.returncode, "`standard`" in unknown.stderr) == (1, True)
    soon = service.command("accounts", "tier", "acme", "standard", "--from", f"{MOMENT:%Y-%m-%d}")
    assert (soon.returncode, "at the soonest" in soon.stderr) == (1, True)
    same = service.command("accounts", "tier", "acme", "standard")
    assert (same.returncode, "nothing moves" in same.stderr) == (1, True)


def test_nothing_is_due_in_a_new_ledger(service: RunningService) -> None:
    """`--dry-run` prints the digest of the empty plan, `purge` ends well, and fsck finds nothing."""
    assert "nothing is due" in done(service, "purge", "--dry-run")
    assert "nothing was due" in done(service, "purge")
    assert "FAIL" not in done(service, "fsck")


def test_a_dry_run_says_all_of_what_would_go(tmp_path: Path) -> None:
    """Partitions with exact rows and bytes, keys, what holds keep, and the digest, which `--plan` then carries out."""
    service = RunningService(tmp_path / "data")
    try:
        old = datetime.now(UTC) - timedelta(days=25)
        calls = [
            {"id": f"c{number}", "started_at": old.isoformat(), "model": "m", "status": "failed", "account": account,
             "user": "u-1", "error": {"type": "E", "message": "no quota left"}}
            for number, account in enumerate(("acme", "acme", "other"))
        ]  # fmt: skip
        service.report(service.new_key("ingest"), *calls)
        done(
            service,
            "hold",
            "place",
            "case",
            "--account",
            "acme",
            "--owner",
            "c",
            "--reason",
            "r",
            "--class",
            "personal",
        )
        path = tmp_path / "short.toml"
        text = bare_command("policy", "show", "default").stdout
        path.write_text(re.sub(r"(call|call_error|usage_quarter|personal) = [0-9]+", r"\1 = 5", text))
        done(service, "policy", "apply", str(path))

        while "usage_quarter_t1_" not in (said := done(service, "purge", "--dry-run")):
            pass  # once the deltas are compacted, their partition is in the plan
        planned = service.ask(
            service.new_key("compliance"),
            "mutation { planPurge(input: {}) { digest rowsHeldBack partitions { name rows bytes } } }",
        )["data"]["planPurge"]
        found = re.findall(r"(?m)^((?:call|call_error)_t1_\S+)\s.*\s([0-9]+)\s+([0-9]+)$", said)
        assert [int(rows) for _, rows, _ in found] == [3, 3]
        assert all(int(size) > 0 for *_, size in found)
        assert f"key of tier 1, personal, {old:%Y-%m-%d}" in said
        assert "4 rows of these are kept by holds" in said
        assert "due by a change of policy" in said
        digest = re.findall(r"(?m)^plan (sha256:[0-9a-f]{64})$", said)[0]
        assert (planned["digest"], planned["rowsHeldBack"]) == (digest, "4")
        rows = {part["name"]: part["rows"] for part in planned["partitions"]}
        assert rows.items() >= {(name, rows) for name, rows, _ in found}
        assert "nothing was due" in done(service, "purge")
        assert "4 rows kept by holds" in done(service, "purge", "--plan", digest)
    finally:
        service.stop()


def test_a_whole_account_goes_with_its_name(service: RunningService) -> None:
    """After `--all` the service knows no such account, its key's reports begin a new one, and fsck finds nothing."""
    done(service, "erase", "--account", "other", "--all", "--reason", "contract ended")
    names = service.ask(service.admin_key, "{ accounts { nodes { name } } }")["data"]["accounts"]["nodes"]
    assert {"name": "other"} not in names
    assert "FAIL" not in done(service, "fsck")


def test_one_query_answers_an_auditor(service: RunningService) -> None:
    """The first query of docs/retention.md, as it stands there: windows, what is overdue, who held, and who looked."""
    hold = done(
        service, "hold", "place", "case-18", "--account", "acme", "--owner", "counsel", "--reason", "suit 18"
    ).strip()  # fmt: skip
    support = service.new_key("support")
    [error] = service.ask(support, '{ errors(filter: {account: {eq: "acme"}}) { nodes { id } } }')["data"]["errors"][
        "nodes"
    ]
    reveal = 'mutation($id: ID!) { revealError(input: {errorId: $id, reason: "ticket 9"}) { ledgerIndex } }'
    index = service.ask(support, reveal, id=error["id"])["data"]["revealError"]["ledgerIndex"]
    query = re.search(r"```graphql\n(.*?)```", (ROOT / "docs" / "retention.md").read_text(), re.DOTALL)[1]
    answer = service.ask(service.new_key("auditor"), query)

    assert "errors" not in answer, answer
    said = answer["data"]
    assert said["policy"]["digest"] == said["retention"]["policyDigest"]
    classes = said["retention"]["classes"]
    assert {(one["name"], one["store"]) for one in classes} >= {("BILLING", "CALL"), ("PERSONAL", "CALL_ERROR")}
    assert all(one["windowDays"] and one["overdue"] == "0" and one["keys"]["lost"] == "0" for one in classes)
    assert any(one["oldest"] is not None for one in classes)
    assert said["retention"]["missing"] == []
    held = {one["id"]: (one["owner"], one["reason"], one["scope"]["account"]) for one in said["holds"]["nodes"]}
    assert held[hold] == ("counsel", "suit 18", "acme")
    looked = {one["index"]: (one["kind"], one["actor"], one["note"]) for one in said["ledger"]["nodes"]}
    assert looked[index] == ("ERROR_REVEALED", support.split("_")[1], "ticket 9")
    done(service, "hold", "lift", hold, "--reason", "settled")


def test_every_query_of_the_page_for_auditors_is_one(service: RunningService) -> None:
    """Each GraphQL text of docs/retention.md is valid in the schema, and an auditor's key may ask the queries."""
    text = (ROOT / "docs" / "retention.md").read_text()
    schema = build_schema((ROOT / "schema.graphql").read_text())
    inline = [one for one in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)) if "{" in one]
    blocks = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    queries = [one if one.startswith(("{", "mutation")) else f"{{ {one} }}" for one in inline]
    assert len(blocks) >= 5
    for query in [*blocks, *queries]:
        assert validate(schema, parse(query)) == [], query
    auditor = service.new_key("auditor")
    for query in blocks:
        assert "errors" not in service.ask(auditor, query), query


def test_a_reprice_shows_what_it_would_write_then_writes_and_ledgers_it(
    service: RunningService, tmp_path: Path
) -> None:
    """Dry by default, with a table and as JSON; written once, with the lists, counts and sums in the ledger."""
    key = service.new_key("ingest", "acme")
    row = {"id": "unpriced", "started_at": MOMENT.isoformat(), "model": "house-model", "status": "succeeded"}
    service.report(key, {**row, "input_tokens": 1_000_000, "output_tokens": 0})
    prices = tmp_path / "prices.toml"
    prices.write_text(
        'name = "acme"\ncurrency = "EUR"\n[[prices]]\nmodel = "house-model"\ninput = "2.5"\noutput = "0"\n'
    )
    surroundings = {"CALLEDGER_PRICES": str(prices)}
    since = ("reprice", "--since", f"{MOMENT:%Y-%m-%d}", "--model", "house-model")

    looked = command(service.data, *since, environment=surroundings)
    written = command(service.data, *since, "--apply", "--json", environment=surroundings)
    again = command(service.data, *since, "--apply", environment=surroundings)

    assert looked.stdout.splitlines() == [
        "acme\thouse-model\tEUR\t1\t0\t0\t2.5\t+2.5",
        "of 1 calls 1 would be completed, 0 would be corrected",
        "nothing is written: add --apply",
    ], looked.stderr
    assert written.returncode == 0, written.stderr
    said = json.loads(written.stdout)
    assert (said["completed"], said["amounts"], said["written"]) == (1, {"eur": {"before": "0", "after": "2.5"}}, True)
    assert again.stdout.splitlines()[-1] == "of 1 calls 0 were completed, 0 were corrected"
    query = "{ ledger(first: 9, filter: {kind: {eq: REPRICE_RESULT}}) { nodes { leaf note } } }"
    entries = service.ask(service.new_key("auditor"), query)["data"]["ledger"]["nodes"]
    facts = [json.loads(b64decode(entry["leaf"]))["facts"] for entry in entries]
    assert {entry["note"] for entry in entries} == {"model house-model"}
    assert sorted(one["completed"] for one in facts) == [0, 1]
    assert all(one["whole"] and one["price_lists"][0].startswith("acme:") for one in facts)
    refused = command(service.data, "reprice", "--since", "2026-11-01T06:00")
    assert (refused.returncode, "has no offset" in refused.stderr) == (2, True)


def test_a_bill_is_reconciled_as_table_and_as_page(service: RunningService, tmp_path: Path) -> None:
    """What differs is said and makes the exit code 1; what agrees makes it 0; columns of nothing known are refused."""
    key = service.new_key("ingest", "other")
    row = {"id": "billed", "started_at": MOMENT.isoformat(), "model": "billed-model", "status": "succeeded"}
    service.report(key, {**row, "amount": "1.5", "currency": "USD"})
    bill = tmp_path / "bill.csv"
    bill.write_text(f"day,model,currency,amount\n{MOMENT:%Y-%m-%d},billed-model,USD,1.5\n")
    page = tmp_path / "page.html"

    same = service.command("reconcile", str(bill), "--account", "other")
    bill.write_text(bill.read_text() + f"{MOMENT:%Y-%m-%d},other-model,USD,2\nsome day,x,USD,1\n")
    other = service.command("reconcile", str(bill), "--account", "other", "--format", "html", "--output", str(page))
    shown = service.command("reconcile", str(bill), "--account", "other")
    bill.write_text("a,b\n1,2\n")
    refused = service.command("reconcile", str(bill))

    assert (same.returncode, same.stdout.splitlines()[0]) == (0, "USD: theirs 1.5, ours 1.5"), same.stderr
    assert (other.returncode, "other-model" in page.read_text()) == (1, True), other.stderr
    assert shown.stdout.splitlines()[:2] == [
        f"MISSING_HERE\t{MOMENT:%Y-%m-%d}\tother-model\tUSD\t1\t2\t0\t2\t",
        "1 rows could not be read: one has no day, and no time that can be read: write 2026-11-30 or RFC 3339",
    ]
    assert (refused.returncode, "no bill that is known" in refused.stderr) == (1, True)
