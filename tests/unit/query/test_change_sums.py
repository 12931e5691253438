"""The checksum of the change feed, by the vector of docs/partners.md."""

import re
from hashlib import sha256
from pathlib import Path

from service.query.records.change_sums import checksum_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "partners.md"


def test_the_documented_vector_is_right() -> None:
    """The page's vector is what the definition gives, and what the service computes."""
    rows = re.findall(r"^\| `(CALL|COMPLETION) (call_\w+)` \| `([0-9a-f]{16})` \|$", PAGE.read_text(), re.MULTILINE)
    (total,) = re.findall(r"^\| both: 2 changes \| `([0-9a-f]{16})` \|$", PAGE.read_text(), re.MULTILINE)

    assert [kind for kind, _, _ in rows] == ["CALL", "COMPLETION"]
    for kind, id_, first in rows:
        assert sha256(f"{kind} {id_}".encode()).hexdigest()[:16] == first == f"{checksum_of(kind, [id_]):016x}"
    assert f"{sum(checksum_of(kind, [id_]) for kind, id_, _ in rows) % 2**64:016x}" == total


def test_a_checksum_tells_a_missing_and_a_doubled_change() -> None:
    """Order does not matter, and nothing else is the same."""
    one, two = "call_a", "call_b"

    assert checksum_of("CALL", [one, two]) == checksum_of("CALL", [two, one])
    assert len({checksum_of("CALL", ids) for ids in ([], [one], [two], [one, two], [one, one], [one, two, two])}) == 6
    assert checksum_of("CALL", [one]) != checksum_of("COMPLETION", [one])
