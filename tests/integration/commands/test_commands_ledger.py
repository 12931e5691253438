"""The ledger from the command line, as an operator and an auditor use it."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from running import RunningService, command

from policies import evidence
from policies.evidence import read_leaf, verify


def verified(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`calledger verify` with no data directory to look at."""
    environment = {"PATH": "/usr/bin", "CALLEDGER_DATA": "/nowhere"}
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-m", "service", "verify", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env=environment,
    )


def test_an_auditor_verifies_what_the_operator_exports(service: RunningService, tmp_path: Path) -> None:
    """Key, checkpoint and bundle come from three commands; the fourth needs none of the service."""
    key = service.command("ledger", "key").stdout.strip()
    kept, bundle = tmp_path / "kept", tmp_path / "evidence.ndjson"
    kept.write_text(service.command("ledger", "checkpoint").stdout)
    api_key = service.new_key("viewer")
    done = service.command("ledger", "export", str(bundle))

    assert done.returncode == 0, done.stderr
    said = verified(bundle, "--key", key, "--since", kept)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("verified: signed by the key you gave\nnothing was changed or removed")
    assert verified(bundle).stdout.startswith("consistent; signer not checked\n")
    assert bundle.stat().st_mode & 0o777 == 0o600
    assert api_key.split("_")[1] in str(leaves(bundle))
    assert api_key not in bundle.read_text()


def leaves(bundle: Path) -> list[object]:
    from base64 import b64decode

    lines = [json.loads(line) for line in bundle.read_text().splitlines()]
    return [read_leaf(b64decode(line["leaf"])) for line in lines if line["type"] == "entry"]


def test_what_happens_to_keys_is_in_the_ledger(service: RunningService, tmp_path: Path) -> None:
    """Start, policy, the first key, a key made and its end, each with ids and digests only."""
    prefix = service.new_key("partner", "acme").split("_")[1]
    service.command("keys", "revoke", prefix)
    service.command("ledger", "export", str(tmp_path / "bundle"))
    said = [(leaf.kind.value, leaf.actor) for leaf in leaves(tmp_path / "bundle")]
    of_key = [leaf for leaf in leaves(tmp_path / "bundle") if leaf.facts.get("key") == prefix]

    assert said[:3] == [("POLICY_APPLIED", "system"), ("API_KEY_CREATED", "system"), ("STARTED", "system")]
    assert [leaf.kind.value for leaf in of_key] == ["API_KEY_CREATED", "API_KEY_REVOKED"]
    assert of_key[0].facts["role"] == "partner"
    assert all(isinstance(number, int) for number in of_key[0].facts["accounts"])
    assert b"acme" not in b"".join(json.dumps(dict(leaf.facts)).encode() for leaf in leaves(tmp_path / "bundle"))


def test_only_what_came_after_a_checkpoint(service: RunningService, tmp_path: Path) -> None:
    """A later bundle begins where the auditor's checkpoint ends, and proves that it continues it."""
    kept, later = tmp_path / "kept", tmp_path / "later"
    kept.write_text(service.command("ledger", "checkpoint").stdout)
    size = int(kept.read_text().splitlines()[1])
    service.command("ledger", "export", str(later), "--since", str(kept))

    assert json.loads(later.read_text().splitlines()[0])["from"] == size
    assert verified(later, "--since", kept).returncode == 0


def both_verifiers(folder: Path, file: Path, *given: str | Path) -> tuple[int, str]:
    """Exit code and words of `calledger verify` and of the file that stands alone, which must be the same."""
    program = folder / "verify.py"
    program.write_bytes(Path(evidence.__file__).with_name("verify.py").read_bytes())
    command = [sys.executable, "-I", program, file, *given]
    alone, ours = subprocess.run(command, capture_output=True, text=True, check=False), verified(file, *given)
    said = alone.stdout or alone.stderr
    assert (ours.returncode, (ours.stdout or ours.stderr).removeprefix("calledger: ")) == (alone.returncode, said)
    return alone.returncode, said


def test_both_verifiers_say_the_same(service: RunningService, tmp_path: Path) -> None:
    """Of good and bad bundles and statements, with and without key and checkpoint: the same words, the same code."""
    statement, bundle, old, kept = (tmp_path / name for name in ("statement", "bundle", "old", "kept"))
    altered = tmp_path / "altered"
    key = service.command("ledger", "key").stdout.strip()
    service.command("ledger", "export", str(old))
    earlier = tmp_path / "earlier"
    earlier.write_text(service.command("ledger", "checkpoint").stdout)
    service.command("attest", str(statement))
    service.new_key("viewer")
    kept.write_text(service.command("ledger", "checkpoint").stdout)
    service.command("ledger", "export", str(bundle))
    size = kept.read_text().splitlines()[1]

    for file in (statement, bundle):
        assert both_verifiers(tmp_path, file, "--key", key)[1].startswith("verified: signed by the key you gave\n")
        assert both_verifiers(tmp_path, file)[1].startswith("consistent; signer not checked\n")
        altered.write_bytes(file.read_bytes()[:-40])
        assert both_verifiers(tmp_path, altered)[0] == 1
    assert "nothing was changed or removed" in both_verifiers(tmp_path, bundle, "--since", kept)[1]
    told = f"your checkpoint covers {size}: either it is older than the checkpoint, or history was cut"
    assert told in both_verifiers(tmp_path, old, "--since", kept)[1]
    assert "history was cut" in both_verifiers(tmp_path, statement, "--since", kept)[1]
    assert "ask for a bundle" in both_verifiers(tmp_path, statement, "--since", earlier)[1]
    compact = tmp_path / "compact"
    compact.write_text(json.dumps(json.loads(statement.read_text())))
    assert both_verifiers(tmp_path, compact, "--key", key)[0] == 0


def test_a_ledger_shorter_than_a_checkpoint_exports_no_evidence_since_it(
    service: RunningService, tmp_path: Path
) -> None:
    """Whoever asks for what came after a checkpoint that the ledger no longer reaches is told that it was cut."""
    kept = tmp_path / "kept"
    kept.write_text(service.command("ledger", "checkpoint").stdout)
    lines = kept.read_text().split("\n")
    lines[1] = "4000"
    kept.write_text("\n".join(lines))
    done = service.command("ledger", "export", str(tmp_path / "bundle"), "--since", str(kept))

    assert done.returncode == 1
    assert "fewer than the 4000 that the checkpoint covers: its history was cut" in done.stderr


def test_what_does_not_hold_is_one_line_and_exit_code_one(service: RunningService, tmp_path: Path) -> None:
    """Altered bundles, wrong keys, wrong files: a sentence that an auditor understands, and no traceback."""
    bundle = tmp_path / "bundle"
    service.command("ledger", "export", str(bundle))
    altered = tmp_path / "altered"
    altered.write_bytes(bundle.read_bytes().replace(b'"index":1,', b'"index":2,'))
    wrong = "a/b+00000000+AAAA"
    for arguments in ((altered,), (bundle, "--key", wrong), (bundle, "--key", "nofile"), (tmp_path / "absent",)):
        done = verified(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert re.fullmatch(r"calledger: .+\n", done.stderr), done.stderr
    assert "NOT verified" in verified(altered).stderr


def test_the_checkpoint_is_served_to_witnesses(service: RunningService) -> None:
    """Anybody may fetch the newest checkpoint; it is the one that is stored, and signed for no request."""
    first = service.request("GET", "/v1/checkpoint")
    again = service.request("GET", "/v1/checkpoint")

    assert first[0] == 200
    assert first[1]["Content-Type"].startswith("text/plain")
    assert first[2] == again[2]
    assert first[2].decode().splitlines()[0].startswith("calledger/")


def test_fsck_derives_the_ledger_again(service: RunningService) -> None:
    """Among its checks is one of the ledger, from its leaves on."""
    done = service.command("fsck")

    assert re.search(r"(?m)^ok   ledger: \d+ entries and \d+ checkpoints, derived again$", done.stdout), done


def test_the_verifier_is_printed_whole(service: RunningService, tmp_path: Path) -> None:
    """What `ledger verifier` prints is a program that verifies, by itself."""
    program, bundle = tmp_path / "v.py", tmp_path / "bundle"
    program.write_text(service.command("ledger", "verifier").stdout)
    service.command("ledger", "export", str(bundle))
    done = subprocess.run([sys.executable, "-I", program, bundle], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("consistent; signer not checked")


def test_a_statement_is_written_proved_and_readable(service: RunningService, tmp_path: Path) -> None:
    """The JSON is verified with its entries, any change of it is found, and the page loads nothing."""
    statement = tmp_path / "q4.json"
    key = service.command("ledger", "key").stdout.strip()
    purged = service.command("purge")
    done = service.command("attest", str(statement))
    said = json.loads(statement.read_text())
    page = (tmp_path / "q4.html").read_text()

    assert (purged.returncode, done.returncode) == (0, 0), done.stdout + done.stderr
    assert {one["title"].split(",")[0] for one in said["statement"]["checks"]} >= {"GDPR 5(1)(e)", "GDPR 30(1)(f)"}
    assert all(one["holds"] for one in said["statement"]["checks"])
    assert "API_KEY_CREATED" in {one["kind"] for one in said["statement"]["entries"]}
    assert verified(statement, "--key", key).stdout.startswith("verified: signed by the key you gave\n")
    HTMLParser().feed(page)
    assert not re.search(r"(?:src|href)=|@import|<script", page)
    assert said["statement"]["policy"]["digest"] in page
    assert "Every requirement below is met." in page
    assert said["evidence"]["checkpoint"].splitlines()[0] in page
    for name in ("SOC 2", "declares no backups", "quarter of an hour", "requirement 3.2.1"):
        assert name in page, name


def test_an_altered_statement_is_refused(service: RunningService, tmp_path: Path) -> None:
    """Whatever value is changed in a statement, the digest in the ledger is no longer its own."""
    statement, altered = tmp_path / "s.json", tmp_path / "altered.json"
    service.command("attest", str(statement))
    text = statement.read_text()
    for old, new in (
        ('"overdue": 0', '"overdue": 1'),
        ('"holds": true', '"holds": false'),
        ('"role": "admin"', '"role": "viewer"'),
        ('"version": 1', '"version": 2'),
        ('"index": 1,', '"index": 2,'),
    ):
        assert old in text
        altered.write_text(text.replace(old, new, 1))
        done = verified(altered)
        assert done.returncode == 1
        assert "NOT verified" in done.stderr


def test_a_start_after_a_stop_goes_on_with_the_same_ledger(tmp_path: Path) -> None:
    """Commands without a service append and mirror too; the next start finds all of it."""
    service = RunningService(tmp_path / "data", is_first=True)
    service.stop()
    made = command(tmp_path / "data", "keys", "create", "--role", "viewer")
    mirrored = (tmp_path / "data" / "ledger" / "1" / "entries-000000000000.ndjson").read_text().splitlines()
    service.start()
    service.command("ledger", "export", str(tmp_path / "bundle"))
    service.stop()

    kinds = [leaf.kind.value for leaf in leaves(tmp_path / "bundle")]
    assert made.returncode == 0, made.stderr
    assert len(mirrored) in (4, 5)
    # When the first purge found nothing due is a matter of moments.
    assert [kind for kind in kinds[2:] if kind != "NOTHING_DUE"] == [
        "STARTED", "API_KEY_CREATED", "STARTED", "EVIDENCE_CREATED",
    ]  # fmt: skip
    assert verify((tmp_path / "bundle").read_bytes().splitlines(keepends=True)).kinds["STARTED"] == 2


EVIDENCE = "mutation { createEvidence(input: {}) { checkpoint { publicKey } } }"


def test_the_ledger_is_handed_over_while_it_is_served(tmp_path: Path) -> None:
    """Two processes that answer sign with the new key from the next request on; the command says both keys, and a
    bundle verifies with either. A keyring that is away is refused in a line, and nothing has changed."""
    data, bundle = tmp_path / "data", tmp_path / "evidence.ndjson"
    service = RunningService(data, "--workers", "2")
    try:
        auditors = [service.new_key("auditor") for _ in range(4)]  # each may have one bundle under way

        def signers() -> set[str]:
            answers = [service.ask(auditor, EVIDENCE) for auditor in auditors]
            return {answer["data"]["createEvidence"]["checkpoint"]["publicKey"] for answer in answers}

        old = service.command("ledger", "key").stdout.strip()
        assert signers() == {old}
        done = service.command("ledger", "rotate-signer")
        new = service.command("ledger", "key").stdout.strip()

        assert (done.returncode, done.stderr, new != old) == (0, "", True)
        assert f"old key  {old}\nnew key  {new}\n" in done.stdout
        assert signers() == {new}
        service.command("ledger", "export", str(bundle))
        for key in (old, new):
            assert verified(bundle, "--key", key).stdout.startswith("verified: signed by the key you gave\n")
    finally:
        service.stop()

    (data / "keyring").rename(tmp_path / "away")
    refused = command(data, "ledger", "rotate-signer")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1].startswith("calledger: no keyring is at")
    (tmp_path / "away").rename(data / "keyring")
    assert command(data, "ledger", "key").stdout.strip() == new
