"""What calls were charged for, by UTC day, account, provider, model, currency and token type; and corrections by the
day on which they were made. FOCUS files are made of it (`service/export/sources/focus.py`).

Amounts are split as far as their parts say how they came about. What parts do not explain is a charge of no token type,
so that all charges of a call always add up to its amount. Calls without an amount are charged for nothing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

import asyncpg

from policies.policy import views
from policies.policy.model import View
from service.query.filters.decomposition import decompose
from service.query.model.catalog import CALLS
from service.query.model.errors import BadInputError, ForbiddenError, QueryTimeoutError
from service.query.model.parameters import Params
from service.query.model.predicate import And, Compare, Predicate, fields_of
from service.query.scan.cold import columns_of
from service.query.scan.ranges import FAR_FUTURE, FAR_PAST, time_range_of
from service.query.scan.statements import sources
from service.query.usage.plan import ceil_to, floor_to
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import UsageRead, UsageUnion, rollups_answer
from service.storage.cold.tier import GivenRows

DAY: Final = timedelta(days=1)
_Sums = Mapping[str, Any] | asyncpg.Record
_EXACT: Final = Context(prec=1000)
_TIMEOUT: Final = "SET LOCAL statement_timeout = '120s'"
"""A day of many calls is read for a file, for which nobody waits at a screen."""
_SHOWN: Final = (
    *(f"Call.{name}" for name in ("startedAt", "account", "provider", "model", "status", "amount", "amountParts")),
    *(f"Call.{name}" for name in ("inputTokens", "outputTokens")),
    *(f"Amount.{name}" for name in ("amount", "currency", "source")),
    *(f"AmountPart.{name}" for name in ("meter", "quantity", "amount")),
)
# What the parts of an amount leave of it is one more of them, null: Citus' workers take no union for each call.
_CHARGES: Final = """
    SELECT account_id, provider, model, currency, estimated, meter, sum(quantity) AS quantity, sum(charged) AS amount,
        count(*) AS calls, count(*) FILTER (WHERE failed) AS errors, min(tier) AS tier
    FROM (
        SELECT account_id, provider, model, currency, amount_source = 3 AS estimated, failed, tier, amount_parts,
            item ->> 'meter' AS meter,
            CASE WHEN item <> 'null' THEN (item ->> 'quantity')::numeric
                WHEN amount_parts IS NULL THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END AS quantity,
            CASE WHEN item <> 'null' THEN (item ->> 'amount')::numeric ELSE amount - coalesce((
                SELECT sum((one ->> 'amount')::numeric) FROM jsonb_array_elements(amount_parts) AS told (one)
            ), 0) END AS charged
        FROM call CROSS JOIN jsonb_array_elements(coalesce(amount_parts, '[]') || '[null]') AS part (item)
        WHERE %s AND correction_of IS NULL AND amount IS NOT NULL AND currency IS NOT NULL
    ) AS charge
    WHERE meter IS NOT NULL OR charged <> 0 OR amount_parts IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6
"""
# Where a correction was made, under the names that sums are filtered by.
_CORRECTIONS: Final = """
    SELECT account_id, provider, model, currency, date_trunc('day', called_at, 'UTC') AS called_on,
        sum(amount) AS amount, count(*) AS corrections
    FROM (
        SELECT own_bucket_at AS bucket_at, own_tier AS tier, bucket_at AS called_at, account_id, failed, model,
            provider, api_key, currency, amount
        FROM correction
    ) AS made
    WHERE %s AND currency <> ''
    GROUP BY 1, 2, 3, 4, 5
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one day's calls of one kind cost: of one meter, or of none that is known (None).

    `day`: of the calls; `billed_on`: the same, or the day on which corrections of them were made. `quantity`: of the
    meter's units; tokens where there is no meter; None where it is not known.
    """

    day: datetime
    billed_on: datetime
    account: str
    provider: str | None
    model: str
    currency: str
    meter: str | None
    quantity: Decimal | None
    amount: Decimal
    calls: int
    errors: int
    estimated: bool
    correction: bool = False


def refuse_charges(reader: UsageReader) -> None:
    """Raise ForbiddenError for a role that does not see all that charges tell."""
    scope = reader.scope
    if not views.may_ask(scope.policy, scope.role, "costs"):
        raise ForbiddenError(f"the role `{scope.role}` may not ask `Query.costs`")
    for field in _SHOWN:
        if scope.views.get(field, View.DENIED) is not View.SEE:
            raise ForbiddenError(f"the role `{scope.role}` may not see `{field}`")


async def charged_days(reader: UsageReader, predicate: Predicate) -> list[datetime]:
    """The UTC days that charges of a filter are of, oldest first; up to the present one where it says no end.

    Raises BadInputError for a range that cuts through a day and for a filter that corrections cannot be chosen by,
    OutOfRetentionError when calls of the range are gone.
    """
    decomposed = decompose(CALLS, predicate)
    if not rollups_answer(decomposed.rest) or decomposed.ids or "isCorrection" in fields_of(predicate):
        raise BadInputError("FOCUS is filtered by time, account, API key, model, provider, status and currency alone")
    asked = time_range_of(CALLS, decomposed)
    for moment in (asked.start, asked.end):
        if moment not in (None, FAR_PAST, FAR_FUTURE) and floor_to(moment, DAY) != moment:
            raise BadInputError("FOCUS has a row a UTC day: begin and end `startedAt` at midnight, UTC")
    plan = (await reader.reading(predicate, rollups=False, files=False)).plan
    start, end = ceil_to(plan.start, DAY), min(plan.end, floor_to(reader.now, DAY) + DAY)
    return [start + DAY * number for number in range(max(0, (end - start) // DAY))]


async def charges_of(reader: UsageReader, predicate: Predicate, day: datetime) -> AsyncIterator[Charge]:
    """What the calls of one UTC day were charged for, and the corrections that were made on it."""
    within = And((predicate, Compare("startedAt", "gte", day), Compare("startedAt", "lt", day + DAY)))
    for row in await _fetch(reader, within, _CHARGES, corrections=False):
        yield Charge(**_key(row, reader), day=day, billed_on=day, meter=row["meter"], quantity=_number(row["quantity"]),
                     amount=Decimal(row["amount"]), calls=row["calls"], errors=row["errors"],
                     estimated=bool(row["estimated"]))  # fmt: skip
    for row in await _fetch(reader, within, _CORRECTIONS, corrections=True):
        yield Charge(**_key(row, reader), day=row["called_on"], billed_on=day, meter=None, quantity=None,
                     amount=Decimal(row["amount"]), calls=row["corrections"], errors=0, estimated=False,
                     correction=True)  # fmt: skip


async def _fetch(reader: UsageReader, predicate: Predicate, statement: str, *, corrections: bool) -> Sequence[_Sums]:
    """The rows of a statement. Those of files are added in the snapshot of those of the table, so that each call counts
    once, some thousand at a time. Raises QueryTimeoutError, and ColdFileError for a file that cannot be read.
    """
    reading = await reader.reading(predicate, rollups=corrections, files=False)
    text, params = _rendered(reading, statement, corrections)
    if not text:
        return []
    cold = None if corrections else reader.cold
    async with reader.database.reading(reader.scope.accounts, key_id=reader.scope.key_id) as connection:
        try:
            one_snapshot = None if cold is None else "repeatable_read"
            async with connection.transaction(isolation=one_snapshot, readonly=True):
                await connection.execute(_TIMEOUT)
                rows: Sequence[_Sums] = await connection.fetch(f"{text} ORDER BY 1, 2, 3, 4, 5, 6", *params)
                if cold is not None:
                    cold.check_known()
                    parts = reading.windows.calls_of(reading.plan.segments)
                    sums: dict[tuple[object, ...], dict[str, Any]] = {}
                    _add(sums, rows)
                    async for given in cold.every_call(parts, reading.accounts, columns_of(text)):
                        text, params = _rendered(reading, statement, corrections, given)
                        _add(sums, await connection.fetch(text, *params))
                    rows = [sums[key] for key in sorted(sums)]
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None
    await reader.accounts.look_up(account_ids={row["account_id"] for row in rows})
    return rows


def _rendered(
    reading: UsageRead, statement: str, corrections: bool, given: GivenRows | None = None
) -> tuple[str, Sequence[object]]:
    """The statement of all tiers, over the table or over what is `given` of files; empty when nothing can match."""
    params = Params()
    if given is not None:
        _, source = sources("call", params, given)
        statement = statement.replace("FROM call CROSS JOIN", f"FROM {source} CROSS JOIN", 1)
    conditions = UsageUnion(reading, {}, params).conditions(corrections=corrections)
    return " UNION ALL ".join(statement.replace("%s", condition) for condition in conditions), params.values


def _of(row: _Sums) -> tuple[object, ...]:
    """What the sums of charges are by, as PostgreSQL orders it: nothing comes last."""
    names = ("account_id", "provider", "model", "currency", "estimated", "meter", "tier")
    return tuple(part for name in names for part in (row[name] is None, "" if row[name] is None else row[name]))


def _add(sums: dict[tuple[object, ...], dict[str, Any]], rows: Sequence[_Sums]) -> None:
    """Add the sums of some more calls, digit for digit as PostgreSQL does."""
    for row in rows:
        known = sums.setdefault(_of(row), dict(row) | {"quantity": None, "amount": "0", "calls": 0, "errors": 0})
        if row["quantity"] is not None:
            known["quantity"] = str(_EXACT.add(Decimal(known["quantity"] or 0), Decimal(row["quantity"])))
        known["amount"] = str(_EXACT.add(Decimal(known["amount"]), Decimal(row["amount"])))
        for name in ("calls", "errors"):
            known[name] += row[name]


def _key(row: _Sums, reader: UsageReader) -> dict[str, Any]:
    return {
        "account": reader.accounts.names()[row["account_id"]],
        "provider": row["provider"] or None,
        "model": row["model"],
        "currency": row["currency"],
    }


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
