"""The names under which a model can stand in a price list."""

import re
from functools import lru_cache
from typing import Final

_SNAPSHOT: Final = re.compile(r"-(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})\Z", re.ASCII)


@lru_cache(maxsize=4096)
def names_of(model: str) -> tuple[str, ...]:
    """`openai/gpt-4o-2024-11-20` as it is, without the provider, and either without the snapshot's date."""
    full_name = model.lower()
    bare = full_name.rpartition("/")[2]
    return tuple(dict.fromkeys((full_name, bare, _SNAPSHOT.sub("", full_name), _SNAPSHOT.sub("", bare))))
