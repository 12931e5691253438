"""The published vectors of `docs/envelope.md`, run twice: by our code, and by the page's own words spelled out here."""

import hashlib
import hmac
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.envelope import OpenError, SealContext, data_key, open_sealed, open_with_record_key, record_key, seal
from policies.pseudonym import PseudonymError, outward, parse, pseudonym_key, token

Vector = dict[str, Any]
HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "envelope.md").read_text()
HEXADECIMAL = ("period_key", "account_key", "record_key", "record", "salt", "plaintext", "sealed")


def load(name: str, *, hexadecimal: tuple[str, ...]) -> list[Vector]:
    vectors = tomllib.loads((HERE / "vectors" / name).read_text())["vector"]
    return [
        {name: bytes.fromhex(value) if name in hexadecimal else value for name, value in vector.items()}
        for vector in vectors
    ]


SEALED = load("envelope.toml", hexadecimal=HEXADECIMAL)
PSEUDONYMS = load("envelope_pseudonym.toml", hexadecimal=("period_key", "account_key"))


def comment_of(vector: Vector) -> str:
    return vector["comment"]


def those(vectors: list[Vector], expect: str) -> Any:
    return pytest.mark.parametrize("vector", [v for v in vectors if v["expect"] == expect], ids=comment_of)


class TestSealed:
    @those(SEALED, "open")
    def test_opens(self, vector: Vector) -> None:
        """Our code opens what the vector says opens."""
        assert vector["plaintext"] == open_by_us(vector)

    @those(SEALED, "refuse")
    def test_refuses(self, vector: Vector) -> None:
        """Our code refuses what the vector says is refused, always with the same words."""
        with pytest.raises(OpenError) as caught:
            open_by_us(vector)

        assert str(OpenError()) == str(caught.value)

    @those([v for v in SEALED if "salt" in v], "open")
    def test_seals(self, vector: Vector) -> None:
        """Our code seals to the very bytes of the vector."""
        key = data_key(vector["period_key"], vector["account_key"])

        sealed = seal(vector["plaintext"], data_key=key, context=context_of(vector), salt=vector["salt"])

        assert vector["sealed"] == sealed

    @those(SEALED, "open")
    def test_page_opens(self, vector: Vector) -> None:
        """The page's words alone open what the vector says opens."""
        assert vector["plaintext"] == open_by_the_page(vector)

    @those(SEALED, "refuse")
    def test_page_refuses(self, vector: Vector) -> None:
        """The page's words alone refuse what the vector says is refused."""
        assert open_by_the_page(vector) is None

    def test_example(self) -> None:
        """The example on the page is the first vector, and its keys are the ones on the way."""
        vector = SEALED[0]
        key = data_key(vector["period_key"], vector["account_key"])

        assert vector["sealed"].hex() in re.sub(r"\s", "", PAGE)
        assert key.secret.hex() in PAGE
        assert record_key(vector["sealed"], data_key=key, context=context_of(vector)).hex() in PAGE
        assert vector["plaintext"].decode() in PAGE


class TestPseudonyms:
    @those(PSEUDONYMS, "token")
    def test_token(self, vector: Vector) -> None:
        """Our code computes the token and its outward form, and reads the form back."""
        key = pseudonym_key(vector["period_key"], vector["account_key"])

        assert vector["token"] == token(key=key, user=vector["user"])
        assert vector["outward"] == outward(vector["token"], vector["period"])
        assert (vector["token"], vector["period"]) == parse(vector["outward"])

    @those(PSEUDONYMS, "token")
    def test_page_token(self, vector: Vector) -> None:
        """The page's words alone give the same token."""
        message = lp(b"calledger/pseudonym-key/v1") + vector["account_key"]
        key = hmac.new(vector["period_key"], message, hashlib.sha256).digest()

        first = hmac.new(key, vector["user"].encode(), hashlib.sha256).digest()[:8]

        assert vector["token"] == int.from_bytes(first, "big", signed=True)

    @those(PSEUDONYMS, "refuse")
    def test_refuses(self, vector: Vector) -> None:
        """Our code refuses what it did not write."""
        with pytest.raises(PseudonymError):
            parse(vector["outward"])


def context_of(vector: Vector) -> SealContext:
    return SealContext(vector["account"], vector["store"], vector["record"], vector["period"], vector["data_class"])


def open_by_us(vector: Vector) -> bytes:
    if "record_key" in vector:
        key = vector["record_key"]
        return open_with_record_key(vector["sealed"], record_key=key, context=context_of(vector))
    key = data_key(vector["period_key"], vector["account_key"])
    return open_sealed(vector["sealed"], data_key=key, context=context_of(vector))


def lp(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def open_by_the_page(vector: Vector) -> bytes | None:
    """`docs/envelope.md` from "Keys" to "Opening", with nothing but HMAC and AES-GCM."""
    sealed: bytes = vector["sealed"]
    if sealed[:1] != b"\x01" or len(sealed) < 137 or (len(sealed) - 137) % 64:
        return None
    salt, commitment, ciphertext = sealed[1:25], sealed[25:57], sealed[57:]
    fields = [vector["account"].to_bytes(8, "big"), vector["store"].encode(), vector["record"]]
    context = b"".join(lp(field) for field in [*fields, vector["period"].encode(), vector["data_class"].encode()])
    record_key = vector.get("record_key")
    if record_key is None:
        message = lp(b"calledger/data-key/v1") + vector["account_key"]
        data_key = hmac.new(vector["period_key"], message, hashlib.sha256).digest()
        info = lp(b"calledger/sealed/v1") + salt + context
        first = hmac.new(data_key, info + b"\x01", hashlib.sha256).digest()
        record_key = first + hmac.new(data_key, first + info + b"\x02", hashlib.sha256).digest()
    encryption_key = record_key[:32]
    if commitment != record_key[32:]:
        return None
    try:
        padded = AESGCM(encryption_key).decrypt(bytes(12), ciphertext, sealed[:25] + context)
    except InvalidTag:
        return None
    length = int.from_bytes(padded[:4], "big")
    padding = padded[4 + length :]
    if 4 + length + len(padding) != len(padded) or len(padding) > 63 or padding.strip(b"\0"):
        return None
    return padded[4 : 4 + length]
