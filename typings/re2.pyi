"""The part of google-re2 that we use: the library comes without types."""

from collections.abc import Iterator
from typing import AnyStr, Generic

class error(Exception): ...  # noqa: N801, N818 - the library's name

class Options:
    log_errors: bool
    max_mem: int

class _Match(Generic[AnyStr]):
    def span(self, group: int | str = 0) -> tuple[int, int]: ...

class _Regexp(Generic[AnyStr]):
    @property
    def groups(self) -> int: ...
    def search(self, text: AnyStr, pos: int | None = None, endpos: int | None = None) -> _Match[AnyStr] | None: ...
    def fullmatch(self, text: AnyStr, pos: int | None = None, endpos: int | None = None) -> _Match[AnyStr] | None: ...
    def finditer(self, text: AnyStr, pos: int | None = None, endpos: int | None = None) -> Iterator[_Match[AnyStr]]: ...

def compile(pattern: AnyStr, options: Options | None = None) -> _Regexp[AnyStr]: ...  # noqa: A001 - the library's name

class Set:
    @classmethod
    def SearchSet(cls, options: Options | None = None) -> Set: ...  # noqa: N802 - the library's name
    def Add(self, pattern: str | bytes) -> int: ...  # noqa: N802 - the library's name
    def Compile(self) -> None: ...  # noqa: N802 - the library's name
    def Match(self, text: str | bytes) -> list[int] | None: ...  # noqa: N802 - the library's name

class Filter:
    def Add(self, pattern: str | bytes, options: Options | None = None) -> int: ...  # noqa: N802 - the library's name
    def Compile(self) -> None: ...  # noqa: N802 - the library's name
    def Match(self, text: str | bytes, potential: bool = False) -> list[int] | None: ...  # noqa: N802 - its name
