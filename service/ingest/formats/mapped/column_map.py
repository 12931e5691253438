"""A column map as a TOML file: read strictly, so that a mistake is an error and never a wrong call.

    [file]
    time_zone = "Europe/Berlin"
    decimal = ","

    [call]
    id = "Request"
    started_at = { column = "Time", format = "%d.%m.%Y %H:%M:%S" }
    model = "Model"
    status = { column = "State", succeeded = ["ok"], failed = ["error"] }
    amount = { column = "Micro-dollars", factor = "0.000001" }

    [tags]
    team = "Team"

A string names a column. A table says more: where the value comes from (`column`, `value`, `sum`, `of`), and how it is
written. docs/importing.md is for readers.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final, NoReturn, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.errors import OperatorError

BYTES_MAX: Final = 2**18
_ENTRIES_MAX: Final = 64
_COLUMNS_MAX: Final = 32
_WORDS_MAX: Final = 1000
_TEXT_CHARACTERS_MAX: Final = 1024

_TEXTS: Final = """
    id model account api_key user served_model provider operation currency corrects trace_id session_id deployment team
    team_id organization organization_id normalized_error provider_request_id parent_span_id
"""
_COUNTS: Final = """
    input_tokens output_tokens cache_read_tokens cache_write_tokens reasoning_tokens attempt
"""
KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_TEXTS.split(), "text"),
    **dict.fromkeys(_COUNTS.split(), "count"),
    **dict.fromkeys(("started_at", "ended_at"), "time"),
    **dict.fromkeys(("latency_ms", "time_to_first_token_ms"), "duration"),
    **dict.fromkeys(("streamed", "cache_hit"), "flag"),
    "status": "status",
    "amount": "money",
}
"""Fields of `[call]` -> how their cells are read."""
_ERROR_KINDS: Final = {"type": "text", "code": "text", "message": "text", "occurred_at": "time"}
_OF_NUMBERS: Final = frozenset({"column", "value", "default", "sum", "factor", "strip"})
_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"column", "value", "default", "prefix", "words"}),
    "id": frozenset({"column", "prefix", "of"}),
    "time": frozenset({"column", "format", "time_zone"}),
    "count": _OF_NUMBERS,
    "money": _OF_NUMBERS,
    "duration": _OF_NUMBERS,
    "flag": frozenset({"column", "value", "default", "true", "false"}),
    "status": frozenset({"column", "value", "default", "succeeded", "failed", "otherwise"}),
}
_ORIGINS: Final = ("column", "value", "sum", "of")
_SECTIONS: Final = ("file", "call", "tags", "units", "error")
_FILE_KEYS: Final = ("encoding", "delimiter", "names", "time_zone", "decimal", "thousands", "content")
_ENDINGS: Final = frozenset(("succeeded", "failed"))
DERIVED: Final = "*"
"""In `of`: every column of the row."""


class ColumnMapError(OperatorError):
    """the column map cannot be used as it stands"""


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One field: its kind, where its value comes from, and how it is written. `where` names it in errors."""

    name: str
    kind: str
    where: str
    column: str | None = None
    value: str | bool | None = None
    default: str | bool | None = None
    sum: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    prefix: str = ""
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    format: str = "iso"
    time_zone: str | None = None
    factor: Decimal = Decimal(1)
    strip: str = ""
    otherwise: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is made of."""
        named = () if self.column is None else (self.column,)
        return (*named, *self.sum, *(name for name in self.of if name != DERIVED))


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Entries of each section, and how the file is written. `decimal` and `thousands`: marks inside of numbers."""

    call: Mapping[str, MapEntry]
    tags: Mapping[str, MapEntry]
    units: Mapping[str, MapEntry]
    error: Mapping[str, MapEntry]
    encoding: str = "utf-8"
    delimiter: str | None = None
    names: tuple[str, ...] = ()
    time_zone: str = "UTC"
    decimal: str = "."
    thousands: str = ""
    content: frozenset[str] = frozenset()

    @property
    def entries(self) -> list[MapEntry]:
        """All of them."""
        return [*self.call.values(), *self.tags.values(), *self.units.values(), *self.error.values()]


def read_column_map(data: bytes, where: str) -> ColumnMap:
    """The column map that a file holds; `where` names the file in errors. Raises ColumnMapError."""
    if len(data) > BYTES_MAX:
        raise ColumnMapError(f"the column map `{where}` is larger than {BYTES_MAX} bytes")
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ColumnMapError(f"`{where}` is not TOML: {error}".replace("\n", " ")) from None
    return _MapDocument(where, document).column_map()


class _MapDocument:
    """The file while it is read."""

    def __init__(self, where: str, document: Mapping[str, Any]) -> None:
        self._where = where
        self._document = document

    def column_map(self) -> ColumnMap:
        """The map; ColumnMapError naming what is wrong with it."""
        self._refuse_unknown("", self._document, _SECTIONS)
        call = self._section("call", KINDS)
        missing = [name for name in ("id", "model") if name not in call]
        if "started_at" not in call and not {"ended_at", "latency_ms"} <= call.keys():
            missing.append("started_at")
        if missing:
            self._refuse("[call]", f"`{missing[0]}` is required" + _hint(missing[0]))
        if ("currency" in call) != ("amount" in call):
            self._refuse("[call]", '`amount` and `currency` go together, such as `currency = { value = "USD" }`')
        return ColumnMap(
            call=call,
            tags=self._section("tags", None, "text"),
            units=self._section("units", None, "money"),
            error=self._section("error", _ERROR_KINDS),
            **self._file(),
        )

    def _section(self, name: str, kinds: Mapping[str, str] | None, kind: str = "") -> dict[str, MapEntry]:
        table = self._table(f"[{name}]", self._document.get(name, {}))
        if kinds is not None:
            self._refuse_unknown(f"[{name}]", table, list(kinds))
        if len(table) > _ENTRIES_MAX:
            self._refuse(f"[{name}]", f"it has more than {_ENTRIES_MAX} entries")
        return {key: self._entry(name, key, kind if kinds is None else kinds[key], said) for key, said in table.items()}

    def _entry(self, section: str, key: str, kind: str, said: object) -> MapEntry:
        where = f"[{section}] {key}"
        table = {"column": said} if isinstance(said, str) else self._table(where, said)
        self._refuse_unknown(where, table, sorted(_OPTIONS["id" if (section, key) == ("call", "id") else kind]))
        origins = [name for name in _ORIGINS if name in table]
        if len(origins) != 1:
            allowed = [name for name in _ORIGINS if name in _OPTIONS["id" if key == "id" else kind]]
            self._refuse(where, "say one of " + ", ".join(f"`{name}`" for name in allowed))
        entry = MapEntry(
            name=key,
            kind=kind,
            where=where,
            column=self._text(where, table, "column"),
            value=self._constant(where, table, "value", kind),
            default=self._constant(where, table, "default", kind),
            sum=self._texts(where, table, "sum"),
            of=self._texts(where, table, "of"),
            prefix=self._text(where, table, "prefix") or "",
            words=self._words(where, table, kind),
            format=self._text(where, table, "format") or "iso",
            time_zone=self._time_zone(where, table),
            factor=self._factor(where, table),
            strip=self._text(where, table, "strip") or "",
            otherwise=self._otherwise(where, table),
        )
        if kind == "status" and entry.value is None and not entry.words:
            self._refuse(where, 'say which words mean what: `succeeded = ["ok"]`, `failed = ["error"]`')
        return entry

    def _file(self) -> dict[str, Any]:
        table = self._table("[file]", self._document.get("file", {}))
        self._refuse_unknown("[file]", table, _FILE_KEYS)
        decimal = self._text("[file]", table, "decimal") or "."
        thousands = self._text("[file]", table, "thousands") or ""
        if decimal not in (".", ",") or len(thousands) > 1 or thousands == decimal or thousands.isalnum():
            self._refuse("[file]", "`decimal` must be `.` or `,`, and `thousands` another mark")
        encoding = self._text("[file]", table, "encoding") or "utf-8"
        try:
            "".encode(encoding)
        except LookupError:
            self._refuse("[file] encoding", f"`{encoding[:40]}` is not known: such as `utf-8`, `cp1252`, `gb18030`")
        delimiter = self._text("[file]", table, "delimiter")
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            self._refuse("[file] delimiter", "it must be one character")
        return {
            "encoding": encoding,
            "delimiter": delimiter,
            "names": self._texts("[file]", table, "names", most=_COLUMNS_MAX * 16),
            "time_zone": self._time_zone("[file]", table) or "UTC",
            "decimal": decimal,
            "thousands": thousands,
            "content": frozenset(self._texts("[file]", table, "content", most=_COLUMNS_MAX * 16)),
        }

    # Values -----------------------------------------------------------------------------------------------------------

    def _text(self, where: str, table: Mapping[str, object], key: str) -> str | None:
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= _TEXT_CHARACTERS_MAX:
            self._refuse(where, f"`{key}` must be a text")
        return value

    def _texts(self, where: str, table: Mapping[str, object], key: str, *, most: int = _COLUMNS_MAX) -> tuple[str, ...]:
        if key not in table:
            return ()
        value = table[key]
        items = cast("list[object]", value) if isinstance(value, list) else []
        texts = tuple(item for item in items if isinstance(item, str) and item)
        if not texts or len(texts) != len(items) or len(texts) > most:
            self._refuse(where, f"`{key}` must be a list of 1 to {most} texts")
        return texts

    def _constant(self, where: str, table: Mapping[str, object], key: str, kind: str) -> str | bool | None:
        value = table.get(key)
        if value is None:
            return None
        if kind == "flag":
            if not isinstance(value, bool):
                self._refuse(where, f"`{key}` must be `true` or `false`")
            return value
        if kind == "status" and value not in _ENDINGS:
            self._refuse(where, f"`{key}` must be `succeeded` or `failed`")
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            self._refuse(where, f'`{key}` must be a text: `{key} = "..."`')
        return str(value)

    def _words(self, where: str, table: Mapping[str, object], kind: str) -> dict[str, str]:
        """Words of a cell -> what they mean."""
        if kind in ("flag", "status"):
            sides = ("true", "false") if kind == "flag" else ("succeeded", "failed")
            found = {word: side for side in sides for word in self._texts(where, table, side, most=_WORDS_MAX)}
            if len(found) != sum(len(self._texts(where, table, side, most=_WORDS_MAX)) for side in sides):
                self._refuse(where, f"a word stands in `{sides[0]}` and in `{sides[1]}`, or twice in one")
            return found
        words = table.get("words", {})
        said = cast("dict[str, object]", words) if isinstance(words, dict) else {"": None}
        if len(said) > _WORDS_MAX or not all(isinstance(value, str) for value in said.values()):
            self._refuse(where, "`words` must be a table of texts: what the file says = what it means")
        return {key: str(value) for key, value in said.items()}

    def _time_zone(self, where: str, table: Mapping[str, object]) -> str | None:
        name = self._text(where, table, "time_zone")
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                self._refuse(where, f"`{name[:40]}` is no time zone: such as `Europe/Berlin`")
        return name

    def _factor(self, where: str, table: Mapping[str, object]) -> Decimal:
        said = table.get("factor", "1")
        try:
            factor = Decimal(str(said)) if isinstance(said, (str, int)) and not isinstance(said, bool) else Decimal(0)
        except InvalidOperation:
            factor = Decimal(0)
        if not (factor.is_finite() and 0 < factor < 10**12) or len(str(said)) > 40:
            self._refuse(where, '`factor` must be a number above zero, as a text: `factor = "0.000001"`')
        return factor

    def _otherwise(self, where: str, table: Mapping[str, object]) -> str | None:
        word = table.get("otherwise")
        if word is not None and word not in _ENDINGS:
            self._refuse(where, "`otherwise` must be `succeeded` or `failed`")
        return cast("str | None", word)

    def _table(self, where: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(where, 'it must be a column\'s name, or a table such as `{ column = "Time" }`')
        return cast("dict[str, Any]", value)

    def _refuse_unknown(self, where: str, table: Mapping[str, object], known: "list[str] | tuple[str, ...]") -> None:
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                also = f"did you mean `{near[0]}`?" if near else "there are " + ", ".join(f"`{name}`" for name in known)
                self._refuse(where, f"`{key[:40].replace('`', ' ')}` is not known: {also}")

    def _refuse(self, where: str, why: str) -> NoReturn:
        at = f"`{self._where}`" + (f", {where}" if where else "")
        raise ColumnMapError(f"{at}: {why}")


def _hint(name: str) -> str:
    if name == "id":
        return ': a column, or `id = { of = ["*"] }`, which makes one of all of a row'
    if name == "started_at":
        return ", or `ended_at` and `latency_ms`"
    return ""
