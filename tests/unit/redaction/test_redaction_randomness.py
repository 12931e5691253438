"""The price of a character after another."""

import pytest

from policies.redaction.validators.randomness import bits_per_char


@pytest.mark.parametrize(
    ("pair", "bits"),
    [
        (b"ab", 5), (b"za", 3), (b"zz", 6), (b"AB", 5), (b"ZA", 3),  # within a case, by the table of letters
        (b"Ab", 6), (b"Za", 4),  # one more from upper to lower
        (b"aB", 4), (b"a1", 5), (b"A1", 5), (b"1a", 6), (b"1A", 6), (b"12", 3), (b"a-", 2), (b"-a", 3), (b"--", 1),
        (b"\xff\xff", 1), (b"9/", 2), (b":0", 3), (b"@A", 3), (b"[a", 3), (b"`a", 3), (b"{z", 3),  # the edges
    ],
)  # fmt: skip
def test_a_pair_costs_what_the_tables_say(pair: bytes, bits: int) -> None:
    """Letters by their pair, everything else by the classes that it crosses, at the edges of each class too."""
    assert bits_per_char(pair) == bits
