"""What `serve --demo` shows beside its calls: what each role is to find on the console's pages."""

from collections.abc import Iterator
from typing import Any

import pytest
from running import RunningService


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("demo") / "data", "--demo")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def keys(service: RunningService) -> dict[str, str]:
    return dict(line.split() for line in service.lines[:-1])


def ask(service: RunningService, key: str, query: str) -> dict[str, Any]:
    answer = service.ask(key, query)
    assert "errors" not in answer, answer
    return answer["data"]


def failed_calls(service: RunningService, key: str) -> list[dict[str, Any]]:
    """Every failed call of the demo: which of them are the newest depends on the hour at which it starts."""
    query = """query ($after: String) { calls(first: 200, after: $after, filter: {status: {eq: FAILED}}) {
        pageInfo { endCursor hasNextPage }
        nodes { user error { type message disclosure redactions { rule } parameters { name value action } } } } }"""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        answer = service.ask(key, query, after=after)
        assert "errors" not in answer, answer
        found += [call for call in answer["data"]["calls"]["nodes"] if call["error"]]
        if not answer["data"]["calls"]["pageInfo"]["hasNextPage"]:
            return found
        after = answer["data"]["calls"]["pageInfo"]["endCursor"]


@pytest.mark.parametrize("role", ["admin", "viewer", "partner", "support", "auditor", "compliance", "ingest"])
def test_each_key_has_its_role(service: RunningService, keys: dict[str, str], role: str) -> None:
    """The key that is printed after a role has it, and that of a partner one account."""
    viewer = ask(service, keys[role], "{ viewer { role accounts } }")["viewer"]
    assert viewer == {"role": role.upper(), "accounts": ["acme"] if role == "partner" else None}


def test_errors_were_masked_by_many_rules(service: RunningService, keys: dict[str, str]) -> None:
    """Credentials of several kinds, addresses, cards and parameters; no invented secret or address is left in clear."""
    errors = [call["error"] for call in failed_calls(service, keys["viewer"]) if call["user"] is not None]
    rules = {redaction["rule"] for error in errors for redaction in error["redactions"]}
    assert rules >= {"openai-key", "github-token", "email", "ip-address", "payment-card", "iban", "jwt", "phone"}
    actions = {parameter["action"] for error in errors for parameter in error["parameters"]}
    assert actions >= {"KEPT", "DROPPED", "SHAPED"}
    for left in ("sk-proj-", "ghp_", "@example", "4242 4242", "DE89 3704", "board meeting"):
        assert left not in str(errors)


def test_an_erased_person_left_errors_without_details(service: RunningService, keys: dict[str, str]) -> None:
    """What failed for the person who was erased is still counted and typed; nothing of what it said is kept."""
    errors = [call["error"] for call in failed_calls(service, keys["viewer"]) if call["user"] is None]
    assert errors
    for error in errors:
        assert (error["message"], error["parameters"], error["disclosure"]) == (None, None, "NOT_KEPT")


def test_an_invoice_was_compared(service: RunningService, keys: dict[str, str]) -> None:
    """A day of one account, call by call: some are billed twice, at another price, unreported, or not at all."""
    query = "{ reconciliations { nodes { name byIds accounts failure kinds { kind calls } } } }"
    [found] = ask(service, keys["viewer"], query)["reconciliations"]["nodes"]
    kinds = {one["kind"]: one["calls"] for one in found["kinds"]}
    assert (found["byIds"], found["accounts"], found["failure"]) == (True, ["acme"], None)
    assert kinds.keys() >= {"MISSING_HERE", "MISSING_THERE", "DOUBLED_THERE", "PRICED_DIFFERENTLY"}
    assert kinds["MISSING_HERE"] == 2


def test_amounts_are_of_every_kind(service: RunningService, keys: dict[str, str]) -> None:
    """Billed in parts, estimated by the price list, unknown; three currencies; corrections with their net amounts."""
    parts = "amountParts { meter priceList } amount { source }"
    for condition in (
        'amountSource: {eq: BILLED}, model: {eq: "gpt-4o"}, status: {eq: SUCCEEDED}, cacheHit: {eq: false}',
        'amountSource: {eq: ESTIMATED}, model: {eq: "gpt-5-mini"}',
    ):
        call = ask(service, keys["viewer"], f"{{ calls(first: 1, filter: {{{condition}}}) {{ nodes {{ {parts} }} }} }}")
        assert call["calls"]["nodes"][0]["amountParts"], condition
    counted = ask(
        service,
        keys["viewer"],
        """{
        unknown: calls(filter: {amountUnknown: {eq: NOT_PRICED}}) { totalCount }
        corrections: calls(filter: {isCorrection: {eq: true}}) { totalCount }
        corrected: calls(first: 50, filter: {apiKey: {eq: "prod-batch"}}) { totalCount }
        costs { totals { amount { currency } } } }""",
    )
    assert counted["unknown"]["totalCount"] > 50
    assert counted["corrections"]["totalCount"] == 24
    assert {one["amount"]["currency"] for one in counted["costs"]["totals"] if one["amount"]} == {"USD", "EUR", "CNY"}


def test_an_auditor_finds_what_was_done(service: RunningService, keys: dict[str, str]) -> None:
    """A policy that was replaced, a purge that destroyed errors with their keys, a hold that kept some, an erasure."""
    done = ask(
        service,
        keys["auditor"],
        """{
        purgeRuns { nodes { state keysDestroyed rowsHeldBack partitions { class rows } } }
        holds { nodes { name } } erasures { nodes { kind state rows } }
        ledger(first: 100) { nodes { kind } } }""",
    )
    purge = done["purgeRuns"]["nodes"][-1]
    assert (purge["state"], int(purge["keysDestroyed"]) > 0, int(purge["rowsHeldBack"]) > 0) == ("DONE", True, True)
    assert sum(int(partition["rows"]) for partition in purge["partitions"]) > 10
    assert [hold["name"] for hold in done["holds"]["nodes"]] == ["case 2026-041"]
    erasure = done["erasures"]["nodes"][0]
    assert (erasure["kind"], erasure["state"], int(erasure["rows"]) > 10) == ("USER", "DONE", True)
    kinds = [entry["kind"] for entry in done["ledger"]["nodes"]]
    assert kinds.count("POLICY_APPLIED") == 2


def test_refused_rows_have_many_reasons(service: RunningService, keys: dict[str, str]) -> None:
    """What a gateway that is set up wrongly sends is counted by reason, and not stored."""
    since = ask(service, keys["auditor"], "{ ledger(first: 1) { nodes { recordedAt } } }")["ledger"]["nodes"][0][
        "recordedAt"
    ]
    report = ask(
        service, keys["admin"], f'{{ ingestReport(since: "{since[:11]}00:00:00Z") {{ rows {{ reason refused }} }} }}'
    )
    reasons = {row["reason"] for row in report["ingestReport"]["rows"]}
    assert reasons >= {"CONFLICT", "FIELD_INVALID", "FIELD_MISSING", "ACCOUNT_UNUSABLE", "TOO_OLD", "TOO_NEW"}


def test_the_ledger_of_the_demo_is_whole(service: RunningService) -> None:
    """What was purged, held and erased passes the checks that any ledger has to."""
    done = service.command("fsck", "--deep")
    assert done.returncode == 0, done.stdout


def test_budgets_are_set(service: RunningService, keys: dict[str, str]) -> None:
    """Of accounts and of a key, in the currencies of the calls, with what was spent; a partner has its own."""
    query = "{ budgets { account apiKey currency amount spent } }"
    budgets = ask(service, keys["viewer"], query)["budgets"]
    assert {(one["account"], one["currency"]) for one in budgets} == {
        ("acme", "USD"),
        ("globex", "USD"),
        ("huaxing", "CNY"),
        ("initech", "EUR"),
    }
    assert {one["apiKey"] for one in budgets} == {None, "prod-batch"}
    assert {one["account"] for one in ask(service, keys["partner"], query)["budgets"]} == {"acme"}
