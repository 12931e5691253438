"""The files of GraphiQL are those that npm has, and the page asks nobody else."""

import gzip
import hashlib
import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "service" / "console" / "graphiql"
VENDORED = json.loads((FOLDER / "vendored.json").read_text("utf-8"))
OWN = {"index.html", "page.css", "page.js", "vendored.json", "licenses.txt"}


def test_the_files_are_the_ones_of_npm() -> None:
    """Each has the digest of its package's file, and there is no other file; `.ci/graphiql` writes them anew."""
    assert {path.name for path in FOLDER.iterdir()} == OWN | {f"{name}.gz" for name in VENDORED}
    for name, said in VENDORED.items():
        data = gzip.decompress((FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(data).hexdigest() == said["sha256"], name
        assert said["package"] in (FOLDER / "licenses.txt").read_text("utf-8")


def test_the_page_names_its_own_files_alone() -> None:
    """Every script and stylesheet is relative, nothing is inline, and each is among those that are served."""
    text = (FOLDER / "index.html").read_text("utf-8")
    named = [name for name in re.findall(r'(?:src|href)="([^"]*)"', text) if name != "data:,"]
    assert {name.removeprefix("graphiql/") for name in named} == {*VENDORED, "page.css", "page.js"}
    assert all(name.startswith("graphiql/") for name in named)
    assert not re.search(r"<script(?! defer src=)|<style|\son\w+=|style=", text)
