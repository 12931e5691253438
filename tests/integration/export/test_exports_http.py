"""Rows to files by `createExport`: what the key would be answered by GraphQL, and nothing else, ever."""

import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from evidence import Auditor, exports_folder
from http_server import Served, serve
from hypothesis import given
from hypothesis import strategies as st
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails
from policies.policy.model import Role, View
from service.export.files.columns import FileColumn
from service.export.files.csv_file import Csv
from service.export.folder import ExportFolder
from service.export.jobs import ExportWriter
from service.ledger import LedgerKind
from service.storage.control.policies import store_policy

PERSON = "jane@example.com"


@dataclass(slots=True)
class ServedLedger:
    """A served ledger with calls of two accounts."""

    seeded: SeededLedger
    served: Served

    async def reader(self, role: Role = Role.VIEWER, *accounts: str) -> Auditor:
        numbers = (await self.seeded.accounts.ensure(accounts)).values() if accounts else ()
        return Auditor(self.served, await self.served.key(role, *numbers))

    async def use(self, **changes: View) -> None:
        """Put a policy in force that shows a viewer some fields otherwise."""
        rule = self.seeded.policy.roles[Role.VIEWER]
        fields = {**rule.fields, **{name.replace("_", "."): view for name, view in changes.items()}}
        changed = replace(rule, fields=MappingProxyType(fields))
        policy = replace(self.seeded.policy, roles=MappingProxyType({**self.seeded.policy.roles, Role.VIEWER: changed}))
        runtime = self.served.runtime
        runtime.applied = await store_policy(runtime.database.owner, policy, applied_by="test")


@pytest.fixture
async def ledger(any_database_url: str, tmp_path: Path) -> AsyncIterator[ServedLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        start = await seeded.now() - timedelta(hours=5)
        calls = [
            StoredCall(
                start + timedelta(seconds=number),
                account="acme" if number % 5 else "globex",
                source_id=f"=cmd|{number}",
                api_key="key-1",
                user="u-17",
                input_tokens=number,
                amount=Decimal("-0.25"),
                currency="USD",
                amount_source=2,
                tags={"team": "a,b"},
            )
            for number in range(450)
        ]
        error = StoredError(details=ErrorDetails(("call ", ("email", PERSON))), rules={"email": 1})
        calls.append(StoredCall(start, source_id="failed", failed=True, error_type="E", error=error))
        await seeded.put(calls)
        async with serve(seeded) as served:
            yield ServedLedger(seeded, served)


def rows(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


async def test_an_export_is_what_graphql_answers(ledger: ServedLedger) -> None:
    """Every row of the filter once, oldest first, over several pages, with the values of the same query."""
    one = await ledger.reader()
    export, body = await one.exported(
        filter={"account": {"eq": "acme"}}, fields=["id", "inputTokens", "amount", "user"]
    )
    query = """{ calls(first: 200, filter: {account: {eq: "acme"}}, orderBy: [{field: STARTED_AT, direction: ASC}]) {
        totalCount nodes { id inputTokens amount { amount currency source } user } } }"""
    answer = (await one.ask(query))["calls"]

    found = rows(body)
    assert found[:200] == answer["nodes"]
    assert len({row["id"] for row in found}) == len(found) == answer["totalCount"] == int(export["rows"])
    assert (export["sha256"], export["bytes"]) == ("sha256:" + sha256(body).hexdigest(), str(len(body)))
    manifest = json.loads(export["manifest"])
    assert manifest["filter"] == {"account": {"eq": "acme"}}
    assert (manifest["rows"], manifest["sha256"]) == (len(found), export["sha256"])
    assert list(manifest["horizon"]) == ["standard"]


async def test_csv_is_read_back_and_runs_nothing(ledger: ServedLedger) -> None:
    """CRLF, a header, quotes; texts that a spreadsheet would run begin with an apostrophe, and numbers do not."""
    one = await ledger.reader()
    answer = await one.exported(form="CSV", fields=["sourceId", "amount", "tags", "streamed"], filter={
        "inputTokens": {"lt": 3}})  # fmt: skip
    lines = list(csv.reader(io.StringIO(answer[1].decode(), newline="")))

    assert lines[0] == ["sourceId", "amount.amount", "amount.currency", "amount.source", "tags", "streamed"]
    assert lines[1] == ["'=cmd|0", "-0.25", "USD", "REPORTED", '[{"key":"team","value":"a,b"}]', ""]
    assert (len(lines), answer[0]["rows"]) == (4, "3")
    assert answer[1].count(b"\r\n") == answer[1].count(b"\n") == 4
    fetched = await one.fetch(answer[0]["url"])
    assert fetched.headers["Content-Type"].startswith("text/csv")
    assert fetched.headers["Content-Disposition"].endswith('.csv"')


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "-1"), ("-1.5", "-1.5"), ("-1+1", "'-1+1"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"), ("\uff1dx", "'\uff1dx"), ("a=1", "a=1"), (-3, "-3"), (True, "true"), (None, ""), ("", ""),
        ('a"b', 'a"b'), ("a\r\nb", "a\r\nb"), ("\r", "'\r"), ("a;=1+1", "a;'=1+1"), ("a\t=1", "a\t'=1"),
        ("a|+1", "a|'+1"), ("a\n@x", "a\n'@x"), (" =1", "' =1"), ("a; \u3000\uff1d1", "a;' \u3000\uff1d1"),
        ('a;"=1"', "a;'\"=1\""), ("'=1", "''=1"), ("a,=1", "a,=1"), ("a; b", "a; b"), ("\ufeff=1", "'\ufeff=1"),
        ([{"value": "a;=1|"}], '[{"value":"a\\u003b=1\\u007c"}]'),
    ],
)  # fmt: skip
def test_a_cell_is_guarded_and_nothing_else_is_changed(value: Any, cell: str) -> None:
    """What begins like a formula and is no number gets an apostrophe; quoting is undone by any reader."""
    type_ = {bool: "Boolean", int: "Int"}.get(type(value), "String")
    members = (FileColumn("value"),) if isinstance(value, list) else ()
    text = Csv(((FileColumn("x", type_, members),), (FileColumn("y"),))).rows([(value,), ("z",)]).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[cell, "z"]]


def guard() -> re.Pattern[str]:
    """What docs/exports.md tells whoever reads a file by program."""
    text = (Path(__file__).parents[3] / "docs" / "exports.md").read_text().split("```python\n")[1].split("text =")[0]
    namespace: dict[str, Any] = {"re": re}
    exec(text, namespace)
    return namespace["GUARD"]


@given(st.text(st.sampled_from("=+-@;|,\t\r\n \"'a1\uff1d\u3000\x0b\x0c\x1c\x85\u2028\ufeff"), max_size=12))
def test_no_reader_finds_a_formula_and_the_text_comes_back(value: str) -> None:
    """Whatever separates cells or lines for a reader, and whatever it leaves out before them, no cell is a formula; and
    the rule of the docs gives every text back as it was."""
    line = Csv(((FileColumn("x"),), (FileColumn("y"),))).rows([(value,), (value,)]).decode()
    [[cell, _]] = csv.reader(io.StringIO(line, newline=""))
    assert guard().sub("", cell) == value
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        for part in re.split("[;|\t\r\n\x0b\x0c\x1c\x85\u2028]", line):
            assert not re.match('[ "\u3000\ufeff]*[=+@\uff1d-]', part), (line, part)


def test_guarding_is_linear() -> None:
    """Long runs of what is skipped or begins a cell are looked at once."""
    for text in ("'" * 200_000, ";" * 200_000, "; '" * 70_000, " \t" * 100_000):
        began = time.process_time()
        Csv(((FileColumn("x"),),)).rows([(text,)])
        assert time.process_time() - began < 1


async def test_errors_and_costs_are_exported_too(ledger: ServedLedger) -> None:
    """Errors masked as for every reader, costs as sums; each by its own filter."""
    one = await ledger.reader(Role.ADMIN)
    _, errors = await one.exported("ERRORS", errorFilter={"account": {"eq": "acme"}})
    [error] = rows(errors)
    assert (error["message"], error["call"]["sourceId"]) == ("call [redacted:email]", "failed")
    assert PERSON.encode() not in errors
    _, costs = await one.exported("COSTS", "CSV", filter={"account": {"eq": "acme"}})
    assert costs.startswith(b"key.account,key.model,")


async def test_a_partner_gets_its_own_accounts(ledger: ServedLedger) -> None:
    """No row of another account, whatever the filter says; and not when the key's accounts change meanwhile."""
    one = await ledger.reader(Role.PARTNER, "globex")
    _, body = await one.exported(fields=["account"])
    assert {row["account"] for row in rows(body)} == {"globex"}
    _, body = await one.exported(fields=["account"], filter={"account": {"in": ["acme"]}})
    assert body == b""
    record = await ledger.served.runtime.ledger.newest(LedgerKind.EXPORTED)
    assert record[1].facts["accounts"] == [(await ledger.seeded.accounts.find("globex"))]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.COMPLIANCE, Role.INGEST])
async def test_who_sees_no_calls_exports_none(ledger: ServedLedger, role: Role) -> None:
    """Refused by name, for every kind, and nothing is put into the queue."""
    one = await ledger.reader(role)
    for kind in ("CALLS", "ERRORS", "COSTS"):
        assert (await one.refused(kind))[0] == "FORBIDDEN"
    assert await ledger.served.runtime.database.owner.fetchval("SELECT count(*) FROM export") == 0


async def test_what_the_role_may_not_see_is_refused_or_left_out(ledger: ServedLedger) -> None:
    """A denied field is refused by name, also as a part, and left out when no fields are named; masked comes masked."""
    await ledger.use(Call_apiKey=View.MASKED, Call_user=View.DENIED, Tag_value=View.DENIED)
    one = await ledger.reader()
    assert await one.refused(fields=["id", "user"]) == ("FORBIDDEN", "the role `viewer` may not see `Call.user`")
    assert await one.refused(fields=["tags"]) == ("FORBIDDEN", "the role `viewer` may not see `Tag.value`")
    assert (await one.refused(filter={"apiKey": {"eq": "key-1"}}))[0] == "FORBIDDEN"
    _, body = await one.exported(filter={"inputTokens": {"lt": 1}})
    [row] = rows(body)
    assert (row["apiKey"], row["tags"], "user" in row) == ("[redacted:operational]", [{"key": "team"}], False)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"form": "PARQUET", "compression": "GZIP"}, "compressed inside"),
        ({"groupBy": ["MODEL"]}, "of costs alone"),
        ({"bucket": "MONTH", "kind": "ERRORS"}, "of costs alone"),
        ({"kind": "COSTS", "timeZone": "Mars/Olympus"}, "TimeZone"),
        ({"kind": "COSTS", "groupByTags": ["nobody"]}, "not a tag that the policy allows"),
        ({"form": "FOCUS"}, "FOCUS"),
        ({"fields": ["id", "secret"]}, "`secret`"),
        ({"fields": ["id } } { x"]}, "choose among"),
        ({"fields": []}, "one field at least"),
        ({"errorFilter": {"type": {"eq": "E"}}}, "`errorFilter`"),
        ({"kind": "ERRORS", "filter": {"model": {"eq": "m"}}}, "`errorFilter`"),
        ({"filter": {"amount": {"gt": "1"}}}, "currency"),
    ],
)
async def test_what_cannot_be_exported_is_refused_at_once(
    ledger: ServedLedger, wanted: dict[str, Any], said: str
) -> None:
    """The caller is told what is wrong before anything is started."""
    one = await ledger.reader()
    code, message = await one.refused(**wanted)
    assert (code, said in message) == ("BAD_USER_INPUT", True), message


async def test_no_plain_id_of_a_person_is_kept(ledger: ServedLedger) -> None:
    """What was asked for is kept with an export, so users are named by pseudonym."""
    one = await ledger.reader(Role.ADMIN)
    for filter_ in ({"user": {"id": "u-17"}}, {"or": [{"not": {"user": {"id": "u-17"}}}]}):
        code, message = await one.refused(filter=filter_)
        assert (code, "pseudonym" in message) == ("BAD_USER_INPUT", True)
    of_acme = {"account": {"eq": "acme"}}
    [user, *_] = [row["user"] for row in rows((await one.exported(fields=["user"], filter=of_acme))[1]) if row["user"]]
    filter_ = of_acme | {"user": {"pseudonym": [user]}, "inputTokens": {"notIn": [1]}}
    export, _ = await one.exported(fields=["id"], filter=filter_)
    counted = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    assert export["rows"] == str((await one.ask(counted, f=filter_))["calls"]["totalCount"]) != "0"
    assert "u-17" not in await ledger.served.runtime.database.owner.fetchval(
        "SELECT string_agg(request::text, '') FROM export"
    )


async def test_a_credential_in_a_filter_is_not_kept(ledger: ServedLedger) -> None:
    """What was pasted in the place of a key's name is kept with the export as calls have it: masked, and found."""
    one = await ledger.reader(Role.ADMIN)
    pasted, person = "sk-proj-Zz9Kq2mN8xVb4TzWc9LrAbCdEf", "olga.kern@example.com"
    filter_ = {"or": [{"apiKey": {"eq": pasted}}, {"sourceId": {"in": [person]}}]}

    await one.exported(fields=["id"], filter=filter_)

    kept = await ledger.served.runtime.database.owner.fetchval("SELECT string_agg(request::text, '') FROM export")
    assert pasted not in kept
    assert person not in kept
    assert "[redacted:" in kept


async def test_it_is_in_the_ledger_before_it_can_be_fetched(ledger: ServedLedger) -> None:
    """EXPORTED says who, what kind, how many rows, their digest, and of the filter no more than a digest."""
    one = await ledger.reader()
    assert await ledger.served.runtime.ledger.newest(LedgerKind.EXPORTED) is None
    export, _ = await one.exported(filter={"sourceId": {"eq": "=cmd|7"}})
    _, leaf = await ledger.served.runtime.ledger.newest(LedgerKind.EXPORTED)
    assert leaf.actor == one.key.split("_")[1]
    facts = dict(leaf.facts)
    assert facts.pop("filter").startswith("sha256:")
    assert facts == {
        "export": export["id"], "kind": "CALLS", "format": "NDJSON", "rows": 1, "sha256": export["sha256"],
        "role": "viewer", "accounts": None,
    }  # fmt: skip


async def test_another_policy_ends_what_was_exported_under_the_one_before(ledger: ServedLedger) -> None:
    """What a policy let be seen is not given out under the next, and the file goes."""
    one = await ledger.reader()
    export, body = await one.exported(fields=["id"])
    assert body
    await ledger.use(Call_user=View.DENIED)
    assert (await one.export(export["id"]))["state"] == "EXPIRED"
    assert (await one.fetch(export["url"])).status == 404
    await ExportWriter(ledger.served.runtime, ExportFolder(ledger.served.runtime.settings.data / "exports")).tidy()
    assert list(exports_folder(ledger.served).iterdir()) == []


async def test_an_erasure_ends_what_may_hold_the_erased(ledger: ServedLedger) -> None:
    """An erasure in an account ends exports that may have rows of it, and no others."""
    everybody, of_globex = await ledger.reader(), await ledger.reader(Role.PARTNER, "globex")
    ended, kept = await everybody.exported(fields=["id"]), await of_globex.exported(fields=["id"])
    await ledger.served.runtime.database.owner.execute(
        "INSERT INTO erasure (id, kind, account_id, requested_at, requested_by, blocked_by) "
        "VALUES ($1, 'USER', $2, clock_timestamp(), 'cli', '[]')",
        uuid4(), await ledger.seeded.accounts.find("acme"),
    )  # fmt: skip
    assert (await everybody.fetch(ended[0]["url"])).status == 404
    assert (await of_globex.fetch(kept[0]["url"])).status == 200


async def test_a_key_that_the_ledger_ended_gets_no_file(ledger: ServedLedger) -> None:
    """A key that is live in the table alone, as after a restore, gets nothing of what it had asked for."""
    runtime, one, admin = ledger.served.runtime, await ledger.reader(), await ledger.reader(Role.ADMIN)
    export, _ = await one.exported(fields=["id"])
    await runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": one.key.split("_")[1]}, actor="cli")
    await runtime.database.owner.execute("UPDATE export SET state = 'QUEUED'")
    runtime.export_asked.set()
    assert (await admin.ended(export["id"]))["state"] == "FAILED"


@pytest.mark.parametrize("change", ["revoked_at = now()", "accounts = '[1]'", "role = 'partner'"])
async def test_a_key_that_is_another_by_then_gets_no_file(ledger: ServedLedger, change: str) -> None:
    """Between the request and the writing the key was revoked or bound: nothing is written, nothing is ledgered."""
    runtime, one, admin = ledger.served.runtime, await ledger.reader(), await ledger.reader(Role.ADMIN)
    export, _ = await one.exported(fields=["id"])
    size = await runtime.ledger.size()
    owner, prefix = runtime.database.owner, one.key.split("_")[1]
    await owner.execute(f"UPDATE api_key SET {change} WHERE prefix = $1", prefix)
    await owner.execute("UPDATE export SET state = 'QUEUED'")
    runtime.export_asked.set()
    failed = await admin.ended(export["id"])
    assert (failed["state"], "ask for it again" in failed["failure"]) == ("FAILED", True)
    assert await runtime.ledger.size() == size


@pytest.mark.parametrize("form", ["NDJSON", "CSV"])
async def test_a_file_is_sent_compressed_and_only_once(ledger: ServedLedger, form: str) -> None:
    """Decoded, it is the file that the digest is of; who names its tag gets it once, and others never."""
    one, other = await ledger.reader(), await ledger.reader()
    export, _ = await one.exported(form=form)
    url = export["url"]
    plain = await one.fetch(url)
    tag = plain.headers["ETag"]
    assert tag == f'"{sha256(plain.body).hexdigest()}"' == f'"{export["sha256"].removeprefix("sha256:")}"'
    assert (await one.fetch(url, headers={"If-None-Match": f'"x", W/{tag}'})).status == 304
    tags = {tag}
    for coding in ("gzip", "zstd"):
        coded = await one.fetch(url, headers={"Accept-Encoding": coding})
        assert (coded.headers["Content-Encoding"], coded.headers["Vary"]) == (coding, "Accept-Encoding")
        assert coded.body == plain.body, "aiohttp has decoded it"
        tags.add(coded.headers["ETag"])
        known = {"Accept-Encoding": coding, "If-None-Match": coded.headers["ETag"]}
        unchanged = await one.fetch(url, headers=known)
        assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", coded.headers["ETag"])
        assert unchanged.headers["Cache-Control"] == "no-store"
        assert (await other.fetch(url, headers=known)).status == 404
        assert (await one.fetch(url, headers=known | {"If-None-Match": tag})).status == 200
    assert len(tags) == 3, "other bytes have another tag"
