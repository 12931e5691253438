"""Rows by a struct that names their fields: values of any type, for a wrong one costs itself and not its row.

A gateway spells one field in several ways: `start_time` in its table, `startTime` in its API, `Start Time` in a file.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Raw

from policies import Report
from service.ingest.formats.figures import decode
from service.ingest.formats.rejections import RowError, wrong_json
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.split import Rejection, Row

_Fields = TypeVar("_Fields", bound=msgspec.Struct)
Spelling: TypeAlias = Literal["camel", "pascal"]

NO_OTHERS: Final[Mapping[str, Raw]] = {}
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_APART: Final = re.compile(r"[^0-9A-Za-z]+", re.ASCII)
_NAME_CHARACTERS_MAX: Final = 200
_UNREADABLE: Final = object()


class RowSchema(Generic[_Fields]):
    """What decodes the rows of a gateway. Every field of `fields` has a default: `Any` for one that is read, `Raw` for
    one that is only counted and looked through.
    """

    def __init__(self, fields: type[_Fields], *spellings: Spelling) -> None:
        self._fields = fields
        self._decoders = [_decoder(fields, spelling) for spelling in (None, *spellings)]
        self._raw = {field.name for field in msgspec.structs.fields(fields) if field.type is Raw}
        self._known = frozenset(field.name for field in msgspec.structs.fields(fields))

    def outcome(self, row: Row, made: Callable[[_Fields, Mapping[str, Raw]], Report | Rejection]) -> Report | Rejection:
        """What is made of a row's fields and of those that are not known, or why the row is refused; never raises."""
        try:
            return made(*self._read(row))
        except RowError as error:
            return Rejection(str(error), error.code)

    def _read(self, row: Row) -> tuple[_Fields, Mapping[str, Raw]]:
        """The fields that are known, and those that are not. Raises RowError for what is no JSON object."""
        for decoder in self._decoders:
            try:
                return decoder.decode(row), NO_OTHERS
            except (ValueError, RecursionError, ArithmeticError):
                pass
        return self._by_any_name(bytes(row))

    def _by_any_name(self, row: bytes) -> tuple[_Fields, Mapping[str, Raw]]:
        row = repaired(row)
        try:
            given = _OBJECT.decode(row)
        except (ValueError, RecursionError) as error:
            raise wrong_json(row, error) from None
        known: dict[str, Any] = {}
        others: dict[str, Raw] = {}
        for spelt, raw in given.items():
            name = spelt if spelt in self._known else _snake(spelt)
            value = raw if name in self._raw else _value(raw)
            if name in self._known and name not in known and value is not _UNREADABLE:
                known[name] = value
            else:
                others[spelt] = raw
        return self._fields(**known), others


def _pascal(name: str) -> str:
    """`RoutingDecisionID` of `routing_decision_id`, as Go writes names."""
    return "".join("ID" if word == "id" else word.capitalize() for word in name.split("_"))


_RENAMES: Final[Mapping[Spelling | None, Any]] = {None: None, "camel": "camel", "pascal": _pascal}


def _decoder(fields: type[_Fields], spelling: Spelling | None) -> "msgspec.json.Decoder[_Fields]":
    """A decoder of rows that have no other fields: its structs have the attributes of `fields`."""
    named = [(field.name, field.type, field.default) for field in msgspec.structs.fields(fields)]
    struct = msgspec.defstruct(fields.__name__, named, rename=_RENAMES[spelling], forbid_unknown_fields=True, gc=False)
    return cast("msgspec.json.Decoder[_Fields]", msgspec.json.Decoder(struct, float_hook=Decimal))


def _snake(name: str) -> str:
    """`startTime`, `StartTime` and `Start Time` as `start_time`."""
    if len(name) > _NAME_CHARACTERS_MAX:
        return name
    return _APART.sub("_", _HUMP.sub("_", name)).strip("_").lower()


def _value(raw: Raw) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return decode(raw)
    except (ValueError, RecursionError):
        return _UNREADABLE
