"""Tables of other programs that are not what they were: an error in words, and what is before it was given on."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest
from newapi import consumed, sqlite_of

from service.imports.addresses import open_source
from service.imports.formats import FORMATS
from service.imports.sources.databases import table
from service.imports.sources.databases.table import TEXT_CHARACTERS_MAX
from service.imports.sources.pages import SourceError

FORM = FORMATS["new-api"]
COPIED = ("ALTER TABLE logs RENAME TO old", "CREATE TABLE logs AS SELECT * FROM old")
"""The table again, without a key."""
TEXT_IDS = (
    "CAST(id AS text) AS id, user_id, created_at, type, content, model_name, quota, prompt_tokens, completion_tokens"
)


def read(address: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    async def all_rows() -> None:
        async with aclosing(open_source(FORM, address).pages(None)) as pages:
            async for page in pages:
                rows.extend(json.loads(bytes(row)) for row in page.rows)

    asyncio.run(all_rows())
    return rows


def changed(path: Path, *statements: str, log: Sequence[dict[str, Any]] | None = None) -> str:
    address = sqlite_of(path, "new-api 1.0", [consumed(id_) for id_ in range(1, 31)] if log is None else log)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return address


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["ALTER TABLE logs RENAME TO other"], "there is no table `logs`"),
        (["ALTER TABLE logs RENAME COLUMN id TO number"], "has no `id`"),
        (["ALTER TABLE logs RENAME COLUMN created_at TO at"], "has no `created_at`"),
        ([f"ALTER TABLE logs RENAME COLUMN {name} TO its_{name}" for name in ("quota", "type")], "no `type`, `quota`"),
        ([*COPIED, "UPDATE logs SET id = 'a' || id"], "a `id` that is no number"),
        ([COPIED[0], COPIED[1].replace("*", TEXT_IDS)], "a `id` that is no number"),
    ],
    ids=["no table", "no key", "no moment", "two missing", "ids of letters", "ids as text"],
)
def test_a_table_that_changed_is_named(tmp_path: Path, statements: list[str], words: str) -> None:
    """A table or column that is gone, and a key that is no number any more, are named; none is read for ever."""
    with pytest.raises(SourceError, match=words):
        read(changed(tmp_path / "logs.db", *statements))


def test_values_of_another_type_come_as_they_are(tmp_path: Path) -> None:
    """No number, bytes, nothing and megabytes are rows like others, for their reader to judge; long ones are cut."""
    address = changed(
        tmp_path / "logs.db",
        "UPDATE logs SET quota = 9e999 WHERE id = 1",
        "UPDATE logs SET model_name = x'ff00fe' WHERE id = 2",
        "UPDATE logs SET created_at = NULL, type = 'two' WHERE id = 3",
        f"UPDATE logs SET content = '{'y' * 10_000_000}' WHERE id = 4",
    )
    rows = read(address)
    assert [row["id"] for row in rows] == list(range(1, 31))
    assert (rows[0]["quota"], rows[2]["created_at"], rows[2]["type"]) == (None, None, "two")
    assert len(rows[3]["content"]) == TEXT_CHARACTERS_MAX
    assert "\ufffd" in rows[1]["model_name"]


def test_a_file_that_is_damaged_gives_what_is_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages before the damage are given on, and then it is said."""
    monkeypatch.setattr(table, "_PAGE_ROWS", 50)
    path = tmp_path / "logs.db"
    address = changed(path, log=[consumed(id_) for id_ in range(1, 2_001)])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))
    seen: list[int] = []

    async def pages() -> None:
        async with aclosing(open_source(FORM, address).pages(None)) as found:
            async for page in found:
                seen.extend(json.loads(bytes(row))["id"] for row in page.rows)

    with pytest.raises(SourceError, match="cannot be read"):
        asyncio.run(pages())
    assert seen == list(range(1, len(seen) + 1)) and 50 <= len(seen) < 2_000


def test_one_id_twice_is_no_endless_page(tmp_path: Path) -> None:
    """A table without a key, whose ids repeat, is read to its end."""
    address = changed(tmp_path / "logs.db", COPIED[0], f"{COPIED[1]} UNION ALL SELECT * FROM old")
    assert len(read(address)) == 60


def test_rows_that_come_in_meanwhile_are_left_to_the_next_time(tmp_path: Path) -> None:
    """With each page a row comes in: the table is read to where its end was found, and no further."""
    path = tmp_path / "logs.db"
    address = changed(path)

    async def pages() -> int:
        count = 0
        async with aclosing(open_source(FORM, address).pages(None)) as found:
            async for _ in found:
                count += 1
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("INSERT INTO logs (id, created_at) VALUES (?, 1)", (1_000 + count,))
                    connection.commit()
                assert count < 5
        return count

    assert asyncio.run(pages()) == 1
