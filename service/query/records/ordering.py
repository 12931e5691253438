"""Orders of a list, and positions in it as sealed cursors: keyset paging, nulls last, ties by id."""

import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import asyncpg
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from service.query.model.catalog import Sortable, Table
from service.query.model.errors import BadInputError
from service.query.model.parameters import Params
from service.query.records.page_sealing import LENGTH, URLSAFE, PageSealing

_LABEL = b"calledger/cursor/v1"
# A row of costs stands where its names say: a dozen of them, each of 200 characters at most.
_LENGTH_MAX = 16_384
_STANDARD = bytes.maketrans(b"-_", b"+/")
# From so many on it is faster to seal all at once.
_AT_ONCE_MIN = 6

Position = tuple[str | int | None, ...]
"""Values of the order's terms and the id, as they stand in a cursor: moments as microseconds, decimals as text."""


class CursorError(BadInputError):
    """the cursor does not belong to this query: ask for the first page again"""


class Cursors:
    """Seals and opens cursors. `secret`: the keyring's own for cursors."""

    def __init__(self, secret: bytes) -> None:
        key = hmac.digest(secret, _LABEL, "sha256") + hmac.digest(secret, _LABEL + b"/2", "sha256")
        self._siv, self._page = AESSIV(key), PageSealing(key)

    @staticmethod
    def binding(*parts: object) -> bytes:
        """What a cursor is tied to, as bytes. The parts are values whose `repr` says all of them."""
        return Cursors.bound(repr(parts))

    @staticmethod
    def bound(parts: str) -> bytes:
        """The same for their `repr`."""
        return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).digest()

    def seal(self, position: Position, binding: bytes) -> str:
        """The cursor of `position`: opaque text that only `open` with the same `binding` reads (AES-SIV, RFC 5297)."""
        return self.seal_written(orjson.dumps(position), binding)

    def seal_written(self, written: bytes, binding: bytes) -> str:
        """The cursor of a position that is written as bytes already (`Ordering.written`)."""
        return _text_of(self._siv.encrypt(written, [binding]))

    def seal_all(self, written: Sequence[bytes], binding: bytes) -> list[str]:
        """The same of all positions of a page."""
        if len(written) >= _AT_ONCE_MIN and {*map(len, written)} == {LENGTH}:
            return self._page.seal_all(written, binding)
        return [self.seal_written(one, binding) for one in written]

    def open(self, text: str, binding: bytes) -> Position:
        """Raises CursorError for anything but a cursor that `seal` gave out for the same binding."""
        if not 0 < len(text) <= _LENGTH_MAX or not text.isascii():
            raise CursorError
        try:
            sealed = binascii.a2b_base64(text.encode().translate(_STANDARD) + b"=" * (-len(text) % 4))
            # The same bytes have one text only: a cursor cannot be changed at all, not even in its unused bits.
            if _text_of(sealed) != text:
                raise CursorError
            written = self._siv.decrypt(sealed, [binding])
            # A key begins with the high byte of its moment, which is no bracket in any year that there is.
            position = orjson.loads(written) if written.startswith(b"[") else _position_of(written)
        except (binascii.Error, ValueError, InvalidTag):
            raise CursorError from None
        return tuple(position)


def _text_of(sealed: bytes) -> str:
    return binascii.b2a_base64(sealed, newline=False).translate(URLSAFE, b"=").decode()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRESQL_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 UTC, from which PostgreSQL counts, in microseconds after 1970."""
_MICROSECOND = timedelta(microseconds=1)

MOMENT: Final = "moment"
"""The table's time as it is answered, in its stead: to make a datetime of it takes the driver 1.4 us a row, and most
pages only write it on.
"""
KEY: Final = "key"
"""Where the row stands by time, as a cursor holds it: PostgreSQL's 8 bytes of the time and the 16 of the id."""
_KEY_SQL: Final = "timestamptz_send({time}) || uuid_send(id)"
MOMENT_ANSWER: Final = """to_char({moment}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
"""A moment as it is answered: RFC 3339 in UTC, cut off at milliseconds."""


def microseconds(moment: datetime) -> int:
    """A moment as a cursor holds it."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The moment so many microseconds after 1970-01-01 UTC."""
    return _EPOCH + count * _MICROSECOND


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of an order, by its name in the schema."""

    field: str
    descending: bool


class Bound(NamedTuple):
    """An end of the page: rows after (or before) a position; `inclusive` takes the row there as well."""

    position: Position
    after: bool
    inclusive: bool = False


class Ordering:
    """An order over one table, which `ordering_of` remembers. `by_time`: it is the order of the table's key."""

    def __init__(self, table: Table, terms: Sequence[OrderTerm]) -> None:
        terms = terms or (OrderTerm(table.time_order, True),)
        if len({term.field for term in terms}) != len(terms):
            raise BadInputError("an order names each field once")
        self.table = table
        self.terms: list[tuple[Sortable, bool]] = [(table.orders[term.field], term.descending) for term in terms]
        self.names = tuple((term.field, term.descending) for term in terms)
        self.by_time = len(terms) == 1 and terms[0].field == table.time_order
        self.descending = terms[0].descending
        self._order_by = {backward: self._written_order(backward) for backward in (False, True)}

    def columns(self, *, texts: bool = False) -> dict[str, str]:
        """What has to be selected to tell where a row stands. `texts`: by time, as MOMENT and KEY say."""
        if texts and self.by_time:
            time = self.table.time
            return {MOMENT: MOMENT_ANSWER.format(moment=time), KEY: _KEY_SQL.format(time=time)}
        keys = {} if self.by_time else {f"order_{index}": term.sql for index, (term, _) in enumerate(self.terms)}
        return {self.table.time: self.table.time, "id": "id", **keys}

    def order_by(self, *, backward: bool) -> str:
        """The text after `ORDER BY`. `backward`: in the opposite direction, from the end of the list."""
        return self._order_by[backward]

    def _written_order(self, backward: bool) -> str:
        terms = [
            f"{self._name(index)} {_direction(descending != backward)} {'NULLS FIRST' if backward else 'NULLS LAST'}"
            for index, (_, descending) in enumerate(self.terms)
        ]
        if self.by_time:
            # Without a word on nulls, as the primary key is: the index serves it in both directions.
            terms = [f"{self.table.time} {_direction(self.descending != backward)}"]
        return ", ".join([*terms, f"id {_direction(self.descending != backward)}"])

    def by_key(self, *, backward: bool) -> str | None:
        """The same by time, of rows that have it as KEY, whose bytes are in the same order."""
        return f"{KEY} {_direction(self.descending != backward)}" if self.by_time else None

    def _name(self, index: int) -> str:
        return f"order_{index}"

    def position(self, row: asyncpg.Record) -> Position:
        """Where a row stands."""
        if self.by_time:
            key = row.get(KEY)
            return (microseconds(row[self.table.time]), row["id"]) if key is None else _position_of(key)
        return (*(_plain(row[self._name(index)]) for index in range(len(self.terms))), row["id"])

    def all_written(self, rows: Sequence[asyncpg.Record]) -> list[bytes]:
        """Where rows of one page stand, as cursors hold it: a KEY by time, else JSON."""
        if self.by_time and rows and KEY in rows[0]:
            return column_of(rows, KEY)
        return [self.written(row) for row in rows]

    def written(self, row: asyncpg.Record) -> bytes:
        """The same of one row."""
        if not self.by_time:
            return orjson.dumps(self.position(row))
        key = row.get(KEY)
        return _key_of(row[self.table.time], row["id"]) if key is None else key

    def time_of(self, position: Position) -> datetime | None:
        """The table's time at a position, when the order is by it."""
        return from_microseconds(cast("int", position[0])) if self.by_time else None

    def beyond(self, bound: Bound, params: Params) -> str:
        """The rows on the asked side of a position."""
        if not self.by_time:
            return self._beyond_terms(bound, params)
        operator = "<" if self.descending == bound.after else ">"
        moment, id_ = self.moment_and_id(bound)
        return (
            f"({self.table.time}, id) {operator}{'=' if bound.inclusive else ''} "
            f"({params.bind(moment, 'timestamptz')}, {params.bind(id_, 'uuid')})"
        )

    def moment_and_id(self, bound: Bound) -> tuple[datetime, str]:
        """What `beyond` binds by time."""
        if len(bound.position) != 2:
            raise CursorError
        count, id_ = bound.position
        return from_microseconds(cast("int", count)), cast("str", id_)

    def _beyond_terms(self, bound: Bound, params: Params) -> str:
        if len(bound.position) != len(self.terms) + 1:
            raise CursorError
        cases: list[list[str]] = []
        same: list[str] = []
        for (term, descending), value in zip(self.terms, bound.position, strict=False):
            name = params.bind(_value(value, term.type), term.type) if value is not None else None
            cases.append([*same, _past(term.sql, name, smaller=descending == bound.after, nulls=bound.after)])
            same.append(f"{term.sql} = {name}" if name else f"{term.sql} IS NULL")
        operator = "<" if self.descending == bound.after else ">"
        last = f"id {operator}{'=' if bound.inclusive else ''} {params.bind(bound.position[-1], 'uuid')}"
        return " OR ".join(f"({' AND '.join(case)})" for case in [*cases, [*same, last]])


def column_of(rows: Sequence[asyncpg.Record], name: str) -> list[Any]:
    """One column of rows of one statement, where there are any. By position: a name would be looked up once a row."""
    return list(map(itemgetter([*rows[0].keys()].index(name)), rows))


def _key_of(moment: datetime, id_: str) -> bytes:
    return (microseconds(moment) - _POSTGRESQL_EPOCH).to_bytes(8, "big", signed=True) + UUID(id_).bytes


def _position_of(key: bytes) -> Position:
    digits = key[8:].hex()
    id_ = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return int.from_bytes(key[:8], "big", signed=True) + _POSTGRESQL_EPOCH, id_


ordering_of = lru_cache(maxsize=256)(Ordering)
"""The same order again, from its table and terms. Raises BadInputError as it does."""


def _past(sql: str, name: str | None, *, smaller: bool, nulls: bool) -> str:
    """Strictly past a value in one term. Nulls stand at the end: past every value, and nothing is past them."""
    if name is None:
        return "false" if nulls else f"{sql} IS NOT NULL"
    past = f"{sql} {'<' if smaller else '>'} {name}"
    return f"({past} OR {sql} IS NULL)" if nulls else past


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"


def _plain(value: object) -> str | int | None:
    if isinstance(value, datetime):
        return microseconds(value)
    return cast("str | int | None", value)


def _value(value: str | int, type_: str) -> object:
    return from_microseconds(cast("int", value)) if type_ == "timestamptz" else value
