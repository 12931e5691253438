"""Loading the demo, by the one way in."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from policies import Report, Role
from service.access.principal import Principal
from service.demo.calls import sample_calls, sample_corrections
from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.split import split_rows
from service.ingest.pipeline.writer import Writer, as_read
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.ingest.setup import ingesting
from service.runtime.runtime import Runtime

_BATCH: Final = 1_000
_PRINCIPAL: Final = Principal("demo", Role.INGEST, None)
_WRONG: Final = "hooli"
"""The account whose gateway is set up wrongly."""


async def load_calls(runtime: Runtime, now: datetime, advance: Callable[[int, int], None]) -> None:
    """Load the sample calls of the thirty days before `now`. `advance` gets how many of how many are loaded."""
    calls = list(sample_calls(now))
    corrections = sample_corrections(calls, now)
    async with ingesting(runtime) as (writer, refusals):
        # All calls first: a correction has to find what it corrects.
        for reports in (calls, corrections):
            for start in range(0, len(reports), _BATCH):
                part = reports[start : start + _BATCH]
                await writer.submit(part, as_read, _PRINCIPAL, source="native", wait_for_room=True)
                advance(start + len(part), len(calls))
        account = (await runtime.accounts.ensure({_WRONG}))[_WRONG]
        await _report_refused(writer, refusals, account, calls, now)


async def _report_refused(
    writer: Writer, refusals: RefusalLog, account: int, calls: Sequence[Report], now: datetime
) -> None:
    """Report what gateways that are set up wrongly do, for `ingestReport` to show: one with a key for every account,
    and one with a key for `account`.
    """
    billed = next(call for call in calls if call.amount_source == "BILLED" and call.amount)
    body = orjson.dumps(_wrong_rows(billed, now))
    rows, read = split_rows(body), native_reader(body)
    for principal in (_PRINCIPAL, replace(_PRINCIPAL, accounts=(account,))):
        results = await writer.submit(rows, read, principal, source="native", wait_for_room=True)
        reasons = Counter[Refusal](result.code for result in results if result.code is not None)
        await refusals.refuse_rows("native", principal, reasons, of=len(rows))


def _wrong_rows(known: Report, now: datetime) -> list[object]:
    right = {
        "id": "wrong-1",
        "started_at": now.isoformat(),
        "account": _WRONG,
        "model": "gpt-4o",
        "status": "succeeded",
    }
    another_amount = {
        **right,
        "id": known.source_id,
        "started_at": known.started_at.isoformat(),
        "account": known.account,
        "model": known.model,
        "amount": "99",
        "currency": known.currency,
    }
    return [
        another_amount,
        {**right, "status": "maybe"},
        {**right, "started_at": "yesterday"},
        {**right, "started_at": (now + timedelta(days=400)).isoformat()},
        {**right, "started_at": (now - timedelta(days=4000)).isoformat()},
        {**right, "account": "jane.doe@example.com"},
        {**right, "corrects": "no-such-call", "amount": "-1"},
        {"id": "wrong-2"},
        "not a call",
    ]
