"""What is stored of a call does not depend on the way that admission let it pass."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bodies import read_native
from ingesting import RECENT, Ingest, body, call
from msgspec import structs

from policies import Report
from service.ingest.formats.split import Rejection
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.preparation.preparation import Preparation, Prepared
from service.ingest.setup import writer_of
from service.keyring import AccountKeyName, KeyName
from service.log_redaction import shared_redactor
from service.runtime.runtime import open_runtime
from service.settings import Settings
from service.storage.ids import Identities


class CountingKeys:
    """The keyring, and what it is asked for."""

    def __init__(self, keyring: Any) -> None:
        self._keyring = keyring
        self.asked: Counter[tuple[object, ...]] = Counter()

    async def key(self, name: KeyName, *, mint: bool) -> bytes:
        self.asked[name] += 1
        return await self._keyring.key(name, mint=mint)


def reports(**facts: Any) -> list[Report]:
    rows = [
        call(
            "req-a", account="acme", user="u-1", api_key="prod", amount="0.1", input_tokens=5, tags={"team": "search"}
        ),
        call("req-b", account="acme", user="u-2", started_at=(RECENT - timedelta(days=3)).isoformat()),
        call("req-c", user="u-1", model="gpt-4.1", amount="0.000000000001", currency="EUR", latency_ms=0),
        call("req-d", account="globex", operation="chat", provider="openai", streamed=False, tags={"env": ""}),
    ]
    found = [row for line in rows for row in read_native(body(line | facts))]
    assert all(isinstance(row, Report) for row in found)
    return [row for row in found if isinstance(row, Report)]


async def preparing(ingest: Ingest, keyring: Any) -> Preparation:
    await ingest.accounts.ensure({"acme", "globex", "default"})
    rules = rules_in_force(ingest)()
    return Preparation(rules, ingest.accounts, keyring, Identities(b"p" * 32), RECENT + timedelta(hours=2))


async def test_a_whole_report_is_prepared_as_an_admitted_one(ingest: Ingest) -> None:
    """Every column, the id, the digest and the token are the same whether the report was copied or let pass whole."""
    preparation = await preparing(ingest, ingest.keyring)
    admission = rules_in_force(ingest)().admission
    for report in reports():
        admitted = admission.admit(report)
        whole = admission.unchanged(report)
        assert whole is not None

        outcomes = [await preparation.prepare(report, 1, passed) for passed in (admitted, whole)]
        outcomes.append(preparation.prepare_unchanged(whole, 1))

        first, second, third = (replace(outcome, rules=None) for outcome in outcomes if isinstance(outcome, Prepared))  # type: ignore[arg-type]
        assert first == second == third
        assert first.record == second.record == third.record


async def test_a_whole_report_out_of_its_time_is_refused_as_an_admitted_one(ingest: Ingest) -> None:
    """Too old or too new: the same reason on both ways."""
    preparation = await preparing(ingest, ingest.keyring)
    admission = rules_in_force(ingest)().admission
    for days in (-500, 3):
        for report in reports(started_at=(RECENT + timedelta(days=days)).isoformat()):
            admitted = admission.admit(report)
            whole = admission.unchanged(report)
            assert whole is not None

            refused = await preparation.prepare(report, 1, admitted)

            assert isinstance(refused, Rejection)
            assert preparation.prepare_unchanged(whole, 1) == refused


async def test_a_token_without_its_key_is_waited_for(ingest: Ingest) -> None:
    """What cannot be prepared without waiting is left to those who wait, and stored with its token."""
    preparation = await preparing(ingest, ingest.keyring)
    admission = rules_in_force(ingest)().admission
    [report, *_] = reports()
    admission.admit(report)
    whole = admission.unchanged(report)
    assert whole is not None

    assert preparation.prepare_unchanged(whole, 1) is None
    waited = await preparation.prepare(report, 1, whole)

    assert isinstance(waited, Prepared)
    assert isinstance(waited.record[14], int)
    assert preparation.prepare_unchanged(whole, 1) == waited


@pytest.mark.parametrize("text", ["0", "100", "0.10", "1E-7", "1.5E+3", "0.000000000001", "123456789012345.5", "-0.50"])
def test_the_digest_reads_an_amount_by_its_value(text: str) -> None:
    """Zeros at the end and exponents are spelling: the same amount is the same call, another one is a conflict."""
    identities = Identities(b"p" * 32)
    report = structs.replace(reports()[0], amount=Decimal(text))
    spelled = structs.replace(
        report, amount=Decimal(f"{Decimal(text):f}" + ("0" if "." in f"{Decimal(text):f}" else ".0"))
    )
    other = structs.replace(report, amount=Decimal(text) + Decimal("0.000000000001"))

    assert identities.content_digest(report) == identities.content_digest(spelled)
    assert identities.content_digest(report) != identities.content_digest(other)


async def test_each_key_is_asked_for_once_a_batch(ingest: Ingest) -> None:
    """However many calls, users and errors a batch has, the keyring is asked once for each period and account."""
    keys = CountingKeys(ingest.keyring)
    preparation = await preparing(ingest, keys)
    admission = rules_in_force(ingest)().admission
    failed = reports(status="failed", error={"type": "Timeout", "message": "took too long"})
    for report in reports() + failed:
        for account_id in (1, 2):
            await preparation.prepare(report, account_id, admission.admit(report))

    assert len(keys.asked) == 4  # two days, two accounts
    assert set(keys.asked.values()) == {1}


async def test_without_a_key_there_is_no_token_and_the_call_stays(ingest: Ingest) -> None:
    """A destroyed key costs the user's token and the sealed details, never the call."""
    await ingest.keyring.key(AccountKeyName(1), mint=True)
    await ingest.keyring.destroy([AccountKeyName(1)])
    preparation = await preparing(ingest, ingest.keyring)
    admission = rules_in_force(ingest)().admission
    [report, *_] = reports(status="failed", error={"type": "Timeout", "message": "took too long"})

    outcome = await preparation.prepare(report, 1, admission.admit(report))

    assert isinstance(outcome, Prepared)
    assert "u-1" not in repr(outcome.record)
    assert (outcome.record[14], outcome.record[-1]) == (None, None)


async def test_rules_are_compiled_before_the_first_call(database_url: str, tmp_path: Path) -> None:
    """It takes long, so it is done while the service starts, and no caller waits for it."""
    async with open_runtime(Settings(data=tmp_path, database_url=database_url)) as runtime:
        shared_redactor.cache_clear()
        writer_of(runtime)
        assert shared_redactor.cache_info().currsize == 1
