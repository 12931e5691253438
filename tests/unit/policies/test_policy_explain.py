"""What a policy does, in words; what a change of it would do."""

import pytest

from policies import Effect, UnknownFieldError, diff, load_preset, parse, preset_text
from policies.policy.explain import explain

TEXT = preset_text("default")
DEFAULT = load_preset("default")
TAGS = '"Call.tags" = { class = "operational", action = "keep"'


def changed(old: str, new: str) -> list[tuple[Effect, str]]:
    assert old in TEXT, f"the test is out of date: {old}"
    difference = diff(DEFAULT, parse(TEXT.replace(old, new, 1)))
    return [(change.effect, change.what) for change in difference.changes]


def test_explain_says_all_of_a_field() -> None:
    """Class, action, store, window, each role's view, and who may filter."""
    lines = [" ".join(line.split()) for line in explain(DEFAULT, "Call.user").lines()]

    assert "class personal" in lines
    assert "store call" in lines
    assert "window standard: row dropped after 400 days; readable for 30" in lines
    assert "view auditor: denied" in lines
    assert "view admin: see, may be filtered by" in lines
    assert any(line.startswith("action hash: ") for line in lines)


def test_explain_says_what_ends_with_its_row() -> None:
    """A clear column is readable for as long as its row is there; a sealed one for as long as its key."""
    assert "row dropped after 400 days; readable for 400" in "\n".join(explain(DEFAULT, "Call.model").lines())
    assert explain(DEFAULT, "CallError.message").windows[0].readable_days == 30
    assert "nothing is kept" in "\n".join(explain(load_preset("strict"), "Call.user").lines())


def test_explain_knows_near_names() -> None:
    """A typing error is answered with the field that was meant."""
    with pytest.raises(UnknownFieldError, match=r"did you mean `Call\.model`\?"):
        explain(DEFAULT, "Call.modell")


def test_equal_policies_do_not_differ() -> None:
    """Nothing changes between a policy and itself."""
    difference = diff(DEFAULT, load_preset("default"))

    assert difference.changes == ()
    assert not difference.purges
    assert not difference.keeps_more


@pytest.mark.parametrize(
    ("old", "new", "effect", "what"),
    [
        ("call_error = 30", "call_error = 29", Effect.PURGES, "tier standard call_error"),
        ("call_error = 30", "call_error = 31", Effect.KEEPS, "tier standard call_error"),
        ("{ personal = 30 }", "{ personal = 7 }", Effect.PURGES, "tier standard readable personal"),
        ("{ personal = 30 }", "{ personal = 90 }", Effect.KEEPS, "tier standard readable personal"),
        ("national_ids = []", 'national_ids = ["gb-nhs"]', Effect.OTHER, "redaction of gb-nhs"),
        ("number = 1", "number = 2", Effect.PURGES, "tier standard number"),
        (TAGS, TAGS.replace("keep", "drop"), Effect.OTHER, "Call.tags"),
        ("max_length = 200", "max_length = 300", Effect.KEEPS, "parameter model"),
        ('messages = { action = "shape" }\n', "", Effect.OTHER, "parameter messages"),
        ('"env", ', '"env", "squad", ', Effect.KEEPS, "tag squad"),
        ('"env", ', "", Effect.OTHER, "tag env"),
        ('"day"\n', '"month"\n', Effect.KEEPS, "pseudonym_period"),
        ('"Call.user" = "see"', '"Call.user" = "masked"', Effect.HIDES, "role viewer view of Call.user"),
        ('ask = ["viewer"]', "ask = []", Effect.HIDES, "role ingest ask viewer"),
        ("plain_user_filter = true", "plain_user_filter = false", Effect.HIDES, "role support filter by plain user id"),
    ],
)  # fmt: skip
def test_each_change_has_its_effect(old: str, new: str, effect: Effect, what: str) -> None:
    """Shorter purges, longer keeps, and rights given or taken show or hide."""
    assert (effect, what) in changed(old, new)


def test_a_change_the_other_way_has_the_other_effect() -> None:
    """What hides one way shows the other; what purges one way keeps the other."""
    strict = load_preset("strict")
    there = {change.what: change.effect for change in diff(DEFAULT, strict).changes}
    back = {change.what: change.effect for change in diff(strict, DEFAULT).changes}

    assert there.keys() == back.keys()
    assert there["tier standard call_error"] is Effect.PURGES
    assert back["tier standard call_error"] is Effect.KEEPS
    assert back["Call.user"] is Effect.KEEPS
    assert back["role viewer view of Call.user"] is Effect.SHOWS


def test_a_lost_tier_waits() -> None:
    """Removing a tier leaves its accounts without windows: that is treated as destruction."""
    gold = TEXT[TEXT.index("[tiers.standard]") : TEXT.index("# Reports calls")].replace("standard", "gold")
    two = parse(TEXT + "\n" + gold.replace("number = 1", "number = 2"))

    assert diff(two, DEFAULT).purges
    assert not diff(DEFAULT, two).purges


def test_moving_the_default_shows_what_it_does() -> None:
    """Accounts without a tier of their own move with the default: shorter windows purge."""
    gold = TEXT[TEXT.index("[tiers.standard]") : TEXT.index("# Reports calls")].replace("standard", "gold")
    text = TEXT + "\n" + gold.replace("number = 1", "number = 2").replace("call_error = 30", "call_error = 7")
    old, new = parse(text), parse(text.replace('default_tier = "standard"', 'default_tier = "gold"'))

    assert [change.what for change in diff(old, new).changes if change.effect is Effect.PURGES] == [
        "tier by default call_error"
    ]
    assert "30 days -> 7 days" in diff(old, new).changes[-1].line()
