"""The one place where rows become what the schema shows. A field that the role does not get is never looked at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson
import strawberry

from policies import pseudonym
from policies.policy.model import View
from policies.policy.views import masked_text
from service.api.types.calls import (
    Amount,
    AmountPart,
    Call,
    CallError,
    ErrorGroup,
    ErrorParameter,
    Redaction,
    Tag,
    Unit,
)
from service.api.types.enums import AmountSource, AmountUnknownReason, CallStatus, Disclosure, ParameterAction
from service.query.filters.to_sql import fingerprint_text
from service.query.model.catalog import CALLS, ERRORS
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.by_key import RowKey, shown
from service.query.records.decryption import Details
from service.query.records.error_groups import GroupsPage
from service.query.records.page import Row
from service.query.records.projection import Selection
from service.query.scan.user_tokens import period_label
from service.storage.ids import encode_call_id, encode_error_id
from service.storage.sources import AMOUNT_SOURCE_NAMES, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES

_SEALED: Final = frozenset({"message", "disclosure", "parameters"})


class Mapper:
    """Makes objects of the rows of one request, and fetches what belongs to them, all rows at once."""

    def __init__(self, reader: Reader, scope: Scope) -> None:
        self._reader = reader
        self._scope = scope

    async def calls(self, rows: Sequence[Row], selection: Selection) -> list[Call]:
        fields = [field for field in selection if field in shown(CALLS, selection, self._scope)]
        names = await self._names(rows) if "account" in fields else {}
        calls = [Call(**{_ATTRIBUTES[field]: self._value(field, row, names) for field in fields}) for row in rows]
        if "error" in fields:
            await self._add_errors(rows, calls, selection["error"])
        if "corrects" in fields:
            await self._add_corrected(rows, calls, selection["corrects"])
        if "corrections" in fields:
            await self._add_corrections(rows, calls, selection["corrections"])
        if "netAmount" in fields:
            await self._add_net_amounts(rows, calls)
        return calls

    async def errors(self, rows: Sequence[Row], selection: Selection) -> list[CallError]:
        fields = [field for field in selection if field in shown(ERRORS, selection, self._scope)]
        plain = [field for field in fields if field in _ERROR_VALUES]
        errors = [CallError(**{_ERROR_ATTRIBUTES[field]: _ERROR_VALUES[field](row) for field in plain}) for row in rows]
        if _SEALED & {*selection}:
            details = await self._reader.details(self._scope, rows) if _SEALED & {*fields} else []
            for error, row_details in zip(errors, details, strict=False):
                add_details(error, row_details, fields)
        if "call" in fields:
            await self._add_calls(rows, errors, selection["call"])
        return errors

    async def groups(self, page: GroupsPage) -> list[ErrorGroup]:
        rows = [page.samples[row["fingerprint"]] for row in page.rows if row["fingerprint"] in page.samples]
        details = await self._reader.details(self._scope, rows)
        messages = {row["fingerprint"]: detail.message for row, detail in zip(rows, details, strict=True)}
        groups = [_group(row, messages.get(row["fingerprint"])) for row in page.rows]
        if self._scope.views.get("ErrorGroup.type") is View.MASKED:
            for group in groups:
                group.type = masked_text(self._scope.policy, "ErrorGroup.type")
        return groups

    async def _add_errors(self, rows: Sequence[Row], calls: Sequence[Call], selection: Selection) -> None:
        keys = [RowKey(row["account_id"], row["tier"], row["error_at"], row["id"]) for row in rows if row["error_at"]]
        found = await self._reader.rows(self._scope, ERRORS, keys, selection)
        errors = dict(zip(found, await self.errors(list(found.values()), selection), strict=True))
        for row, call in zip(rows, calls, strict=True):
            call.error = errors.get((row["account_id"], row["id"]))

    async def _add_corrected(self, rows: Sequence[Row], calls: Sequence[Call], selection: Selection) -> None:
        keys = [
            RowKey(row["account_id"], row["tier"], row["started_at"], str(row["correction_of"]))
            for row in rows
            if row["correction_of"] is not None
        ]
        found = await self._reader.rows(self._scope, CALLS, keys, selection)
        corrected = dict(zip(found, await self.calls(list(found.values()), selection), strict=True))
        for row, call in zip(rows, calls, strict=True):
            call.corrects = corrected.get((row["account_id"], str(row["correction_of"])))

    async def _add_corrections(self, rows: Sequence[Row], calls: Sequence[Call], selection: Selection) -> None:
        found = await self._reader.corrections(self._scope, _call_keys(rows), selection)
        corrections = iter(await self.calls([row for of_one in found.values() for row in of_one], selection))
        shown = {key: [next(corrections) for _ in of_one] for key, of_one in found.items()}
        for row, call in zip(rows, calls, strict=True):
            call.corrections = shown.get((row["account_id"], str(row["id"])), [])

    async def _add_net_amounts(self, rows: Sequence[Row], calls: Sequence[Call]) -> None:
        found = await self._reader.corrected_by(self._scope, _call_keys(rows))
        for row, call in zip(rows, calls, strict=True):
            call.net_amount = _amount(row)
            if call.net_amount is not None:
                call.net_amount.amount += found.get((row["account_id"], str(row["id"])), Decimal(0))

    async def _add_calls(self, rows: Sequence[Row], errors: Sequence[CallError], selection: Selection) -> None:
        keys = [RowKey(row["account_id"], row["tier"], row["started_at"], row["id"]) for row in rows]
        found = await self._reader.rows(self._scope, CALLS, keys, selection)
        calls = dict(zip(found, await self.calls(list(found.values()), selection), strict=True))
        for row, error in zip(rows, errors, strict=True):
            error.call = calls.get((row["account_id"], row["id"]))

    async def _names(self, rows: Iterable[Row]) -> Mapping[int, str]:
        numbers = {row["account"] for row in rows if isinstance(row["account"], int)}
        return {number: await self._reader.accounts.name(number) for number in numbers}

    def _value(self, field: str, row: Row, names: Mapping[int, str]) -> Any:  # noqa: ANN401 - any field
        if field == "account":
            return names.get(row["account"], row["account"])
        if field == "user":
            token = row["user_token"]
            period = period_label(self._scope.policy, row["started_at"])
            return None if token is None else strawberry.ID(pseudonym.outward(token, period))
        return _CALL_VALUES[field](row)


def _call_keys(rows: Sequence[Row]) -> list[RowKey]:
    return [RowKey(row["account_id"], row["tier"], row["started_at"], str(row["id"])) for row in rows]


def _column(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


def _amount(row: Row) -> Amount | None:
    # The writer stores all three or none; a currency that the role does not get is null.
    if row["amount"] is None or row["currency"] is None:
        return None
    source = row.get("amount_source")  # there when it is asked for
    return Amount(
        amount=Decimal(row["amount"]),
        currency=row["currency"],
        # None is never read: whoever reads it has asked for it.
        source=None if source is None else AmountSource[AMOUNT_SOURCE_NAMES[source]],  # pyright: ignore[reportArgumentType]
    )


def _amount_parts(row: Row) -> list[AmountPart] | None:
    if row["amount_parts"] is None:
        return None
    return [
        AmountPart(
            meter=part["meter"],
            quantity=_decimal(part.get("quantity")),
            unit_price=_decimal(part.get("unit_price")),
            amount=Decimal(part["amount"]),
            price_list=part.get("price_list"),
        )
        for part in orjson.loads(row["amount_parts"])
    ]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _tags(row: Row) -> list[Tag] | None:
    if row["tags"] is None:
        return None
    return [Tag(key=key, value=value) for key, value in sorted(orjson.loads(row["tags"]).items())]


def _units(row: Row) -> list[Unit] | None:
    if row["units"] is None:
        return None
    return [Unit(name=name, quantity=Decimal(text)) for name, text in sorted(orjson.loads(row["units"]).items())]


def _source(row: Row) -> str:
    return SOURCE_NAMES.get(row["source"], "unknown") if isinstance(row["source"], int) else row["source"]


_CALL_VALUES: Final[Mapping[str, Callable[[Row], Any]]] = {
    "id": lambda row: strawberry.ID(encode_call_id(row["account_id"], row["id"])),
    "sourceId": _column("source_id"),
    "source": _source,
    "startedAt": _column("started_at"),
    "apiKey": _column("api_key"),
    "model": _column("model"),
    "servedModel": _column("served_model"),
    "provider": _column("provider"),
    "operation": _column("operation"),
    "status": lambda row: CallStatus.FAILED if row["failed"] else CallStatus.SUCCEEDED,
    "streamed": _column("streamed"),
    "inputTokens": _column("input_tokens"),
    "outputTokens": _column("output_tokens"),
    "totalTokens": _column("total_tokens"),
    "cacheReadTokens": _column("cache_read_tokens"),
    "cacheWriteTokens": _column("cache_write_tokens"),
    "reasoningTokens": _column("reasoning_tokens"),
    "tokenEfficiency": _column("token_efficiency"),
    "amount": _amount,
    "amountUnknown": lambda row: (
        None if row["amount_unknown"] is None else AmountUnknownReason[AMOUNT_UNKNOWN_NAMES[row["amount_unknown"]]]
    ),
    "amountParts": _amount_parts,
    "netAmount": lambda _: None,
    "corrects": lambda _: None,
    "corrections": lambda _: None,
    "correctedAt": _column("corrected_at"),
    "latencyMs": _column("latency_ms"),
    "timeToFirstTokenMs": _column("time_to_first_token_ms"),
    "tags": _tags,
    "errorType": _column("error_type"),
    "errorCode": _column("error_code"),
    "error": lambda _: None,
    "traceId": _column("trace_id"),
    "sessionId": _column("session_id"),
    "attempt": _column("attempt"),
    "cacheHit": _column("cache_hit"),
    "deployment": _column("deployment"),
    "team": _column("team"),
    "organization": _column("organization"),
    "normalizedError": _column("normalized_error"),
    "providerRequestId": _column("provider_request_id"),
    "units": _units,
}

_ERROR_VALUES: Final[Mapping[str, Callable[[Row], Any]]] = {
    "id": lambda row: strawberry.ID(encode_error_id(row["account_id"], row["id"], row["occurred_at"])),
    "type": _column("error_type"),
    "code": _column("error_code"),
    "occurredAt": _column("occurred_at"),
    "fingerprint": lambda row: strawberry.ID(fingerprint_text(row["fingerprint"])),
    "redactions": lambda row: [
        Redaction(rule=rule, count=count) for rule, count in zip(row["rules"], row["rule_counts"], strict=True)
    ],
}


def _attribute(field: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)


_ATTRIBUTES: Final = {field: _attribute(field) for field in CALLS.fields}
_ERROR_ATTRIBUTES: Final = {field: _attribute(field) for field in ERRORS.fields}


def add_details(error: CallError, details: Details, fields: Sequence[str]) -> None:
    if "disclosure" in fields:
        error.disclosure = Disclosure[details.disclosure]
    if "message" in fields:
        error.message = details.message
    if "parameters" in fields and details.parameters is not None:
        error.parameters = [
            ErrorParameter(name=name, value=value, action=ParameterAction[action])
            for name, value, action in details.parameters
        ]


def _group(row: Row, message: str | None) -> ErrorGroup:
    group = ErrorGroup(fingerprint=strawberry.ID(fingerprint_text(row["fingerprint"])), sample_message=message)
    for name in ("type", "count", "first_seen", "last_seen", "models"):
        setattr(group, name, row.get(name))
    return group
