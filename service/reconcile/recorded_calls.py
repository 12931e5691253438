"""The recorded side of a comparison: calls and costs as the requester's role sees them, read as exports are."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from policies import Policy, Store
from policies.retention import cutoff
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.exports.kinds import ExportGrouping
from service.api.exports.requests import ExportRequest
from service.api.schema import build_schema
from service.errors import RequestError
from service.export.sources.source import open_source
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.reconcile.billed import Keys, SumKey, short_name
from service.reconcile.comparison import RecordedCall

_DAY: Final = timedelta(days=1)
_CALL: Final = (
    ("id", ()),
    ("source", ()),
    ("sourceId", ()),
    ("providerRequestId", ()),
    ("startedAt", ()),
    ("model", ()),
    ("servedModel", ()),
    ("netAmount", ("amount", "currency")),
)
_COSTS: Final = (
    ("calls", ()),
    ("inputTokens", ()),
    ("outputTokens", ()),
    ("callsWithoutAmount", ()),
    ("amount", ("amount", "currency")),
)
_REFUSED: Final = """query Refused($since: DateTime!, $until: DateTime) {
    ingestReport(since: $since, until: $until) { rows { hour source account refused } }
}"""
_ROW_NUMBER: Final = re.compile(r"(?:log-)?[0-9]{1,19}", re.ASCII)
"""Whether an id is the number of a row, which every gateway's log has."""
_REFUSALS_KEPT: Final = timedelta(days=31)
_MAX_COST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """Calls of these days in a time zone, both included; of some accounts, or of all. `served`: the model that answered
    is the one that is compared. `source`: the gateways whose log they are compared with; None: a bill, of any calls.
    """

    reader: Reader
    scope: Scope
    days: tuple[date, date]
    zone: ZoneInfo
    accounts: tuple[str, ...] = ()
    served: bool = False
    source: str | None = None

    def _filter(self, around: timedelta = timedelta(0)) -> dict[str, Any]:
        start, end = self.bounds()
        found: dict[str, Any] = {"startedAt": {"gte": _text(start - around), "lt": _text(end + around)}}
        if self.accounts:
            found["account"] = {"in": list(self.accounts)}
        return found

    def bounds(self) -> tuple[datetime, datetime]:
        """The first moment of the first day, and of the day after the last."""
        first, last = self.days
        return tuple(datetime.combine(day, time(), self.zone).astimezone(UTC) for day in (first, last + _DAY))  # pyright: ignore[reportReturnType] - two

    async def refuse_purged(self) -> None:
        """Raise RequestError where calls of these days are gone: they would all seem to be missing here."""
        first = first_served(self.scope.policy, await self.reader.clock.now())
        if self.bounds()[0] < first:
            raise RequestError(f"calls before {first:%Y-%m-%d} may be gone: name later days by --since and --until")

    async def calls(self) -> AsyncIterator[RecordedCall]:
        """Each call, from a day before until a day after: theirs may be of the day on which it ended."""
        filter_ = self._filter(_DAY) | {"isCorrection": {"eq": False}}
        request = ExportRequest("CALLS", "CSV", _CALL, filter_)
        source = await open_source(self.reader, self.scope, request)
        async with aclosing(source.batches) as batches:  # pyright: ignore[reportArgumentType] - a generator
            async for batch in batches:
                for id_, reporter, source_id, request_id, started_at, model, served, amount, currency in zip(
                    *batch.rows, strict=True
                ):
                    moment = datetime.fromisoformat(started_at).astimezone(self.zone)
                    named = (served or model) if self.served else model
                    key = SumKey(moment.date(), short_name(named or ""), currency)
                    of_others = self.source not in (None, reporter)
                    own_id = None if of_others and _ROW_NUMBER.fullmatch(source_id) else source_id
                    ids = tuple(one for one in (own_id, request_id) if one)
                    yield RecordedCall(key, Decimal(amount) if amount else Decimal(0), ids, id_, of_others)

    async def sums(self) -> Keys:
        """Sums by day, model and currency; calls without an amount under None."""
        grouping = ExportGrouping(("SERVED_MODEL" if self.served else "MODEL",), (), "DAY", self.zone.key)
        filter_ = self._filter() | ({} if self.source is None else {"source": {"eq": self.source}})
        request = ExportRequest("COSTS", "CSV", (("key", grouping.key), *_COSTS), filter_, grouping)
        source = await open_source(self.reader, self.scope, request)
        keys = Keys()
        async with aclosing(source.batches) as batches:  # pyright: ignore[reportArgumentType] - a generator
            async for batch in batches:
                for model, _, bucket, _, calls, asked, answered, without, amount, currency in zip(
                    *batch.rows, strict=True
                ):
                    day = datetime.fromisoformat(bucket).astimezone(self.zone).date()
                    name, unpriced = short_name(model or ""), int(without)
                    if unpriced:
                        keys.of(SumKey(day, name, None)).add(Decimal(0), None, unpriced)
                    if amount is not None and currency:
                        tokens = int(asked) + int(answered)
                        keys.of(SumKey(day, name, currency)).add(Decimal(amount), tokens, int(calls) - unpriced)
        return keys

    async def refused(self) -> Mapping[date, int]:
        """How many calls were sent and not taken, by day, as far as that is known still."""
        start, end = self.bounds()
        now = await self.reader.clock.now()
        since = max(start, now - _REFUSALS_KEPT)
        if since >= end:
            return {}
        context = Context(self.scope, self.reader, Bucket(0), _MAX_COST)
        variables = {"since": _text(since), "until": _text(min(end, now))}
        result = await build_schema().execute(_REFUSED, variable_values=variables, context_value=context)
        report = None if result.data is None else result.data["ingestReport"]
        if result.errors or report is None:
            raise RequestError("; ".join(error.message for error in result.errors or []) or "refusals cannot be read")
        found: dict[date, int] = {}
        for row in report["rows"]:
            is_of_accounts = not self.accounts or row["account"] in self.accounts
            if is_of_accounts and self.source in (None, row["source"]):
                day = datetime.fromisoformat(row["hour"]).astimezone(self.zone).date()
                found[day] = found.get(day, 0) + int(row["refused"])
        return found


def first_served(policy: Policy, now: datetime) -> datetime:
    """Since when the calls of every tier are there."""
    return max(cutoff(policy, tier.number, Store.CALL, now) for tier in policy.tiers.values())


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
