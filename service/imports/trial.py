"""What an import would store of a row, without storing it."""

import dataclasses
from typing import Any, Final

from msgspec import structs

from policies import Admitted, AdmittedError
from policies.admission.segments import masked, unpack_segments
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection, Row
from service.ingest.preparation.batch_context import Rules
from service.ingest.prices.price_list import Prices

_OF_ADMISSION: Final = frozenset({"removed", "rejected", "error", "user"})
PSEUDONYM: Final = "[pseudonym]"


def tried(row: Row, read: Reader, rules: Rules, prices: Prices) -> dict[str, Any]:
    """The row as it would be stored, and what of it is dropped; or why it is refused or skipped. Nothing is kept of it.

    Whether it is here already, and whether it is past its window, only an import finds out.
    """
    report = read(row)
    if isinstance(report, Rejection):
        return _refused(report.reason, None if report.code is None else report.code.value)
    if report.amount is None:
        prices.estimate(report)
    admitted = rules.admission.admit(report)
    if admitted.rejected:
        return _refused(admitted.rejected, "field_invalid")
    answer: dict[str, Any] = {"outcome": "stored", "call": _call(admitted)}
    if admitted.removed:
        answer["dropped"] = admitted.removed
    if report.warnings:
        answer["warnings"] = list(report.warnings)
    return answer


def _refused(reason: str, code: str | None) -> dict[str, Any]:
    refusal = {} if code is None else {"code": code}
    return {"outcome": "refused" if refusal else "skipped", **refusal, "reason": reason}


def _call(admitted: Admitted) -> dict[str, Any]:
    call = _some(
        {one.name: getattr(admitted, one.name) for one in dataclasses.fields(admitted) if one.name not in _OF_ADMISSION}
    )
    if admitted.user is not None:
        call["user"] = PSEUDONYM
    if admitted.attributes is not None:
        call["attributes"] = _some(structs.asdict(admitted.attributes))
    if admitted.amount_parts is not None:
        call["amount_parts"] = [_some(structs.asdict(part)) for part in admitted.amount_parts]
    if admitted.error is not None:
        call["error"] = _error(admitted.error)
    return call


def _error(error: AdmittedError) -> dict[str, Any]:
    """The error as a reader sees it who may not reveal what is sealed."""
    details = None if error.blob is None else unpack_segments(error.blob)
    message = None if details is None or details.message is None else masked(details.message)
    parameters = {} if details is None else details.parameters
    shown = {name: masked(one.value) for name, one in parameters.items() if one.value is not None}
    return _some({"type": error.type, "code": error.code, "message": message, "parameters": shown})


def _some(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != {} and value != []}
