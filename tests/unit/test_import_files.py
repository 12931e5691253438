"""Files of rows are read a page at a time, whatever form they have, and say where they are damaged."""

import asyncio
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from service.errors import OperatorError
from service.imports.sources import pages
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowPage, SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

ROWS: Final = [
    {"id": f"r{number}", "text": 'a "quoted" [line]\n', "n": 1.5, "deep": {"a": [1, {}]}} for number in range(5)
]


def read(path: Path, after: str | None = None) -> list[RowPage]:
    async def all_pages() -> list[RowPage]:
        return [page async for page in FileSource(path).pages(after)]

    return asyncio.run(all_pages())


def rows_of(path: Path, after: str | None = None) -> list[object]:
    return [json.loads(bytes(row)) for page in read(path, after) for row in page.rows]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


LINES: Final = b"\n".join(json.dumps(row).encode() for row in ROWS)


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        b"\xef\xbb\xbf" + LINES + b"\n\n",
        b"\n \n" + LINES.replace(b"\n", b"\r\n\r\n"),
        json.dumps(ROWS).encode(),
        b"  " + json.dumps(ROWS, indent=2).encode() + b"\n",
    ],
    ids=["lines", "mark of the order of bytes", "blank lines", "array", "printed array"],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_each_form_has_the_same_rows(tmp_path: Path, content: bytes, zipped: bool) -> None:
    """JSON lines and arrays, plain or gzip of several members, are the rows that were written."""
    middle = len(content) // 2
    members = gzip.compress(content[:middle]) + gzip.compress(content[middle:])
    assert rows_of(written(tmp_path / "rows", members if zipped else content)) == ROWS


def test_csv_is_rows_by_its_names(tmp_path: Path) -> None:
    """A cell is text under its column's name, an empty one and `\\N` are nothing, an odd line is a row of its own."""
    content = b'a,b\r\n1,"x\ny"\r\n,z\r\n\\N,\r\n1,2,3\r\n'
    assert rows_of(written(tmp_path / "rows.csv", content)) == [
        {"a": "1", "b": "x\ny"},
        {"b": "z"},
        {},
        ["1", "2", "3"],
    ]


def test_pages_are_bounded_and_resumable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From each page's cursor on there are the rows behind it, no more and no fewer."""
    monkeypatch.setattr("service.imports.sources.file.PAGE_ROWS", 2)
    path = written(tmp_path / "rows", LINES)
    found = read(path)
    assert [len(page.rows) for page in found] == [2, 2, 1]
    for number, page in enumerate(found, 1):
        assert rows_of(path, page.cursor) == ROWS[2 * number :]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(LINES)[:-9],
        gzip.compress(LINES)[:40] + b"\0" * 20,
        json.dumps(ROWS).encode()[:-1],
        json.dumps(ROWS).encode()[:-30],
        json.dumps(ROWS[:2]).encode()[:-1] + b', {"id": nonsense}, {"id": "r9"}]',
        b"[" * 100_000,
    ],
    ids=["cut gzip", "damaged gzip", "array without end", "cut array", "no JSON inside", "depth"],
)
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    """It is an error, in words, and never the end of the rows."""
    with pytest.raises(SourceError):
        read(written(tmp_path / "rows", content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path and the reason, before anything is read."""
    with pytest.raises(OperatorError, match="nothing-here` cannot be read: no such file"):
        FileSource(tmp_path / "nothing-here")


def test_a_bomb_of_one_line_is_never_held(tmp_path: Path) -> None:
    """A line of 200 MB in a small gzip is a row of the bound's size, to be refused; the row behind it is there."""
    with gzip.open(tmp_path / "bomb", "wb", compresslevel=1) as file:
        file.write(b"{")
        for _ in range(200):
            file.write(b" " * 2**20)
        file.write(b"\n" + LINES)
    tracemalloc.start()
    first = [row for page in read(tmp_path / "bomb") for row in page.rows]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(first[0]) > ROW_BYTES_MAX
    assert [json.loads(row) for row in first[1:]] == ROWS
    assert peak < 6 * ROW_BYTES_MAX
    assert pages.PAGE_BYTES <= ROW_BYTES_MAX
