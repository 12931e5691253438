"""Names and ids are held against named credential formats and e-mail addresses, and never against chance."""

import base64
import random
import string
import uuid
from collections.abc import Callable

import pytest

from policies.redaction import Redactor

IDENTIFIERS = Redactor().for_identifiers()
CHANCE = random.Random(7)
ALPHANUMERIC = string.ascii_letters + string.digits
TRIES = 200


def of(letters: str, length: int, prefix: str = "") -> Callable[[], str]:
    return lambda: prefix + "".join(CHANCE.choices(letters, k=length))


HEX = "0123456789abcdef"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KINDS: dict[str, Callable[[], str]] = {
    "ulid": of(CROCKFORD, 25, "0"),
    "ksuid": of(ALPHANUMERIC, 27),
    "cuid": of(string.ascii_lowercase + string.digits, 24, "c"),
    "nanoid": of(ALPHANUMERIC + "_-", 21),
    "project": of(ALPHANUMERIC, 24, "proj_"),
    "organisation": of(ALPHANUMERIC, 27, "org_"),
    "workos": of(CROCKFORD, 24, "org_01"),
    "team": of(HEX, 8, "team-"),
    "hex": of(HEX, 32),
    "sha": of(HEX, 64),
    "uuid": lambda: str(uuid.UUID(int=CHANCE.getrandbits(128))),
    "snowflake": lambda: str(CHANCE.randrange(10**15, 10**19)),
    "card-like": lambda: str(CHANCE.randrange(10**15, 10**16)),
    "base64": lambda: base64.b64encode(CHANCE.randbytes(24)).decode(),
    "traceparent": lambda: f"00-{CHANCE.randbytes(16).hex()}-{CHANCE.randbytes(8).hex()}-01",
    "one character": lambda: CHANCE.choice(ALPHANUMERIC) * 256,
}


@pytest.mark.parametrize("kind", KINDS)
def test_random_ids_are_kept(kind: str) -> None:
    """Of each kind of id hundreds come out as they went in, but for one that by chance has a format's prefix."""
    ids = [KINDS[kind]() for _ in range(TRIES)]

    assert sum(IDENTIFIERS.clean(id_, max_chars=512) != (id_, {}) for id_ in ids) <= TRIES // 200


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-" + "aB3dE6gH9jK2" * 3,
        "sk-ant-api03-" + "aB3dE6gH9jK2" * 3,
        "AKIA" + "IOSFODNN7EXAMPLQ",
        "ghp_" + "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "bob@example.com",
        "team of bob@example.com",
        "https://user:hunter2hunter2@host/x",
    ],
)
def test_credentials_of_a_named_format_and_addresses_are_taken_out(secret: str) -> None:
    """What was put into a name by mistake is not stored in clear."""
    clean, counts = IDENTIFIERS.clean(secret, max_chars=512)

    assert counts
    assert secret not in clean
