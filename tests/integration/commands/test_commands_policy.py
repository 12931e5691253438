"""`calledger policy`: what it says before a policy runs, and `policy try` as a filter in a pipe."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import PYTHON_PATH, bare_command

# A database that nobody runs: whoever asks it fails.
AWAY = {"CALLEDGER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "CALLEDGER_DATA": "/nowhere"}
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


def policy(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return bare_command("policy", *arguments, stdin=stdin, environment=AWAY)


def tried(*texts: str, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    done = policy("try", *options, stdin="".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[Path]:
    """The shipped policy, to be edited."""
    path = tmp_path / "policy.toml"
    path.write_text(policy("show", "default").stdout)
    return path


def test_a_shown_policy_is_the_shipped_one(edited: Path) -> None:
    """`policy show` prints a policy that `policy check` finds fine, with the preset's own digest."""
    checked, preset = policy("check", str(edited)), policy("check", "default")

    assert checked.returncode == 0
    assert checked.stdout == preset.stdout
    assert checked.stdout.splitlines()[1].startswith("sha256:")


def test_a_policy_that_would_not_load_is_refused(edited: Path) -> None:
    """`policy check` says where a policy is wrong, in one line, and exits with 1."""
    edited.write_text(edited.read_text() + "\n[surprise]\n")

    done = policy("check", str(edited))

    assert (done.returncode, done.stdout) == (1, "")
    assert "surprise" in done.stderr
    assert done.stderr.count("\n") == 1


def test_differences_are_told(edited: Path) -> None:
    """`policy diff` tells what a change would purge, and says so when there is none."""
    assert policy("diff", "default", str(edited)).stdout == "no difference\n"

    edited.write_text(
        edited.read_text().replace("call_error = 30", "call_error = 3").replace("personal = 30", "personal = 3")
    )

    assert "purges" in policy("diff", "default", str(edited)).stdout


def test_text_is_redacted_as_it_would_be_stored() -> None:
    """`policy try` masks what the policy's engine finds, names the rules, and leaves clean text alone."""
    masked, clean = tried(f"key {KEY} of jane@example.com", "model gpt-4o does not exist")

    assert masked["text"] == "key [redacted:openai-key] of [redacted:email]"
    assert masked["rules"] == ["email", "openai-key"]
    assert clean == {"text": "model gpt-4o does not exist", "rules": []}


def test_the_policys_own_settings_count(edited: Path) -> None:
    """National ids that the policy names are found; without naming they are not."""
    number = "the number 943 476 5919"
    edited.write_text(edited.read_text().replace("national_ids = []", 'national_ids = ["gb-nhs"]'))

    assert tried(number) == [{"text": number, "rules": []}]
    assert tried(number, options=("--policy", str(edited)))[0]["rules"] == ["gb-nhs"]


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("default", {"text": "to [redacted:email]", "rules": ["email"], "sealed": ["email"]}),
        ("strict", {"text": "to [redacted:email]", "rules": ["email"], "sealed": []}),
        ("billing-only", {"text": "", "rules": ["dropped"], "sealed": []}),
    ],
)
def test_what_a_policy_keeps_is_said(preset: str, expected: dict[str, Any]) -> None:
    """With --details one sees whose text stays under seal; a policy that keeps no messages answers with none."""
    assert tried("to jane@example.com", options=("--policy", preset, "--details")) == [expected]


def test_secrets_are_never_sealed() -> None:
    """A credential is gone for good, under every policy."""
    (answer,) = tried(KEY, options=("--details",))

    assert (answer["rules"], answer["sealed"]) == (["openai-key"], [])


def test_a_bad_line_loses_no_other() -> None:
    """Each line that cannot be read is answered by an error that doesn't quote it; the exit code is 1."""
    bad = ["nonsense", "[1]", '{"text": 3}', '{"txt": "x"}', "[" * 5000, '{"text": "']
    lines = ['{"text": "a"}', *bad, "", '{"text": "b"}']

    done = policy("try", stdin="\n".join(lines))

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("text") for answer in answers] == ["a", *[None] * len(bad), "b"]
    assert answers[1]["error"].startswith("line 2 ")
    assert "nonsense" not in done.stdout
    assert done.returncode == 1
    assert done.stderr == f"calledger: {len(bad)} of {len(lines)} lines could not be read\n"


def test_odd_characters_pass() -> None:
    """Half surrogate pairs, NUL, line separators and other scripts come back, one line each."""
    done = policy("try", stdin='{"text": "half \\ud800"}\n{"text": "\\u0000\\u2028日本"}\n')

    assert done.returncode == 0
    assert len(done.stdout.rstrip("\n").split("\n")) == 2


def test_a_long_text_is_cut_and_says_so() -> None:
    """Text past the size cap is cut, never passed on unread."""
    (answer,) = tried("x " * 40_000 + KEY)

    assert KEY not in answer["text"]
    assert "size-cap" in answer["rules"]


def test_lines_are_answered_as_they_come() -> None:
    """`policy try` works as a filter: it answers a line before it sees the next, and ends with its input."""
    command = [sys.executable, "-m", "service", "policy", "try"]
    environment = {**AWAY, **PYTHON_PATH}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        for text in ("one", "two"):
            process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(30) == 0


def test_presets_and_files_of_the_same_name(tmp_path: Path) -> None:
    """A file called like a preset is the file: what lies in the folder is what is meant."""
    (tmp_path / "strict").write_text("not a policy")

    done = bare_command("policy", "check", "strict", folder=tmp_path)

    assert done.returncode == 1
    assert "not TOML" in done.stderr
