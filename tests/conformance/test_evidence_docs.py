"""docs/ledger.md says what the bytes are: its example is real."""

import re
from pathlib import Path

from policies.evidence import leaf_hash, read_checkpoint, read_key, verify

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "ledger.md").read_text("utf-8")
EXAMPLE = (DOCS / "ledger-example.ndjson").read_bytes()
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, flags=re.MULTILINE)
]


def test_the_example_is_verified_as_the_page_says() -> None:
    """The verifier says of the example, word for word, what the page shows."""
    key = re.search(r"signer +(\S+)", PAGE)[1]
    said = "\n".join(verify(EXAMPLE.splitlines(keepends=True), key=key).lines())

    assert said in [block.strip("\n") for block in BLOCKS]


def test_the_checkpoint_on_the_page_is_signed() -> None:
    """The checkpoint that the page shows is the example's own, and its signature holds."""
    shown = next(block for block in BLOCKS if "\n3\n" in block and "\u2014" in block).strip("\n") + "\n"
    checkpoint = read_checkpoint(shown.encode())

    assert checkpoint == verify(EXAMPLE.splitlines(keepends=True)).checkpoint
    assert checkpoint.signed_by(read_key(re.search(r"signer +(\S+)", PAGE)[1]))


def test_the_leaf_on_the_page_has_the_hash_on_the_page() -> None:
    """The entry that the page shows in full hashes to what it says."""
    leaf = next(block for block in BLOCKS if block.strip().startswith('{"actor"')).strip()

    assert leaf_hash(leaf.encode()).hex() in PAGE
