"""Rows that name a person who is being erased, and are not that person's: in clear, or in the sealed text of an error.

The error of a gateway often names somebody before the gateway has said who asked. Such a row has no user, or another
one, so that no pseudonym leads to it: every row of the account is searched, and every message opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from policies.admission.personal import code_without, source_id_without, without_persons
from policies.policy.model import Store
from policies.redaction import Persons
from policies.redaction.echoes.persons import plain_needles
from policies.retention import Partition
from service.offload import OffloadThread
from service.retention.erasure.sealed_details import DetailKeys, details_without
from service.retention.erasure.tag_values import put_in, take_out
from service.storage.connection import Connection, Queryable

BATCH_ROWS: Final = 200
"""Rows that are read, and at most changed, at a time, so that work and transaction are short."""

_OWN_MAX: Final = 1024
"""Letters of the id that are looked for: PostgreSQL refuses patterns of some ten thousands."""
_LABELS: Final = (
    "error_type", "deployment", "team", "team_id", "organization", "organization_id", "normalized_error",
    "served_model", "operation",
)  # fmt: skip
_IDS: Final = ("trace_id", "parent_span_id", "session_id", "provider_request_id")
# A row that may name the person: its letters and digits have those of the id or of a code of it, or it has characters
# that can be spelled in several ways.
_MAY_NAME: Final = (
    "(regexp_replace(lower({text}), '[^a-z0-9]+', '', 'g') ~ $6"
    " OR octet_length({text}) > char_length({text}) OR {text} ~ '[%\\\\&=<[\\x1b]')"
)
_CALL_TEXT: Final = """concat_ws(E'\\n', source_id, error_type, error_code, tags::text, deployment, team, team_id,
    organization_id, organization, normalized_error, trace_id, parent_span_id, session_id, provider_request_id,
    served_model, operation)"""
_ERROR_TEXT: Final = "concat_ws(E'\\n', error_type, error_code)"
_CALL_COLUMNS: Final = ("source_id", *_LABELS, "error_code", "tags", *_IDS)
_ERROR_COLUMNS: Final = ("error_type", "error_code", "rules", "rule_counts", "sealed")
_TIMES: Final = {Store.CALL: "started_at", Store.CALL_ERROR: "occurred_at"}
_COLUMNS: Final = {Store.CALL: _CALL_COLUMNS, Store.CALL_ERROR: _ERROR_COLUMNS}
_LOOKED_AT: Final = {
    Store.CALL: _MAY_NAME.format(text=_CALL_TEXT),
    Store.CALL_ERROR: f"(sealed IS NOT NULL OR {_MAY_NAME.format(text=_ERROR_TEXT)})",
}
_TYPES: Final = {"tags": "::jsonb", "rules": "::text[]", "rule_counts": "::integer[]"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Row = Mapping[str, Any] | asyncpg.Record
RowPosition = tuple[datetime, UUID]


def _select(store: Store) -> str:
    """A statement that reads the texts of rows in which a name is looked for."""
    time = _TIMES[store]
    return f"""
        SELECT {time} AS moment, id, {", ".join(_COLUMNS[store])}
        FROM {store.value} WHERE account_id = $1 AND tier = $2 AND {time} >= $3 AND {time} < $4
    """  # noqa: S608 - names of our own


def _update(store: Store) -> str:
    columns = _COLUMNS[store]
    changed = ", ".join(f"{name} = ${index}{_TYPES.get(name, '')}" for index, name in enumerate(columns, 5))
    return f"""
        UPDATE {store.value} SET {changed} WHERE account_id = $1 AND tier = $2 AND {_TIMES[store]} = $3 AND id = $4
    """  # noqa: S608 - names of our own


_PAGE: Final = {
    store: f"""
        {_select(store)} AND {_LOOKED_AT[store]} AND ({time}, id) > ($5::timestamptz, $7::uuid)
        ORDER BY {time}, id LIMIT {BATCH_ROWS}
    """
    for store, time in _TIMES.items()
}
_LOCKED: Final = {store: f"{_select(store)} AND id = ANY ($5::uuid[]) ORDER BY id FOR UPDATE" for store in _TIMES}
_CHANGE: Final = {store: _update(store) for store in _TIMES}


@dataclass(frozen=True, slots=True)
class NamedRows:
    """The rows of one account, in one partition of calls or errors, that name a person. `user`: the plain id."""

    part: Partition
    account: int
    user: str
    keys: DetailKeys

    @property
    def _where(self) -> tuple[object, ...]:
        return self.account, self.part.tier, self.part.start, self.part.end

    async def page(self, source: Queryable, after: RowPosition | None) -> tuple[Sequence[Row], RowPosition | None]:
        """The next rows that may name the person, and the position to continue after; None when these were the last."""
        moment, id_ = after or (self.part.start, UUID(int=0))
        rows = await source.fetch(_PAGE[self.part.store], *self._where, moment, _pattern(self.user), id_)
        more = len(rows) == BATCH_ROWS
        return rows, (rows[-1]["moment"], rows[-1]["id"]) if more else None

    async def naming(self, rows: Sequence[Row], aside: OffloadThread) -> dict[UUID, dict[str, Any]]:
        """Those of `rows` that do name the person, by id, as they are without the name."""
        keys = [await self.keys.of(row) if "sealed" in row else None for row in rows]
        persons = Persons((self.user,))

        def look(row_and_keys: Any) -> dict[UUID, dict[str, Any]]:  # noqa: ANN401 - rows with their keys
            """The rows that name the person, by id; runs in a thread."""
            found = {}
            for row, key in row_and_keys:
                after = _without(row, persons)
                if self.part.store is Store.CALL_ERROR:
                    after |= details_without(row, self.account, key, persons)
                if after != dict(row):
                    found[row["id"]] = after
            return found

        return await aside.run(look, list(zip(rows, keys, strict=True)))

    async def lock(self, connection: Queryable, ids: Sequence[UUID]) -> Sequence[Row]:
        """These rows as they are now, locked until the transaction of `connection` ends."""
        return await connection.fetch(_LOCKED[self.part.store], *self._where, list(ids))

    async def change(self, connection: Connection, changed: Mapping[UUID, Row]) -> None:
        """Write the rows as `naming` returned them."""
        columns, ids = _COLUMNS[self.part.store], list(changed)
        if self.part.store is Store.CALL:
            await take_out(connection, self._where, ids)
        for id_, row in changed.items():
            values = [row[name] for name in columns]
            await connection.execute(
                _CHANGE[self.part.store], self.account, self.part.tier, row["moment"], id_, *values
            )
        if self.part.store is Store.CALL:
            await put_in(connection, self._where, ids)


def _pattern(user: str) -> str:
    """What matches the letters and digits of each plain row that names the person; of all rows for ids beyond ASCII."""
    own, codes = plain_needles(user) if user.isascii() else ("", ())
    return "|".join((own[:_OWN_MAX], *codes)) if own else ""


def _without(row: Row, persons: Persons) -> dict[str, Any]:
    """The row without persons in its clear columns, with the columns in the same order."""
    removed: dict[str, int] = {}
    cleared = dict(row)
    for name in cleared.keys() & set(_LABELS):
        cleared[name] = without_persons(row[name], persons, name, removed)
    for name in cleared.keys() & set(_IDS):
        if row[name] is not None and without_persons(row[name], persons, name, removed) != row[name]:
            cleared[name] = None
    cleared["error_code"] = code_without(row["error_code"], persons, removed)
    if "source_id" in cleared:
        cleared["source_id"] = _source_id(row, persons, removed)
    if cleared.get("tags") is not None:
        tags = orjson.loads(row["tags"])
        kept = {
            without_persons(key, persons, "tag", removed): without_persons(value, persons, "tag", removed)
            for key, value in tags.items()
        }
        cleared["tags"] = row["tags"] if kept == tags else orjson.dumps(kept).decode()
    return cleared


def _source_id(row: Row, persons: Persons, removed: dict[str, int]) -> str:
    shown = source_id_without(row["source_id"], persons, removed)
    if shown == row["source_id"]:
        return shown
    return f"{shown}~{(row['moment'] - _EPOCH) // _MILLISECOND}"
