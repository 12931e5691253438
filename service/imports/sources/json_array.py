"""The rows of a JSON array of any length, as it is read."""

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO, Final

from service.imports.sources.pages import SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

_BLANK: Final = " \t\r\n"
_CHUNK: Final = 2**18
# It only finds where a value ends: what numbers are does not matter.
_DECODER: Final = json.JSONDecoder(parse_float=len, parse_int=len, parse_constant=len)


def array_rows(file: BinaryIO, begin: bytes) -> Iterator[bytes]:
    """The values of the array that `begin` and then `file` hold, as JSON text.

    Raises SourceError where it is no array of JSON any more: what comes behind that cannot be told apart.
    """
    text = _Text(file, begin)
    text.take("[")
    number = 0
    while not text.begins_with("]"):
        if number:
            text.take(",")
        number += 1
        yield text.value(number)


class _Text:
    """What of the file is not read yet."""

    def __init__(self, file: BinaryIO, begin: bytes) -> None:
        self._file = file
        # What is no UTF-8 comes out as it went in: a row that holds such bytes is judged by its reader.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = self._decoder.decode(begin)
        self._at = 0
        self._ended = False

    def begins_with(self, char: str) -> bool:
        """Whether `char` comes next, behind blanks."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at] == char
            if not self._more(_CHUNK):
                raise SourceError("the JSON array has no end: the file was cut off; what is before it was read")

    def take(self, char: str) -> None:
        """Go past `char`. SourceError where something else is next."""
        if not self.begins_with(char):
            raise SourceError(f"the file is no JSON array any more: `{char}` is missing; what is before it was read")
        self._at += 1

    def value(self, number: int) -> bytes:
        """The value that comes next, the array's `number`th."""
        self.begins_with("")  # past the blanks
        wanted = _CHUNK
        while True:
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                end = -1
            # A number may go on where the text ends.
            if end >= 0 and (end < len(self._text) or self._ended):
                break
            if len(self._text) - self._at > ROW_BYTES_MAX or not self._more(wanted):
                raise SourceError(f"row {number} is not JSON, or too long: nothing from it on was read")
            wanted *= 2  # so that a long row is not looked at again for every piece of it
        row = self._text[self._at : end]
        self._at = end
        return row.encode("utf-8", "surrogateescape")

    def _more(self, size: int) -> bool:
        chunk = self._file.read(size)
        self._text = self._text[self._at :] + self._decoder.decode(chunk, final=not chunk)
        self._at, self._ended = 0, not chunk
        return bool(chunk)
