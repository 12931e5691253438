"""The documents that the console asks, to the letter: a service that answers trusted documents alone trusts them."""

import json
from importlib import resources
from typing import Final

FILE: Final = "documents.json"


def console_documents() -> frozenset[str]:
    """The texts of `dist/documents.json`, which is built with the pages of which they are."""
    text = resources.files("service.console").joinpath("dist", FILE).read_text("utf-8")
    return frozenset(json.loads(text).values())
