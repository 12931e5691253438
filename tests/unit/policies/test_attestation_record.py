"""Stored statements against the ledger's entries, where time or a restore excuses what is not here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.evidence import Leaf, LedgerKind
from policies.evidence.record import Record
from service.retention.audit.attestation_check import attestations
from service.storage.control.attestations import KEPT

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ID = "5b8a3c0e-0000-4000-8000-000000000001"


def record(asked_at: datetime, *later: tuple[LedgerKind, dict[str, Any]]) -> Record:
    """Entry 3 asks for a statement; what is `later` follows."""
    record, asked = Record(), {"attestation": ID, "days": 92, "full": False}
    record.add(3, Leaf(LedgerKind.ATTESTATION_REQUESTED, asked_at, "cli", asked))
    for index, (kind, facts) in enumerate(later, 4):
        record.add(index, Leaf(kind, asked_at, "cli", facts))
    return record


def rows(**row: Any) -> list[Any]:
    return [{"id": None, "now": NOW, **row}]


WAITING: dict[str, Any] = {
    "id": ID, "state": "RUNNING", "requested_by": "cli", "requested_at": NOW, "days": 92, "is_full": False,
    "ledger_index": None, "digest": None,
}  # fmt: skip
ATTESTED = (LedgerKind.ATTESTED, {"attestation": ID, "statement": "sha256:00", "unmet": 0})
RESTORED = (LedgerKind.RESTORED, {"origin": "o", "from": 2, "to": 5})


@pytest.mark.parametrize(
    ("made", "missed"),
    [
        (record(NOW - timedelta(days=1)), True),
        (record(NOW - timedelta(days=1), ATTESTED), True),
        (record(NOW - KEPT), False),
        (record(NOW - timedelta(days=1), ATTESTED, RESTORED), False),
    ],
    ids=["asked for", "made", "past its time", "lost by a restore"],
)
def test_what_is_not_here_is_missed_unless_it_may_be_gone(made: Record, missed: bool) -> None:
    """A statement of the ledger has to be stored, unless its time is over or an older database was restored."""
    assert len(list(attestations(made, rows()))) == missed


def test_a_statement_that_a_restore_took_back_is_not_missed() -> None:
    """The older database has the row as it was before the statement was made."""
    here = rows(**WAITING)
    assert len(list(attestations(record(NOW, ATTESTED), here))) == 1
    assert list(attestations(record(NOW, ATTESTED, RESTORED), here)) == []


def test_a_statement_that_a_restore_took_back_may_be_made_once_more() -> None:
    """The older database has it waiting, and a service makes it: that entry counts then, and without a restore the
    first one.
    """
    again = (LedgerKind.ATTESTED, {"attestation": ID, "statement": "sha256:11", "unmet": 0})
    here = rows(**{**WAITING, "state": "DONE", "ledger_index": 6, "digest": "sha256:11"})
    assert list(attestations(record(NOW, ATTESTED, RESTORED, again), here)) == []
    here[0]["ledger_index"] = 5
    assert len(list(attestations(record(NOW, ATTESTED, again), here))) == 1


def test_older_statements_are_in_the_ledger_alone() -> None:
    """Before statements were stored, an entry had the digest and nothing else: no row is missed."""
    made = Record()
    made.add(0, Leaf(LedgerKind.ATTESTED, NOW, "cli", {"statement": "sha256:00"}))
    assert list(attestations(made, rows())) == []
