"""What a report says of a person, looked for in the report's other texts."""
# ruff: noqa: RUF001  # full-width letters and other scripts are what is looked for

import json
import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from naming_persons import BUDGET, DEFAULT, MARK, REDACTOR, USER, failed, message_of, native, stored

from policies import Admission, Attributes, Policy, Report, load_preset, parse, preset_text
from policies.admission.segments import revealed
from policies.redaction import Persons
from policies.redaction.echoes.invisible import INVISIBLE
from policies.redaction.text import plain

STRICT = Admission(load_preset("strict"), REDACTOR)


def test_the_user_is_looked_for_in_every_text() -> None:
    """Type, code, message, tags, key, source id and labels: none of them keeps the plain id in clear."""
    report = failed(
        error={"type": "UserBudgetExceeded employee-7741", "code": "budget:employee-7741"},
        tags={"team": "search employee-7741", "project": "EMPLOYEE-7741"},
        api_key="key of employee-7741",
        source_id="employee-7741/2026-11-22",
        attributes=Attributes(
            trace_id="trace-employee-7741", session_id="session-employee-7741", team="employee-7741's",
            deployment="d", provider_request_id="employee-7741", normalized_error="over budget: employee-7741",
        ),
    )  # fmt: skip

    admitted = DEFAULT.admit(report)

    assert "7741" not in stored(admitted)
    assert admitted.user == USER
    assert admitted.error_type == f"UserBudgetExceeded {MARK}"
    assert admitted.error_code == f"budget:{MARK}"
    assert admitted.tags == {"team": f"search {MARK}", "project": MARK}
    assert admitted.api_key == f"key of {MARK}"
    assert admitted.source_id.startswith(f"{MARK}/2026-11-22~")
    assert admitted.attributes is not None
    assert (admitted.attributes.trace_id, admitted.attributes.session_id) == (None, None)
    assert admitted.attributes.team == f"{MARK}'s"
    assert message_of(admitted, revealed) == BUDGET


def test_it_is_dropped_where_the_policy_keeps_nothing_personal() -> None:
    """Under `strict` the message has no more to reveal than the mark."""
    admitted = STRICT.admit(failed())

    assert message_of(admitted, revealed) == message_of(admitted) == BUDGET.replace(USER, MARK)
    assert admitted.user is None


@pytest.mark.parametrize(
    ("user", "text", "shown"),
    [
        ("Employee-7741", "user EMPLOYEE-7741!", f"user {MARK}!"),
        ("ada", "ada's limit, Ada, ada1, canada", f"{MARK}'s limit, {MARK}, ada1, canada"),
        ("Ada Lovelace", "for ada  lovelace; for ada\nlovelace", f"for {MARK}; for {MARK}"),
        ("Ada Lovelace", "?user=Ada+Lovelace&x", f"?user={MARK}&x"),
        ("Jürgen", 'user "J\\u00fcrgen", J%C3%BCrgen', f'user "{MARK}", {MARK}'),
        ("u_17", "（Ｕ＿１７）", f"（{MARK}）"),
        ("田中", "田中さんの上限", f"{MARK}さんの上限"),
        ("1", "End User=1 over, user 1, '1'; 1 of 1", f"End User={MARK} over, user {MARK}, '{MARK}'; 1 of 1"),
        ("a", "a budget for user a was a joke", f"a budget for user {MARK} was a joke"),
        ("x@y", "mail x@y and xx@yy", f"mail {MARK} and xx@yy"),
        ("7741", "employee 7741, employee7741, 77410, 7741", f"employee {MARK}, employee7741, 77410, {MARK}"),
        ("(bob)", "bob (bob)(bob)", f"bob {MARK}"),
        ("o'brien-77", "o\u2019brien-77, O\u2018Brien-77", f"{MARK}, {MARK}"),
        ("o\u2019brien-77", "o'brien-77, o\\'brien-77", f"{MARK}, {MARK}"),
        (" ", "nothing to look for", "nothing to look for"),
        ("u" * 1024, "is " + "u" * 1024, f"is {MARK}"),
    ],
)
def test_names_are_told_at_the_edges_of_words(user: str, text: str, shown: str) -> None:
    """Whatever its length, case, width and escapes; a very short one only where somebody is named."""
    assert Persons([user]).masked(text) == shown


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "user", ["CORP\\mharper", "CORP\\nancy", 'o"brien-77', "o'brien-77", "corp\\'x' \"y\"", "tenant/ada", "a\\\\b-7"]
)
@pytest.mark.parametrize("escape", [repr, json.dumps, lambda text: json.dumps(text).replace("/", "\\/")])
def test_escaped_backslashes_and_quotes_are_opened(user: str, escape: Callable[[str], str], layers: int) -> None:
    """An error within an error writes them with a backslash before each, and so on."""
    text = user
    for _ in range(layers):
        text = escape(text)
    shown = Persons([user]).masked(f"over {text} x")

    assert MARK in shown
    assert re.fullmatch(rf"""over [\\"' ]*{re.escape(MARK)}[\\"' ]* x""", shown)


@pytest.mark.parametrize("text", ["marta-\noberhuber-88", "marta-oberhuber-\r\n    88"])
def test_a_name_is_found_where_a_line_breaks_after_its_dash(text: str) -> None:
    """Long lines are wrapped so."""
    assert Persons(["marta-oberhuber-88"]).masked(f"over {text} x") == f"over {MARK} x"


def test_escapes_take_no_long() -> None:
    """A text of nothing but backslashes, or line breaks, is walked once."""
    for text in ("\\" * 500_000, "-\n" * 250_000, "\\'" * 250_000, ("\\" * 15 + "x") * 30_000):
        before = time.process_time()
        Persons(["CORP\\mharper"]).spans(text + "corp\\mharper")
        assert time.process_time() - before < 5


def test_http_statuses_and_names_of_models_are_no_persons() -> None:
    """Whoever is called `429` or `gpt-4o` changes neither the code of the call nor what is priced."""
    by_status = DEFAULT.admit(failed("HTTP 429", user="429", error={"code": "429"}))
    by_model = DEFAULT.admit(failed("no gpt-4o", user="gpt-4o", account="gpt-4o", served_model="gpt-4o", provider="x"))

    assert by_status.error_code == "429"
    assert (by_model.account, by_model.model, by_model.served_model) == ("gpt-4o", "gpt-4o", "gpt-4o")
    assert message_of(by_model) == f"no {MARK}"


def test_a_random_id_names_nobody() -> None:
    """Four digits of a UUID are there by chance: the call is found by it."""
    admitted = DEFAULT.admit(failed(user="4716", source_id="550e8400-e29b-41d4-4716-446655440000"))

    assert admitted.source_id == "550e8400-e29b-41d4-4716-446655440000"


def test_a_call_that_succeeded_is_looked_through_too() -> None:
    """A tag that passed for one user does not pass whole for the user whom it names."""
    admission = Admission(load_preset("default"), REDACTOR)
    of_other = Report(**_succeeded(user="someone"))
    of_user = Report(**_succeeded(user=USER))
    admission.admit(of_other)

    assert admission.unchanged(of_other) is not None
    assert admission.unchanged(of_user) is None
    assert admission.admit(of_user).tags == {"team": f"desk {MARK}"}


def _succeeded(**facts: Any) -> dict[str, Any]:
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    return {
        "source": "native", "source_id": "req-1", "started_at": moment, "model": "m", "failed": False,
        "tags": {"team": f"desk {USER}"},
    } | facts  # fmt: skip


@pytest.mark.parametrize("user", [USER, "Employee-7741", "employee-7741 x", "nobody", "emp", "7741", "é", "a%41"])
@pytest.mark.parametrize(
    ("api_key", "tag"),
    [
        (f"key of {USER}", "desk"),
        ("key", f"desk {USER.upper()}"),
        ("key", "desk"),
        ("emp%6coyee-7741", "desk"),
        ("key", "desk é"),
        (None, "emp"),
    ],
)
def test_what_passes_unchanged_is_what_admission_would_not_change(user: str, api_key: str | None, tag: str) -> None:
    """However the user, the key and the tag are written: nothing passes by the short way that the long one changes."""
    admission = Admission(load_preset("default"), REDACTOR)
    facts = {"api_key": api_key, "tags": {"team": tag}}
    admission.admit(Report(**_succeeded(user="someone", **facts)))
    report = Report(**_succeeded(user=user, **facts))

    if admission.unchanged(report) is not None:
        admitted = admission.admit(report)
        assert (admitted.api_key, admitted.tags, admitted.source_id) == (api_key, {"team": tag}, "req-1")


def test_any_field_that_the_policy_classes_personal_is_looked_for() -> None:
    """A policy that calls the key's alias personal has it cut from the error's text as well."""
    text = preset_text("default").replace(
        '"Call.apiKey" = { class = "operational", action = "keep"',
        '"Call.apiKey" = { class = "personal", action = "mask"',
    )
    policy: Policy = parse(text.replace("readable_days = { personal = 30 }", "readable_days = { personal = 400 }"))

    admitted = Admission(policy, REDACTOR).admit(failed("key ada-laptop is over budget", api_key="ada-laptop"))

    assert message_of(admitted) == f"key {MARK} is over budget"
    assert admitted.api_key == "[redacted:personal]"


@pytest.mark.parametrize(
    "sign",
    ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u200d", "\u034f", "\u061c", "\u180e", "\ufe0f", "\U000e0041", "\u202e",
     "\0", "\x7f", "\x08", "\u3164", "\ue000", "\x1b[31m"],
)  # fmt: skip
def test_what_nobody_sees_hides_no_name(sign: str) -> None:
    """An invisible character inside of the id is gone from what is stored, and the id with it, in every text."""
    written = f"emplo{sign}yee-7741"
    report = failed(
        f"m {written}",
        error={"type": f"E {written}", "code": f"c {written}"},
        tags={"team": written},
        api_key=written,
        source_id=f"x {written}",
        attributes=Attributes(session_id=written, deployment=written, team=written, normalized_error=f"n {written}"),
    )

    admitted = DEFAULT.admit(report)

    assert "7741" not in stored(admitted)
    assert admitted.error_type == f"E {MARK}"


def test_no_character_is_stripped_that_names_are_told_apart_by() -> None:
    """What clear texts lose is what persons are compared without: every character that is assigned."""
    lost = [chr(code) for code in range(0x110000) if plain(f"a{chr(code)}b") == "ab"]

    assert not [char for char in lost if unicodedata.category(char) != "Cn" and not INVISIBLE.fullmatch(char)]


@pytest.mark.parametrize("dash", "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d")
def test_all_dashes_are_one(dash: str) -> None:
    """Editors write other dashes than keyboards."""
    assert Persons([USER]).masked(f"over: Employee{dash}7741.") == f"over: {MARK}."
    assert Persons([f"employee{dash}7741"]).masked(f"over: {USER}.") == f"over: {MARK}."


@pytest.mark.parametrize("user", ["prod", "default", "admin", "default_user_id", "test", "1", "ab", "007"])
def test_a_common_word_takes_nothing_from_names_of_other_things(user: str) -> None:
    """A team called as many callers fill the user's id stays whole, unless the name says that it is a user's."""
    report = failed(
        f"end user {user} is over",
        user=user,
        tags={"team": user, "project": f"user: {user}"},
        api_key=f"{user}-key",
        source_id=f"req/{user}/x",
        error={"code": user},
        attributes=Attributes(team=user, deployment=f"eu-{user}", session_id=f"s-{user}", organization=user),
    )

    admitted = DEFAULT.admit(report)
    kept = admitted.attributes

    assert (admitted.tags, admitted.api_key) == ({"team": user, "project": f"user: {MARK}"}, f"{user}-key")
    assert (admitted.source_id, admitted.error_code) == (f"req/{user}/x", user)
    assert kept == Attributes(team=user, deployment=f"eu-{user}", session_id=f"s-{user}", organization=user)
    assert message_of(admitted) == f"end user {MARK} is over"


@pytest.mark.parametrize("user", ["alice", "u-1017", "ada@lab", "prod-7741", "Ada Lovelace", "田中"])
def test_what_may_be_a_persons_name_is_taken_from_names_of_other_things(user: str) -> None:
    """Only known words are spared: a short first name is a person's."""
    assert DEFAULT.admit(failed(user=user, tags={"team": f"team {user}"})).tags == {"team": f"team {MARK}"}


@pytest.mark.parametrize(
    ("user", "written"),
    [
        ("marta-oberhuber-88", "marta-\noberhuber-88"),
        ("marta-oberhuber-88", "marta-ober\nhuber-88"),
        ("marta-oberhuber-88", "marta-ober\r\n    huber-88"),
        ("marta-oberhuber-88", "marta-ober\\nhuber-88"),
        ("marta-oberhuber-88", "marta=2Doberhuber=2D88"),
        ("marta-oberhuber-88", "marta=2Doberhu=\nber=2D88"),
        ("jürgen.müller", "j=C3=BCrgen.m=C3=BCller"),
        ("o'brien-77", "o’brien-77"),
        ("o'brien-77", "o´brien-77"),
        ("Işık-Yılmaz", "ışık-yılmaz"),
        ("ışık-yılmaz", "IŞIK-YILMAZ"),
        ("İbrahim-Kaya", "ibrahim-kaya"),
        ("ヤマダ-77", "やまだ-77"),
    ],
)
def test_a_user_is_found_however_a_text_breaks_or_writes_it(user: str, written: str) -> None:
    """Broken over lines, in mail's escapes, with typographic apostrophes, in Turkish case, in either kana."""
    assert Persons([user]).masked(f"over: {written} x") == f"over: {MARK} x"
    assert Persons([user]).masked(f"over:\n{written}\nx") == f"over:\n{MARK}\nx"
    admitted = DEFAULT.admit(failed(f"over: {written}", user=user, error={"type": f"over {written}"}))

    assert admitted.error_type == f"over {MARK}"
    assert message_of(admitted) == f"over: {MARK}"


@pytest.mark.parametrize("written", ["marta-\noberhuber-88", "marta- oberhuber-88", "marta=2Doberhuber=2D88"])
@pytest.mark.parametrize("status", ["failed", "succeeded"])
def test_names_lose_a_user_that_is_broken_after_a_dash(written: str, status: str) -> None:
    """A name of one line has a blank where it had a break."""
    admitted = native(user="marta-oberhuber-88", status=status, tags={"team": written}, deployment=f"eu {written}")

    assert admitted.tags == {"team": MARK}
    assert admitted.attributes is not None
    assert admitted.attributes.deployment == f"eu {MARK}"


@pytest.mark.parametrize(("user", "text"), [("anna-7", "joan\nna-7"), ("ann-7", "jo\nann-75"), ("foobar", "foo bar")])
def test_lines_are_joined_for_whole_names_alone(user: str, text: str) -> None:
    """A break within a longer word makes no name of its end."""
    assert Persons([user]).masked(text) == text
