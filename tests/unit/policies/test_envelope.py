"""Sealing and opening, one claim at a time."""

import os
from dataclasses import replace

import pytest

from policies.envelope import (
    PLAINTEXT_BYTES_MAX,
    DataKey,
    EnvelopeError,
    OpenError,
    SealContext,
    data_key,
    open_sealed,
    open_with_record_key,
    record_key,
    seal,
)

KEY = DataKey(bytes(range(32)))
SALT = bytes(range(24))
CONTEXT = SealContext(account=7, store="call_error", record=b"r" * 16, period="2026-11-22", data_class="personal")
SEALED = seal(b"the provider said no", data_key=KEY, context=CONTEXT, salt=SALT)


class TestOpen:
    def test_every_bit(self) -> None:
        """Not one bit of a sealed value can be flipped and the value still open."""
        opened = []
        for bit in range(len(SEALED) * 8):
            flipped = bytearray(SEALED)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                opened.append(open_sealed(bytes(flipped), data_key=KEY, context=CONTEXT))
            except OpenError:
                continue

        assert opened == []

    def test_every_bit_by_record_key(self) -> None:
        """The same holds for whoever has the record key alone, which no longer needs the salt."""
        key = record_key(SEALED, data_key=KEY, context=CONTEXT)
        opened = []
        for bit in range(len(SEALED) * 8):
            flipped = bytearray(SEALED)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                opened.append(open_with_record_key(bytes(flipped), record_key=key, context=CONTEXT))
            except OpenError:
                continue

        assert opened == []

    def test_every_bit_of_the_key(self) -> None:
        """Not one bit of the data key may differ."""
        for bit in range(256):
            key = DataKey((int.from_bytes(KEY.secret, "big") ^ 1 << bit).to_bytes(32, "big"))
            with pytest.raises(OpenError):
                open_sealed(SEALED, data_key=key, context=CONTEXT)

    def test_every_length(self) -> None:
        """No shorter piece of a sealed value opens."""
        for end in range(len(SEALED)):
            with pytest.raises(OpenError):
                open_sealed(SEALED[:end], data_key=KEY, context=CONTEXT)

    @pytest.mark.parametrize(
        "moved",
        [
            replace(CONTEXT, account=8),
            replace(CONTEXT, account=7 + 2**32),  # the low half alone is the same
            replace(CONTEXT, store="call_error_held"),
            replace(CONTEXT, record=b"r" * 15 + b"s"),
            replace(CONTEXT, period="2026-11-23"),
            replace(CONTEXT, period="2026-11"),
            replace(CONTEXT, data_class="operational"),
            replace(CONTEXT, store="call_errorr", record=b"r" * 16),  # what a plain join would confuse
        ],
    )
    def test_moved(self, moved: SealContext) -> None:
        """A value that was moved to another account, store, record, period or class does not open."""
        with pytest.raises(OpenError):
            open_sealed(SEALED, data_key=KEY, context=moved)
        with pytest.raises(OpenError):
            open_with_record_key(SEALED, record_key=record_key(SEALED, data_key=KEY, context=CONTEXT), context=moved)

    @pytest.mark.parametrize("size", [0, 32, 63, 65])
    def test_record_key_of_another_size(self, size: int) -> None:
        """A record key of another size is a wrong key, and nothing worse."""
        with pytest.raises(OpenError):
            open_with_record_key(SEALED, record_key=bytes(size), context=CONTEXT)

    def test_says_nothing(self) -> None:
        """Every refusal has the same words and no cause that would tell more."""
        words = set()
        for sealed, key in (
            (b"", KEY),
            (SEALED, DataKey(bytes(32))),
            (SEALED[:-1] + b"\0", KEY),
            (b"\x02" + SEALED[1:], KEY),
        ):
            with pytest.raises(OpenError) as caught:
                open_sealed(sealed, data_key=key, context=CONTEXT)
            assert caught.value.__cause__ is None
            words.add(str(caught.value))

        assert len(words) == 1


class TestRecordKey:
    def test_opens(self) -> None:
        """The record key opens its value without the data key."""
        key = record_key(SEALED, data_key=KEY, context=CONTEXT)

        assert open_with_record_key(SEALED, record_key=key, context=CONTEXT) == b"the provider said no"

    def test_opens_no_other(self) -> None:
        """The record key of one value does not open another value under the same data key."""
        other = seal(b"another", data_key=KEY, context=CONTEXT, salt=os.urandom(24))

        with pytest.raises(OpenError):
            open_with_record_key(other, record_key=record_key(SEALED, data_key=KEY, context=CONTEXT), context=CONTEXT)

    def test_is_not_the_data_key(self) -> None:
        """Neither half of a record key is a data key: it does not open as one."""
        key = record_key(SEALED, data_key=KEY, context=CONTEXT)

        for half in (key[:32], key[32:]):
            with pytest.raises(OpenError):
                open_sealed(SEALED, data_key=DataKey(half), context=CONTEXT)

    def test_opens_nowhere_else(self) -> None:
        """The record key that another place would give does not open the value in its own place."""
        elsewhere = record_key(SEALED, data_key=KEY, context=replace(CONTEXT, account=8))

        with pytest.raises(OpenError):
            open_with_record_key(SEALED, record_key=elsewhere, context=CONTEXT)


class TestSeal:
    def test_overhead(self) -> None:
        """Sealing adds 77 bytes and pads to steps of 64."""
        sizes = [len(seal(bytes(n), data_key=KEY, context=CONTEXT, salt=SALT)) for n in (0, 60, 61, 124, 125)]

        assert sizes == [137, 137, 201, 201, 265]

    def test_salt_changes_all(self) -> None:
        """Two sealings of the same text share no byte sequence but the suite."""
        other = seal(b"the provider said no", data_key=KEY, context=CONTEXT, salt=bytes(24))

        assert not {SEALED[i : i + 4] for i in range(1, len(SEALED))} & {other[i : i + 4] for i in range(1, len(other))}

    def test_repeated_salt(self) -> None:
        """Should a copied machine repeat a salt, another record still gets another key stream."""
        elsewhere = replace(CONTEXT, record=b"s" * 16)
        other = seal(b"the provider said no", data_key=KEY, context=elsewhere, salt=SALT)

        assert SEALED[57:] != other[57:]

    def test_no_plaintext(self) -> None:
        """No four bytes of the text are in the sealed value."""
        text = b"the provider said no"

        assert not any(text[i : i + 4] in SEALED for i in range(len(text) - 3))

    @pytest.mark.parametrize("salt", [SALT[:23], SALT + b"s", b""])
    def test_wrong_salt(self, salt: bytes) -> None:
        """A salt of another size is refused rather than used."""
        with pytest.raises(EnvelopeError):
            seal(b"", data_key=KEY, context=CONTEXT, salt=salt)

    def test_too_long(self) -> None:
        """A text beyond the bound is refused, and one at the bound is sealed."""
        longest = bytes(PLAINTEXT_BYTES_MAX)

        assert longest == open_sealed(
            seal(longest, data_key=KEY, context=CONTEXT, salt=SALT), data_key=KEY, context=CONTEXT
        )
        with pytest.raises(EnvelopeError):
            seal(longest + b"\0", data_key=KEY, context=CONTEXT, salt=SALT)


class TestDataKey:
    @pytest.mark.parametrize("size", [0, 16, 31, 33])
    def test_size(self, size: int) -> None:
        """A key of another size is refused rather than used."""
        with pytest.raises(EnvelopeError):
            DataKey(bytes(size))

    def test_both_parents(self) -> None:
        """The data key changes with either parent, and the parents do not stand in for one another."""
        a, b, c = bytes(32), b"b" * 32, b"c" * 32

        assert len({data_key(*pair).secret for pair in ((a, b), (a, c), (c, b), (b, a))}) == 4

    @pytest.mark.parametrize(("period", "account"), [(0, 32), (32, 0), (31, 32), (32, 64)])
    def test_wrong_sizes(self, period: int, account: int) -> None:
        """A missing or short parent is refused: HMAC alone would take it."""
        with pytest.raises(EnvelopeError):
            data_key(bytes(period), bytes(account))


class TestContext:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"account": -1},
            {"account": 2**63},
            {"record": b"r" * 15},
            {"record": b""},
            {"store": ""},
            {"period": "x" * 256},
            {"data_class": "persönlich"},
        ],
    )
    def test_refuses(self, wrong: dict[str, object]) -> None:
        """A field that has no canonical bytes is refused when the context is made."""
        with pytest.raises(EnvelopeError):
            replace(CONTEXT, **wrong)  # type: ignore[arg-type]
