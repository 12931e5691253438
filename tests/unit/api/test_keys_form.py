"""API keys have a form that can be checked without a database."""

import re

import pytest

from service.access.authenticate import key_text
from service.access.keys import mac_of, new_key, prefix_of

PEPPER = bytes(range(32))


def test_a_new_key_has_the_documented_form() -> None:
    """A key is `cl_`, a public prefix, and a secret of 256 bits with its checksum."""
    key = new_key(PEPPER)

    assert re.fullmatch(r"cl_[2-9a-hjkmnp-z]{8}_[0-9A-Za-z]{49}", key.text)
    assert prefix_of(key.text) == key.prefix
    assert mac_of(key.text, PEPPER) == key.mac


def test_keys_do_not_repeat() -> None:
    """A thousand keys are a thousand secrets."""
    assert len({new_key(PEPPER).text for _ in range(1000)}) == 1000


@pytest.mark.parametrize("position", range(3, 61))
def test_any_single_mistyped_character_is_noticed(position: int) -> None:
    """The checksum catches every change of one character without a look-up."""
    text = new_key(PEPPER).text
    other = "7" if text[position] != "7" else "8"

    assert prefix_of(text[:position] + other + text[position + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cl_",
        "cl_abc",
        "sk-proj-123",
        "cl_23456789_" + "0" * 49 + "\n",
        "cl_23456789_" + "\uff10" * 49,
        "x" * 100_000,
    ],
)
def test_what_is_no_key_has_no_prefix(text: str) -> None:
    """Garbage, other services' keys, look-alike digits and huge strings are refused by form."""
    assert prefix_of(text) is None


def test_the_pepper_makes_the_stored_value() -> None:
    """Without the keyring's pepper the database's value cannot be recomputed."""
    key = new_key(PEPPER)

    assert mac_of(key.text, bytes(32)) != key.mac


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer cl_x", "cl_x"),
        ("bearer   cl_x ", "cl_x"),
        ("Basic dXNlcjpjbF94", "cl_x"),  # user:cl_x
        ("Basic Y2xfeDo=", "cl_x"),  # cl_x:
        ("Basic !!!", ""),
        ("Basic /////w==", ""),
        ("Digest cl_x", ""),
        ("cl_x", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_key_is_read_from_bearer_and_basic_alone(header: str | None, expected: str) -> None:
    """RFC 6750 and RFC 7617 headers carry keys; anything else carries none."""
    assert key_text(header) == expected
