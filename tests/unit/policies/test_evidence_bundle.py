"""A bundle of evidence: what it proves, and that nothing in it can be changed unseen."""

import base64
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from policies import evidence
from policies.evidence import (
    BundleWriter,
    EvidenceError,
    Leaf,
    LedgerKind,
    Signer,
    Tree,
    Verification,
    leaf_bytes,
    verify,
)

VERIFIER = Path(evidence.__file__).with_name("verify.py")
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
ORIGIN = "calledger/6f1c8a52-0000-4000-8000-000000000001"
POLICY = b'name = "default"\n'
DIGEST = "sha256:" + sha256(POLICY).hexdigest()


def signer(number: int, origin: str = ORIGIN) -> Signer:
    return Signer(origin, bytes([number]) * 32)


@dataclass
class MemoryLedger:
    """A small ledger in memory."""

    leaves: list[bytes] = field(default_factory=list)
    notes: dict[int, tuple[bytes, str]] = field(default_factory=dict)

    def add(self, kind: LedgerKind, note: str | None = None, **facts: object) -> int:
        index = len(self.leaves)
        salt = bytes([index]) * 32
        digest = None if note is None else evidence.note_hash(salt, note)
        self.leaves.append(leaf_bytes(Leaf(kind, START + timedelta(minutes=index), "cli", facts, digest)))
        if note is not None:
            self.notes[index] = (salt, note)
        return index

    def tree(self, size: int | None = None) -> Tree:
        tree = Tree()
        for leaf in self.leaves[:size]:
            tree.append(leaf)
        return tree

    def checkpoint(self, by: Signer, size: int | None = None) -> bytes:
        tree = self.tree(size)
        return by.checkpoint(tree.size, tree.root()).encode()

    def bundle(self, by: Signer, *, start: int = 0, policy: bytes | None = POLICY, end: int | None = None) -> bytes:
        writer = BundleWriter(by)
        lines = [
            writer.header(start=start, peaks=self.tree(start).peaks, created_at="2026-11-22T12:00:00.000000Z"),
            writer.checkpoint(self.checkpoint(by, end).decode()),
        ]
        if policy is not None:
            lines.append(writer.document("policy", "application/toml", policy))
        for index, leaf in list(enumerate(self.leaves))[start:end]:
            lines.append(writer.entry(index, leaf, self.notes.get(index)))
        return b"".join([*lines, writer.signature()])


def a_ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.add(LedgerKind.STARTED, policy=DIGEST)
    ledger.add(LedgerKind.HOLD_PLACED, "Case 7 of Ms. Example", hold="hold_1", rows=3)
    ledger.add(LedgerKind.PURGE_INTENT, plan="sha256:" + "0" * 64, keys=["period/1/personal/2026-10-01"])
    ledger.add(LedgerKind.PURGE_RESULT, plan="sha256:" + "0" * 64, rows=120)
    return ledger


def check(bundle: bytes, **given: object) -> Verification:
    return verify(bundle.splitlines(keepends=True), **given)


def test_a_whole_bundle_is_verified() -> None:
    """With the signer's key it says verified, and what is in it."""
    verdict = check(a_ledger().bundle(signer(1)), key=str(signer(1).key))

    assert verdict.lines() == [
        "verified: signed by the key you gave",
        f"ledger      {ORIGIN}",
        f"checkpoint  4 entries, root {base64.b64encode(a_ledger().tree().root()).decode()}",
        "entries     4 here, STARTED 1, HOLD_PLACED 1, PURGE_INTENT 1, PURGE_RESULT 1",
        f"document    policy, {DIGEST}",
        f"signer      {signer(1).key}",
    ]


def test_without_a_key_the_signer_is_not_vouched_for() -> None:
    """Whoever gives no key is told that only consistency was checked."""
    assert check(a_ledger().bundle(signer(1))).lines()[0] == "consistent; signer not checked"


@pytest.mark.parametrize("key", [None, str(signer(1).key)], ids=["no key", "key"])
def test_every_flipped_bit_is_found(key: str | None) -> None:
    """Not one bit of a bundle can be flipped unseen, whether a key is given or not."""
    bundle = a_ledger().bundle(signer(1))
    unseen = []
    for place in range(len(bundle) * 8):
        altered = bytearray(bundle)
        altered[place // 8] ^= 1 << place % 8
        try:
            check(bytes(altered), key=key)
        except EvidenceError:
            continue
        unseen.append(place)

    assert unseen == []


def test_every_cut_and_every_lost_line_is_found() -> None:
    """A bundle cut anywhere, a line left out, doubled or moved, or more behind its end, is refused."""
    bundle = a_ledger().bundle(signer(1))
    lines = bundle.splitlines(keepends=True)
    altered = [bundle[:end] for end in range(len(bundle))]
    altered += [b"".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines))]
    altered += [b"".join([*lines[: i + 1], *lines[i:]]) for i in range(len(lines))]
    altered += [b"".join([*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]]) for i in range(len(lines) - 1)]
    altered += [bundle + b"\n", bundle + lines[-1], bundle + b" ", b""]

    for one in altered:
        with pytest.raises(EvidenceError):
            check(one)


def test_another_signer_is_found() -> None:
    """A bundle that somebody else signed, all of it, does not pass for the key that the auditor holds."""
    with pytest.raises(EvidenceError, match="another key than yours"):
        check(a_ledger().bundle(signer(2)), key=str(signer(1).key))
    with pytest.raises(EvidenceError, match="another key than yours"):
        check(a_ledger().bundle(signer(1)), key=str(signer(1, "calledger/another").key))


def test_a_rewritten_ledger_is_found_by_a_kept_checkpoint() -> None:
    """Even the true signer cannot change an entry that a checkpoint covers which the auditor kept."""
    ledger = a_ledger()
    kept = ledger.checkpoint(signer(1), 2)
    verdict = check(ledger.bundle(signer(1)), key=str(signer(1).key), since=kept)
    rewritten = MemoryLedger([ledger.leaves[0], ledger.leaves[2], *ledger.leaves[2:]])

    assert "nothing was changed or removed that your checkpoint of 2 entries covers" in verdict.lines()
    with pytest.raises(EvidenceError, match="rewritten"):
        check(rewritten.bundle(signer(1)), key=str(signer(1).key), since=kept)


@pytest.mark.parametrize("start", range(5))
def test_a_bundle_since_a_checkpoint_needs_only_what_came_after(start: int) -> None:
    """The hashes of the subtrees before `start` stand for the entries that are not there."""
    ledger = a_ledger()
    bundle = ledger.bundle(signer(1), start=start, policy=None)
    kept = ledger.checkpoint(signer(1), start) if start else None

    verdict = check(bundle, key=str(signer(1).key), since=kept)

    assert verdict.kinds.total() == 4 - start
    assert verdict.checkpoint.root == ledger.tree().root()


def test_a_bundle_that_does_not_reach_back_is_refused() -> None:
    """When the bundle begins after the kept checkpoint, it proves nothing about it, and says what to ask for."""
    ledger = a_ledger()
    with pytest.raises(EvidenceError, match="ask for one since 2"):
        check(ledger.bundle(signer(1), start=3, policy=None), since=ledger.checkpoint(signer(1), 2))


def test_an_older_bundle_than_the_checkpoint_is_refused() -> None:
    """A ledger that was cut back to an earlier state is found by whoever kept a later checkpoint; that it may be an
    older bundle of a whole ledger is said too, for the two look alike."""
    ledger = a_ledger()
    with pytest.raises(
        EvidenceError, match=r"ends after 3 .* covers 4: either it is older than the checkpoint, or history was cut"
    ):
        check(ledger.bundle(signer(1), end=3), since=ledger.checkpoint(signer(1)))


def test_history_that_went_on_under_another_name_is_held_against_the_old_checkpoint() -> None:
    """After a restore without its mirror the ledger has another name: what a checkpoint of the old one covers is either
    still there, or was cut, and the verifier says which."""
    old, new = a_ledger(), a_ledger()
    covered, cut = old.checkpoint(signer(1), 3), None
    old.add(LedgerKind.STARTED, policy=DIGEST)
    cut = old.checkpoint(signer(1))
    renamed = f"{ORIGIN}/2"
    new.add(LedgerKind.RESTORED, origin=renamed, old_origin=ORIGIN)
    new.add(LedgerKind.STARTED, policy=DIGEST)

    assert check(new.bundle(signer(1, renamed)), since=covered)
    with pytest.raises(EvidenceError, match=r"history was cut .* under the name `calledger/.*/2`"):
        check(new.bundle(signer(1, renamed)), since=cut)


def test_a_forged_checkpoint_is_refused() -> None:
    """What is held against the bundle must itself be signed by this ledger."""
    ledger = a_ledger()
    with pytest.raises(EvidenceError, match="not one that this ledger signed"):
        check(ledger.bundle(signer(1)), since=ledger.checkpoint(signer(2), 2))
    with pytest.raises(EvidenceError, match="not one that this ledger signed"):
        check(ledger.bundle(signer(1)), since=ledger.checkpoint(signer(1, "calledger/another"), 2))


def test_a_successor_named_by_the_old_signer_is_accepted() -> None:
    """Whoever holds the old key follows the rotations in the ledger to the new one."""
    ledger = a_ledger()
    kept = ledger.checkpoint(signer(1))
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(1).rotation(signer(2)))
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(2).rotation(signer(3)))
    bundle = ledger.bundle(signer(3))

    for number in (1, 2, 3):
        assert check(bundle, key=str(signer(number).key)).key_checked
    check(bundle, key=str(signer(1).key), since=kept)
    check(bundle, since=kept)


def test_a_successor_that_nobody_named_is_refused() -> None:
    """A rotation that the old signer did not sign makes the bundle false, and one by a stranger leads nowhere."""
    stolen = a_ledger()
    stolen.add(LedgerKind.SIGNER_ROTATED, **{**signer(1).rotation(signer(3)), "new": signer(2).key.public.hex()})
    strange = a_ledger()
    strange.add(LedgerKind.SIGNER_ROTATED, **signer(4).rotation(signer(2)))

    with pytest.raises(EvidenceError, match="did not name"):
        check(stolen.bundle(signer(2)), key=str(signer(1).key))
    with pytest.raises(EvidenceError, match="another key than yours"):
        check(strange.bundle(signer(2)), key=str(signer(1).key))


def test_a_key_that_handed_the_ledger_over_signs_no_more() -> None:
    """Whoever stole the old key cannot go on behind the entry by which it named another, for who sees that entry."""
    ledger = a_ledger()
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(1).rotation(signer(2)))
    ledger.add(LedgerKind.EXPORTED, rows=1)

    for key in (None, str(signer(1).key), str(signer(2).key)):
        with pytest.raises(EvidenceError, match="had handed the ledger to another"):
            check(ledger.bundle(signer(1)), key=key)


def test_only_who_signs_hands_over() -> None:
    """A second entry by a key that signs no more is refused, though that key did sign it."""
    ledger = a_ledger()
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(1).rotation(signer(2)))
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(1).rotation(signer(3)))

    with pytest.raises(EvidenceError, match="entry 5 hands the ledger to a signer"):
        check(ledger.bundle(signer(3)), key=str(signer(1).key))


def test_the_new_key_vouches_for_a_checkpoint_of_the_old() -> None:
    """An auditor who took the new key over keeps the checkpoint that the old one signed."""
    ledger = a_ledger()
    kept = ledger.checkpoint(signer(1))
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(1).rotation(signer(2)))
    ledger.add(LedgerKind.SIGNER_ROTATED, **signer(2).rotation(signer(3)))

    check(ledger.bundle(signer(3)), key=str(signer(3).key), since=kept)
    with pytest.raises(EvidenceError, match="not one that this ledger signed"):
        check(ledger.bundle(signer(3)), key=str(signer(3).key), since=ledger.checkpoint(signer(4)))


def test_a_restored_ledger_under_a_new_origin_is_accepted_when_it_says_so() -> None:
    """The entry RESTORED cites the old origin; without it, a key of that origin is not this ledger's."""
    other = f"{ORIGIN}/2"
    silent, honest = a_ledger(), a_ledger()
    honest.add(LedgerKind.RESTORED, origin=other, old_origin=ORIGIN, old_size=9)

    assert check(honest.bundle(signer(1, other)), key=str(signer(1).key)).key_checked
    with pytest.raises(EvidenceError, match="another key than yours"):
        check(silent.bundle(signer(1, other)), key=str(signer(1).key))


def test_a_policy_that_no_entry_names_is_refused() -> None:
    """The policy document in a bundle is one whose digest the ledger holds."""
    with pytest.raises(EvidenceError, match="is no policy that an entry of this bundle names"):
        check(a_ledger().bundle(signer(1), policy=b'name = "gentler"\n'))


def test_another_note_is_found_and_an_erased_one_is_not_missed() -> None:
    """Free text must match the salted hash in its leaf; when it was erased, the entry still stands."""
    false, erased = a_ledger(), a_ledger()
    false.notes[1] = (false.notes[1][0], "Case 8")
    erased.notes.clear()

    with pytest.raises(EvidenceError, match="note of entry 1"):
        check(false.bundle(signer(1)))
    assert check(erased.bundle(signer(1))).kinds.total() == 4


def test_entries_left_out_before_signing_are_found() -> None:
    """A signer who leaves an entry out, or skips one at the start, cannot reach the root of its checkpoint."""
    ledger = a_ledger()
    lines = ledger.bundle(signer(1)).splitlines(keepends=True)
    writer = BundleWriter(signer(1))
    again = [
        writer.header(start=0, peaks=[], created_at="2026-11-22T12:00:00.000000Z"),
        writer.checkpoint(ledger.checkpoint(signer(1)).decode()),
        *(writer.entry(index, leaf, None) for index, leaf in enumerate(ledger.leaves[:3])),
        writer.signature(),
    ]

    assert len(again) == len(lines) - 2
    with pytest.raises(EvidenceError, match="altered or left out"):
        verify(again)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"type":"header"}',
        b'{"type":["header"]}',
        b'{"type":"_learn"}',
        b'{"type":"take"}',
        b"[" * 100_000,
        b'{"type":"header","key":1,"origin":1,"format":1,"from":0,"peaks":[]}',
        b'{"a":NaN}',
        b'\xff{"type":"header"}',
    ],
)
def test_rubbish_is_refused_as_evidence(line: bytes) -> None:
    """Whatever is given as a bundle, the answer is a refusal, never a crash."""
    with pytest.raises(EvidenceError):
        verify([line + b"\n"])
    with pytest.raises(EvidenceError):
        verify([], since=line)
    with pytest.raises(EvidenceError):
        verify([], key=line.decode(errors="replace"))


def test_the_verifier_stands_alone(tmp_path: Path) -> None:
    """Copied out, away from the project, the one file verifies a bundle, and says what is wrong with an altered one."""
    program = tmp_path / "verify.py"
    program.write_bytes(VERIFIER.read_bytes())
    ledger = a_ledger()
    good, bad, kept = tmp_path / "good", tmp_path / "bad", tmp_path / "kept"
    good.write_bytes(ledger.bundle(signer(1)))
    bad.write_bytes(good.read_bytes().replace(b'"index":3', b'"index":4'))
    kept.write_bytes(ledger.checkpoint(signer(1), 3))
    key = str(signer(1).key)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", program, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    verified, refused = run(good, "--key", key, "--since", kept), run(bad)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.startswith("verified: signed by the key you gave\nnothing was changed or removed")
    assert refused.returncode == 1
    assert refused.stderr == "NOT verified: entry 4 stands where entry 3 belongs\n"


def test_the_verifier_is_short_enough_to_read() -> None:
    """Under 400 lines, and nothing imported but Python's own and `cryptography`."""
    text = VERIFIER.read_text("utf-8")
    imports = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.strip().startswith(("import ", "from "))
    }

    assert len(text.splitlines()) < 400
    assert imports - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_bundle_is_plain_ascii_lines_of_json() -> None:
    """An auditor can look into a bundle with any tool; notes in other scripts are escaped."""
    ledger = a_ledger()
    ledger.add(LedgerKind.HOLD_LIFTED, "\u6848\u4ef6 \u2028 \x1b[31m", hold="hold_1")
    bundle = ledger.bundle(signer(1))

    assert bundle.isascii()
    assert [json.loads(line)["type"] for line in bundle.splitlines()][:4] == [
        "header",
        "checkpoint",
        "document",
        "entry",
    ]
    assert check(bundle).kinds["HOLD_LIFTED"] == 1
