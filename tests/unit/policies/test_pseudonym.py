"""Tokens and their outward form."""

import hmac

import pytest

from policies.envelope import data_key
from policies.pseudonym import PseudonymError, Tokenizer, outward, parse, pseudonym_key, token

PERIOD_KEY = bytes(range(32))
ACCOUNT_KEY = bytes(range(32, 64))
KEY = pseudonym_key(PERIOD_KEY, ACCOUNT_KEY)


class TestToken:
    def test_stable(self) -> None:
        """The same user has the same token under the same key."""
        assert token(key=KEY, user="u-17") == token(key=KEY, user="u-17")

    @pytest.mark.parametrize(
        "key",
        [
            pseudonym_key(bytes(32), ACCOUNT_KEY),  # another day
            pseudonym_key(PERIOD_KEY, bytes(32)),  # another account
            pseudonym_key(ACCOUNT_KEY, PERIOD_KEY),  # exchanged
        ],
    )
    def test_unlinkable(self, key: bytes) -> None:
        """Another day's or account's key gives the user another token."""
        assert token(key=KEY, user="u-17") != token(key=key, user="u-17")

    def test_separate_from_sealing(self) -> None:
        """The key of pseudonyms is not the key that seals, though both have the same parents."""
        assert data_key(PERIOD_KEY, ACCOUNT_KEY).secret != KEY

    def test_fits_bigint(self) -> None:
        """Tokens take the whole range of a signed 64-bit column, and nothing beyond."""
        tokens = [token(key=KEY, user=f"u-{n}") for n in range(500)]

        assert all(-(2**63) <= value < 2**63 for value in tokens)
        assert any(value < 0 for value in tokens)
        assert len(set(tokens)) == 500

    def test_lone_surrogate(self) -> None:
        """A user that JSON can carry and UTF-8 cannot still has a token, and its own."""
        assert token(key=KEY, user="\ud800") != token(key=KEY, user="\ud801")

    def test_many_of_one_key(self) -> None:
        """A tokenizer gives each user the HMAC of this user alone, whoever was asked for before."""
        tokenizer = Tokenizer(KEY)

        for user in ("u-17", "u-18", "", "u-17", "ü" * 300):
            whole = hmac.digest(KEY, user.encode(), "sha256")
            assert tokenizer.token(user) == int.from_bytes(whole[:8], "big", signed=True)

    @pytest.mark.parametrize(("period_key", "account_key"), [(b"", ACCOUNT_KEY), (PERIOD_KEY, b"")])
    def test_missing_parent(self, period_key: bytes, account_key: bytes) -> None:
        """Without both parents there is no key: an unkeyed hash of a user could be reversed by trying."""
        with pytest.raises(PseudonymError):
            pseudonym_key(period_key, account_key)


class TestOutward:
    def test_form(self) -> None:
        """The outward form is `usr_` and 24 characters that are safe in a URL and a file name."""
        form = outward(-1, "2026-11-22")

        assert form.startswith("usr_")
        assert len(form) == 28
        assert form[4:].isalnum()

    @pytest.mark.parametrize(
        "period",
        [
            "",
            "2026",
            "2026-13",
            "2026-02-30",
            "20261122",
            "2026-W47",
            "2026-W47-7",
            "26-11-22",
            "2026-11-22T",
            "2026-11-2२",
            "0000-01",
        ],
    )
    def test_no_period(self, period: str) -> None:
        """What is no day and no month of the calendar has no outward form."""
        with pytest.raises(PseudonymError):
            outward(1, period)

    @pytest.mark.parametrize("text", ["", "usr_", "u-17", "usr_" + "a" * 24, "usr_" + "é" * 24, "usr_" + "\u017f" * 24])
    def test_garbage(self, text: str) -> None:
        """A plain user id, or anything else that was not written here, is told from a pseudonym."""
        with pytest.raises(PseudonymError) as caught:
            parse(text)

        assert not text or text not in str(caught.value)

    def test_every_typing_error(self) -> None:
        """No single wrong character gives another valid pseudonym."""
        form = outward(token(key=KEY, user="u-17"), "2026-11-22")
        read = []
        for position in range(4, len(form)):
            for character in "abcdefghijklmnopqrstuvwxyz234567":
                wrong = form[:position] + character + form[position + 1 :]
                try:
                    read.append(parse(wrong))
                except PseudonymError:
                    continue

        assert {parse(form)} == set(read)
