"""The statement as a page: what a reader must not miss, and nothing that runs."""

from typing import Any

import pytest

from service.retention.audit.attestation.page import page

CLASS = {
    "class": "personal", "tier": "standard", "store": "call_error", "window_days": 30, "kept_at_most_days": 32,
    "unreadable_days": 39, "oldest": "2026-10-28T18:00:17.137000Z", "oldest_served": None, "overdue": 0, "hidden": 0,
    "held": 0,
}  # fmt: skip


def attestation(**changes: Any) -> dict[str, Any]:
    check = {"title": "GDPR 5(1)(e), storage limitation", "holds": True, "finding": "no row is past its deadline"}
    statement = {
        "as_of": "2026-11-27T16:10:23.263035Z",
        "period": {"from": "2026-08-27T16:10:23.263035Z", "days": 92},
        "policy": {"name": "default", "version": 1, "digest": "sha256:0", "applied_at": "2026-11-27T16:10:11.154778Z",
                   "applied_by": "cli"},
        "checks": [check], "classes": [CLASS], "active_holds": 0, "keyring_backup_days": 7, "missing": [],
        "entries": [],
    } | changes  # fmt: skip
    evidence = {"statement": {"index": 8}, "checkpoint": "calledger/x\n9\nroot\n", "key": "calledger/x+0+A"}
    return {"statement": statement, "evidence": evidence}


def test_what_is_not_met_stands_at_the_top() -> None:
    """A requirement that fails is named before the tables, and marked in them."""
    checks = [{"title": "keys", "holds": False, "finding": "2 keys are lost"}]
    text = page(attestation(checks=checks))
    assert text.index("NOT met: keys.") < text.index("<h2>")
    assert '<span class="fails">NO</span>' in text
    assert "Every requirement below is met." not in text


@pytest.mark.parametrize(("days", "said"), [(0, "declares no backups"), (7, "within 7 days")])
def test_backups_that_were_not_declared_are_not_claimed(days: int, said: str) -> None:
    """No days are told as what they are: that the operator declares that there are no backups."""
    assert said in page(attestation(keyring_backup_days=days))


def test_moments_are_for_people_and_exact_for_programs() -> None:
    """To the second and with the zone in words; the exact moment is in the markup; what there is not is a dash."""
    text = page(attestation())
    assert '<time datetime="2026-10-28T18:00:17.137000Z">2026-10-28 18:00:17 UTC</time>' in text
    assert "<td>-</td>" in text


def test_everything_is_escaped() -> None:
    """Words of the operator's cannot become markup."""
    evil = "<script>alert(1)</script>"
    checks = [{"title": evil, "holds": False, "finding": evil}]
    policy = {"name": evil, "version": 1, "digest": evil, "applied_at": evil, "applied_by": evil}
    classes = [CLASS | {"tier": evil, "oldest": evil}]
    entry = {"index": 1, "kind": evil, "actor": evil, "recorded_at": evil, "facts": {evil: evil}}
    text = page(attestation(checks=checks, policy=policy, classes=classes, entries=[entry], missing=[evil], as_of=evil))
    assert "<script" not in text
