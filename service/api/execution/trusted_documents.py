"""Trusted documents: a request names one by its id, and the service has its text from a file that is read at the start.

Two forms name one: `documentId`, as GraphQL over HTTP has it (appendix "Persisted Documents"), and Apollo's
`extensions.persistedQuery`, whose clients ask so for any document first, and are told to send its text.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import orjson
from graphql import GraphQLError, GraphQLSchema

from service.api.execution.documents import Documents, validated
from service.api.execution.errors import Code
from service.errors import OperatorError, RequestError
from service.query.model.errors import BadInputError

FILE_BYTES_MAX: Final = 2**22
DOCUMENTS_MAX: Final = 1_000
ID_MAX: Final = 200
_PREFIX: Final = "sha256:"
_FORM: Final = "an object whose names are ids, and whose values are the texts of documents"


class DocumentRefusedError(RequestError):
    """Which document is meant is not known here, or it may not be asked."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class TrustedDocuments:
    """Texts by their ids. `only`: no document is answered but these and `ours`, whichever way it comes."""

    def __init__(
        self, texts: Mapping[str, str] | None = None, *, only: bool = False, ours: Collection[str] = ()
    ) -> None:
        self.only = only
        self._texts = texts or {}
        self._allowed = frozenset((*self._texts.values(), *ours)) if only else None

    def text_of(self, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the request's own `query`, of any type
        """The document that a request asks for: the text of its `query`, or else the one that it names.

        Raises DocumentRefusedError, and BadInputError for an id that is none.
        """
        text, extensions = request.get("query"), request.get("extensions")
        if extensions is not None and not isinstance(extensions, dict):
            raise BadInputError("`extensions` are an object")
        if not text:
            text = self._named(request.get("documentId"), _apollo_hash(extensions)) or text
        if self._allowed is not None and isinstance(text, str) and text not in self._allowed:
            message = "this service answers trusted documents only: name one of its file by `documentId`"
            raise DocumentRefusedError(Code.FORBIDDEN, message)
        return text

    def _named(self, id_: object, hash_: str | None) -> str | None:
        if id_ is not None:
            if not isinstance(id_, str) or not 0 < len(id_) <= ID_MAX:
                raise BadInputError(f"`documentId` is a text of 1 to {ID_MAX} characters")
            text = self._texts.get(id_)
            if text is None:
                message = f"there is no trusted document `{id_}`: send its text as `query`, or add it to the file"
                raise DocumentRefusedError(Code.PERSISTED_QUERY_NOT_FOUND, message)
            return text
        if hash_ is None:
            return None
        text = self._texts.get(_PREFIX + hash_) or self._texts.get(hash_)
        if text is None and self._texts:
            raise DocumentRefusedError(Code.PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound")
        if text is None:
            # Clients know it by these words, and ask no more in this form.
            raise DocumentRefusedError(Code.PERSISTED_QUERY_NOT_SUPPORTED, "PersistedQueryNotSupported")
        return text


def _apollo_hash(extensions: Mapping[str, Any] | None) -> str | None:
    """The `sha256Hash` of Apollo's form, None where the request is not of it. Raises BadInputError."""
    persisted = extensions and extensions.get("persistedQuery")
    if not persisted:
        return None
    hash_ = cast("dict[str, Any]", persisted).get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(hash_, str) or len(hash_) > ID_MAX:
        raise BadInputError(f"`extensions.persistedQuery` has a `sha256Hash`, a text of at most {ID_MAX} characters")
    return hash_


def read_trusted_documents(
    path: Path | None, schema: GraphQLSchema, *, only: bool, ours: Collection[str] = ()
) -> TrustedDocuments:
    """The documents of a JSON file, as graphql-codegen and relay-compiler write it: each is valid, and within bounds.

    `ours`: texts that are trusted beside them, of pages that come with the service.
    Raises OperatorError that names the file, and the first document that is wrong.
    """
    if path is None:
        if only:
            raise OperatorError("`CALLEDGER_TRUSTED_ONLY` wants `CALLEDGER_TRUSTED_DOCUMENTS`, a file of documents")
        return TrustedDocuments()
    texts = _read(path)
    documents = Documents()
    for id_, text in texts.items():
        wrong = _mistake(id_, text, documents, schema)
        if wrong is not None:
            raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: document `{id_[:ID_MAX]}` of `{path}`: {wrong}")
    return TrustedDocuments(texts, only=only, ours=ours)


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: `{path}` cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: `{path}` has more than {FILE_BYTES_MAX} bytes")
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: `{path}` is no JSON: {error}") from None
    found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if not found or not all(isinstance(text, str) for text in found.values()):
        raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: `{path}` is not {_FORM}")
    if len(found) > DOCUMENTS_MAX:
        raise OperatorError(f"`CALLEDGER_TRUSTED_DOCUMENTS`: `{path}` has more than {DOCUMENTS_MAX} documents")
    return found


def _mistake(id_: str, text: str, documents: Documents, schema: GraphQLSchema) -> str | None:
    """What is wrong with one document, in words."""
    if not 0 < len(id_) <= ID_MAX:
        return f"an id has 1 to {ID_MAX} characters"
    if id_.startswith(_PREFIX) and id_ != _PREFIX + sha256(text.encode()).hexdigest():
        return "its id is not the SHA-256 of its text"
    try:
        errors = validated(schema, documents.prepared(text))
    except GraphQLError as error:
        return error.message
    return errors[0].message if errors else None
