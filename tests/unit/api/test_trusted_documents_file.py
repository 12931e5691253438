"""The file of trusted documents: what is wrong with it is said at the start."""

import json
from pathlib import Path

import pytest

from service.api.execution.trusted_documents import FILE_BYTES_MAX, read_trusted_documents
from service.api.schema import build_schema
from service.errors import OperatorError

SCHEMA = build_schema()._schema


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"[]", "is not an object"),
        (b"{}", "is not an object"),
        (b'{"a": 1}', "is not an object"),
        (b'{"": "{ __typename }"}', "an id has 1 to 200 characters"),
        (b'{"a": "{ nothing }"}', "document `a` of"),
        (b'{"a": "{"}', "document `a` of"),
        (b'{"a": "' + b" " * 40_000 + b'{ __typename }"}', "at most 32768 characters"),
        (b'{"sha256:00": "{ __typename }"}', "is not the SHA-256 of its text"),
        (json.dumps({f"a{n}": "{ __typename }" for n in range(1_001)}).encode(), "more than 1000 documents"),
        (b" " * (FILE_BYTES_MAX + 1), "more than 4194304 bytes"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    """What cannot be asked is said with the file and the document, and not left to be found by a client."""
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError) as raised:
        read_trusted_documents(path, SCHEMA, only=False)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_only_trusted_documents_want_a_file() -> None:
    """To answer trusted documents alone, and to have none, is a mistake, and no service that answers nothing."""
    with pytest.raises(OperatorError, match="CALLEDGER_TRUSTED_DOCUMENTS"):
        read_trusted_documents(None, SCHEMA, only=True)
    assert read_trusted_documents(None, SCHEMA, only=False).text_of({"query": "{ __typename }"}) == "{ __typename }"
