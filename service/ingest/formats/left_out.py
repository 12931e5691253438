"""What of a row cannot be read costs itself, not its call: fields are left out, one by one, until the rest is taken."""

from collections.abc import Collection, Mapping
from typing import Final, Self, TypeVar

import msgspec
from msgspec import Raw

from policies.admission.report import Report
from service.ingest.formats.content import count_dropped
from service.ingest.formats.rejections import RowError, reject

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

WITH_THEM: Final[Mapping[str, frozenset[str]]] = {
    "amount": frozenset({"amount", "amount_parts", "currency"}),
    "currency": frozenset({"amount", "amount_parts", "currency"}),
}
"""What a field takes along when it is left out: an amount without its currency is no amount."""


class FieldError(RowError):
    """A field that the call can do without is not as it should be: the call is taken without `fields`.

    `negative` says of an amount that it can be read, and is below zero.
    """

    def __init__(self, message: str, *fields: str, negative: bool = False) -> None:
        super().__init__(message)
        self.fields = frozenset[str]().union(*(WITH_THEM.get(field, {field}) for field in fields))
        self.negative = negative

    def without_frames(self) -> Self:
        """The error without what it passed on its way: the frames know the list in which it is kept, a cycle."""
        self.__context__ = None
        return self.with_traceback(None)


def decode_rest(
    decoder: msgspec.json.Decoder[_Struct], fields: Mapping[str, Raw], *, needed: Collection[str], inside: str = ""
) -> tuple[_Struct, list[FieldError]]:
    """`fields` by their schema, and why some of them were left out.

    RowError when one of those that are `needed` is at fault, or absent. `inside` names the object that they are of.
    """
    kept, faults = dict(fields), list[FieldError]()
    while True:
        try:
            return decoder.decode(msgspec.json.encode(kept)), faults
        except (ValueError, RecursionError) as error:
            refusal = _undecodable(kept) or reject(kept, error, inside=inside)
        if not refusal.field or refusal.field in needed or refusal.field not in kept:
            try:
                raise refusal
            finally:
                del refusal  # a cycle: it knows this frame
        fault = FieldError(str(refusal), refusal.field)
        faults.append(fault)
        fault.fields &= kept.keys()
        for field in fault.fields:
            del kept[field]


def _undecodable(fields: Mapping[str, Raw]) -> RowError | None:
    for name, raw in fields.items():
        try:
            bytes(raw).decode()
        except UnicodeDecodeError:
            return RowError(f"`{name}` is not valid UTF-8", name)
    return None


def warn_of(report: Report, faults: Collection[FieldError], prefix: str = "") -> None:
    """Count what was left out, and say why in the row's answer."""
    for fault in faults:
        report.warnings += (f"{fault}: left out",)
        for field in fault.fields:
            count_dropped(report, prefix + field)
