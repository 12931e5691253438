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
from service.imports.sources.csv_rows import CsvForm
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowPage, SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

ROWS: Final = [
    {"id": f"r{number}", "text": 'a "quoted" [line]\n', "n": 1.5, "deep": {"a": [1, {}]}} for number in range(5)
]


PLAIN: Final = CsvForm()


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
        [3],
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


def csv_of(path: Path, content: bytes, form: CsvForm = PLAIN) -> list[object]:
    source = FileSource(written(path / "rows.csv", content), form)

    async def all_rows() -> list[object]:
        return [json.loads(bytes(row)) async for page in source.pages(None) for row in page.rows]

    return asyncio.run(all_rows())


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ("name,cost\nKöln,1\n".encode(), PLAIN),
        ("\ufeffname;cost\nKöln;1\n".encode(), PLAIN),
        ("name\tcost\nKöln\t1\n".encode("utf-16"), PLAIN),
        ("\ufeffname,cost\r\nKöln,1\r\n".encode("utf-16-be"), PLAIN),
        ("name,cost\nKöln,1\n".encode("cp1252"), CsvForm("cp1252")),
        ("Köln#1\n".encode(), CsvForm(delimiter="#", names=("name", "cost"))),
        (gzip.compress("name|cost\nKöln|1".encode()), PLAIN),
    ],
    ids=["commas", "semicolons, a mark", "tabs, UTF-16", "UTF-16 big", "a code page", "no header", "bars, gzip"],
)
def test_csv_in_any_encoding_and_with_any_delimiter(tmp_path: Path, content: bytes, form: CsvForm) -> None:
    """The delimiter is the one that the header has most of, the encoding UTF-8, UTF-16 by its mark, or as said."""
    assert csv_of(tmp_path, content, form) == [{"name": "Köln", "cost": "1"}]


def test_a_line_that_cannot_be_read_costs_itself(tmp_path: Path) -> None:
    """A quote without an end, cells too many or too few, bytes of another encoding: the lines behind them are read."""
    content = b'a,b\n1,"x\n2,y\n"3"z,w\n4\n5,6,7\n6,\xff\n7,v,,\n8,"u\n\n9"\n'
    assert csv_of(tmp_path, content) == [
        "unreadable",
        {"a": "2", "b": "y"},
        "unreadable",
        [1],
        [3],
        "unreadable",
        {"a": "7", "b": "v"},
        {"a": "8", "b": "u\n\n9"},
    ]


def test_nul_and_empty_columns(tmp_path: Path) -> None:
    """A NUL character is a character, and a column without a name is one that no map can name."""
    assert csv_of(tmp_path, b"a,,b\nx\x00y,1,2\n") == [{"a": "x\x00y", "": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a,b,a\n1,2,3\n", "names `a` twice"),
        (b",,\n1,2,3\n", "no header"),
        (b",".join(b"c%d" % number for number in range(1025)) + b"\n", "more than 1024 columns"),
        (b"a,b\n" + b'1,"x\n' * 200, "quotes have no end in 101 lines"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_as_a_whole(tmp_path: Path, content: bytes, why: str) -> None:
    """A header that names one column twice or none, too many columns, and quotes without an end everywhere."""
    with pytest.raises(SourceError, match=why):
        csv_of(tmp_path, content)


def test_a_quote_without_an_end_holds_no_more_than_a_record(tmp_path: Path) -> None:
    """Of a file behind such a quote no more is held than a record may have, and its rows are found all the same."""
    rows = 400_000
    path = written(tmp_path / "rows.csv", b'a,b\n0,"x\n' + b"1,yyyyyyyyyyyyyyyyyyyy\n" * rows)
    tracemalloc.start()

    async def counted() -> int:
        return sum([len(page.rows) async for page in FileSource(path).pages(None)])

    count = asyncio.run(counted())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == rows + 1
    assert peak < 12 * ROW_BYTES_MAX
