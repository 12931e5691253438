"""Policy documents: what is read, and what is refused with a place and a way out."""

import re

import pytest

from policies import (
    DATA_FIELDS,
    PRESETS,
    Action,
    DataClass,
    PolicyDocumentError,
    Role,
    Store,
    UnknownPresetError,
    View,
    canonical,
    completed,
    digest,
    explain,
    filterable,
    load_preset,
    may_ask,
    parse,
    parse_applied,
    preset_text,
    unnamed,
    view_table,
)

DEFAULT = preset_text("default")


def refused(old: str, new: str) -> PolicyDocumentError:
    assert old in DEFAULT, f"the test is out of date: {old}"
    with pytest.raises(PolicyDocumentError) as caught:
        parse(DEFAULT.replace(old, new, 1))
    return caught.value


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_and_says_whom_it_suits(name: str) -> None:
    """Each shipped policy is lawful, complete, named like its file, and opens by saying for whom it is."""
    policy = load_preset(name)

    assert policy.name == name
    assert set(policy.fields) == set(DATA_FIELDS)
    assert re.search(r"^# (For whom|The policy for)", preset_text(name), re.MULTILINE)


def test_an_unknown_preset_is_refused() -> None:
    """A preset is looked up in a list, not in a folder."""
    with pytest.raises(UnknownPresetError, match=r"there is no preset `../document`"):
        load_preset("../document")


def test_the_default_is_what_it_promises() -> None:
    """Calls 400 days, errors 30, sums 7 years; the user hashed, the message sealed, personal readable for 30 days."""
    policy = load_preset("default")
    tier = policy.tiers[policy.default_tier]

    assert dict(tier.store_days) == {
        Store.CALL: 400,
        Store.CALL_ERROR: 30,
        Store.USAGE_QUARTER: 400,
        Store.USAGE_DAY: 2557,
    }
    assert tier.readable(DataClass.PERSONAL, Store.CALL) == 30
    assert tier.readable(DataClass.BILLING, Store.CALL) == 400
    assert policy.action("Call.user") is Action.HASH
    assert policy.action("CallError.message") is Action.SEAL
    assert policy.action("Call.prompt") is Action.DROP


def test_strict_knows_no_user() -> None:
    """The strict preset keeps no user and nothing under seal, and nobody may reveal."""
    policy = load_preset("strict")

    assert policy.action("Call.user") is Action.DROP
    assert all(rule.action not in (Action.SEAL, Action.HASH) for rule in policy.fields.values())
    assert all("revealError" not in rule.ask for rule in policy.roles.values())


def test_billing_only_keeps_no_error_details() -> None:
    """The billing-only preset drops every field of errors, type and code included."""
    policy = load_preset("billing-only")
    errors = [name for name in DATA_FIELDS if name.startswith(("CallError.", "ErrorParameter.", "ErrorGroup."))]

    assert {policy.action(name) for name in [*errors, "Call.errorType", "Call.errorCode"]} == {Action.DROP}
    assert not policy.parameters


def test_the_digest_is_of_the_meaning() -> None:
    """Comments and order do not change the digest; a window does."""
    reordered = (
        re.sub(r"^#.*\n", "", DEFAULT, flags=re.MULTILINE)
        .replace("version = 1\n", "")
        .replace('name = "default"\n', 'version = 1\nname = "default"\n')
    )

    assert digest(parse(reordered)) == digest(parse(DEFAULT))
    assert digest(parse(DEFAULT.replace("usage_day = 2557", "usage_day = 2556"))) != digest(parse(DEFAULT))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest(parse(DEFAULT)))


def test_canonical_text_survives_odd_characters() -> None:
    """Quotes, backslashes, DEL, tabs and other scripts in a name come back as they were."""
    odd = 'a "b" \\ \\u007f \\t \U0001f600 \u4e2d'
    policy = parse(DEFAULT.replace('name = "default"', f"name = {odd!r}".replace("'", '"').replace('"b"', '\\"b\\"')))

    again = parse(canonical(policy).decode())

    assert again == policy


MODEL = '"Call.model" = { class = "operational", action = "keep", store = "call" }'
API_KEY = '"Call.apiKey" = { class = "operational"'
MESSAGE = '"CallError.message" = { class = "personal", action = "seal"'
USER_SEEN = '"Call.user" = "see"'
TEMPERATURE = 'temperature = { type = "number", min = 0, max = 100 }'
MODEL_NAME = 'model = { type = "text", max_length = 200 }'
ROW_AMOUNT = '"CostRow.amount" = { class = "billing", action = "keep"'

REFUSALS = [
    # what is replaced, by what, the message, a part of the way out
    ("version = 1", "version = 1\nwindow = 5", "`window`: is not a key", "known here"),
    ("version = 1", "version = 0", "`0` is out of bounds", "write 1 to"),
    ("version = 1", "version = true", "must be a whole number", ""),
    ('default_action = "drop"', 'default_action = "keep"', "`keep` is not known", "`drop`"),
    ('default_action = "drop"', "", "`default_action` is missing", "`drop`"),
    (MODEL, "", "`Call.model` has no entry", '"Call.model" = {'),
    (MODEL, MODEL.replace("model", "modle"), "is not a field", "did you mean `Call.model`?"),
    (MODEL, MODEL.replace('class = "operational", ', ""), "`class` is missing", "`operational`"),
    (MODEL, MODEL.replace('action = "keep", ', ""), "`action` is missing", "`drop`"),
    (MODEL, MODEL.replace(', store = "call"', ""), "`store` is missing", "`call_error`"),
    (MODEL, MODEL.replace("operational", "operationl"), "`operationl` is not known", "`operational`"),
    (MODEL, MODEL.replace('store = "call"', 'store = "usage_day"'), "is not in store", 'store = "call"'),
    (MODEL, MODEL.replace("keep", "drop"), "cannot have action `drop`", "`keep`"),
    (MODEL, MODEL.replace(" }", ", extra = 1 }"), "is not a key", "known here"),
    (MODEL, MODEL + "\n" + MODEL.replace("Call.model", "Call.*"), "is not a field", "did you mean"),
    (API_KEY, API_KEY.replace("operational", "personal"), "would stay in clear for 400 days", "drop"),
    (API_KEY, API_KEY.replace("operational", "secret"), "class `secret` is never stored", "drop"),
    (API_KEY, API_KEY.replace("operational", "content"), "class `content` is never stored", "drop"),
    (MESSAGE, MESSAGE.replace("seal", "keep"), "cannot have action `keep`", "`seal`"),
    (MESSAGE, MESSAGE.replace("personal", "operational"), "keys of class `personal`", 'class = "personal"'),
    ('"Call.user" = { class = "personal", action = "hash"', '"Call.user" = { class = "personal", action = "seal"',
     "cannot have action `seal`", "`hash`"),
    ('"CallError.type" = { class = "operational", action = "keep"',
     '"CallError.type" = { class = "operational", action = "drop"', "an error record cannot be kept", "all of"),
    (ROW_AMOUNT, ROW_AMOUNT.replace("keep", "drop"), "is made from `Call.amount`", "drop that"),
    ('default_tier = "standard"', 'default_tier = "gold"', "there is no tier `gold`", "`standard`"),
    ("national_ids = []", 'national_ids = ["gb-nsh"]', "`gb-nsh` is no national id", "did you mean `gb-nhs`?"),
    ("national_ids = []", 'nationals = ["gb-nhs"]', "`nationals`: is not a key", "did you mean `national_ids`?"),
    ("number = 1", "number = 100", "`100` is out of bounds", "1 to 99"),
    ("call = 400", "call = 0", "`0` is out of bounds", ""),
    ("call = 400", "call = -1", "`-1` is out of bounds", ""),
    ("usage_quarter = 400", "usage_quarter = 399", "`usage_quarter` must be kept as long as `call`", "= 400"),
    ("usage_day = 2557", "usage_day = 399", "sums would be gone before their calls", "lengthen"),
    ("call_error = 30", "call_error = 401", "an error cannot outlive its call", "shorten"),
    (", usage_day = 2557", "", "store `usage_day` has no window", "usage_day = DAYS"),
    ("{ personal = 30 }", "{ billing = 400 }", "class `personal` has no window", "personal = DAYS"),
    ("{ personal = 30 }", "{ personal = 30, secret = 9 }", "class `secret` is never stored", "leave it out"),
    ("{ personal = 30 }", "{ personal = 30, operational = 90 }", "would stay in clear for 400 days", "windows equal"),
    ("{ personal = 30 }", "{ personal = 9000 }", "readable for longer than anything is kept", "at most 2557"),
    (TEMPERATURE, 'temperature = { type = "number", min = 0 }',
     "`max` is missing", "write a number"),
    (TEMPERATURE, 'temperature = { type = "number", min = 0, max = inf }',
     "must be finite", ""),
    (TEMPERATURE, 'temperature = { type = "number", min = 2, max = 1 }',
     "`min` is above `max`", "no value"),
    (TEMPERATURE, "temperature = { min = 0, max = 1 }", "`type` is missing", ""),
    (TEMPERATURE, "temperature = {}", "`type` is missing", "`number`"),
    (MODEL_NAME, 'model = { type = "text" }', "`max_length` is missing", ""),
    (MODEL_NAME, 'model = { type = "text", max_length = 100000 }', "out of bounds", ""),
    (MODEL_NAME, 'model = { type = "text", max_length = 9, pattern = "[a-z]+" }',
     "repeats without a bound", "`{1,40}`"),
    (MODEL_NAME, 'model = { type = "text", max_length = 9, pattern = "a{2,}" }',
     "repeats without a bound", "`{1,40}`"),
    (MODEL_NAME, 'model = { type = "text", max_length = 9, pattern = "(?=a)" }',
     "is not an RE2 pattern", "look-around"),
    ('"response_format.type" = ', '"response_format..type" = ', "is not a path", "`tools[].type`"),
    ('messages = { action = "shape" }', 'messages = { action = "keep" }', "must be `shape`", "dropped"),
    ('messages = { action = "shape" }', 'messages = { action = "shape" }\n"messages[].role" = { type = "boolean" }',
     "is never reached", "leave one"),
    ('"team", "project", "environment", "application"', '"teams", "project"', "`teams` is never stored", "`keys`"),
    ('"team", "project", "environment", "env"', '"te am"', "cannot be a tag", "write 1 to 64"),
    ('see = ["operational", "billing"]', 'see = ["operational", "personal"]', "every personal field", "Call.user"),
    ('see = ["operational", "billing"]', 'see = ["operational", "content"]', "never stored", "leave it out"),
    ('see = ["operational", "billing"]', 'see = ["*"]', "`*` is not known", "`operational`"),
    ('mask = ["personal"]', 'mask = ["personal", "billing"]', "both seen and masked", "leave one"),
    ('mask = ["personal"]', 'mask = ["personal", "personal"]', "names something twice", ""),
    (USER_SEEN, '"Call.*" = "see"', "is a pattern", "name each field"),
    (USER_SEEN, '"Call.usr" = "see"', "is not a field", "did you mean `Call.user`?"),
    (USER_SEEN, '"Call.user" = "clear"', "`clear` is not known", "`masked`"),
    (USER_SEEN, '"CallError.message" = "see"', "is sealed", "revealError"),
    (USER_SEEN, '"Call.apiKey" = "denied"\n"CostKey.apiKey" = "see"', "is never reached", "`Call.apiKey`"),
    ("[roles.viewer.fields]", "[roles.viewr]\n[roles.viewer.fields]", "is not a key", "did you mean `viewer`?"),
    ('ask = ["viewer"]', 'ask = ["viewer", "calls"]', "role `ingest` may never ask `calls`", "`viewer`"),
    ('ask = ["viewer"]', 'ask = ["viewr"]', "`viewr` is no root field", "did you mean `viewer`?"),
    ('ask = ["viewer"]', 'ask = ["viewer"]\nsee = ["operational"]', "is never shown call data", "another role"),
    ('ask = ["viewer"]', 'ask = ["viewer"]\nplain_user_filter = true', "may never filter by a user's plain id", ""),
    ('name = "default"', "name = default", "this is not TOML", "line 7"),
    ('name = "default"', 'name = ""', "must have 1 to 100 characters", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason", "way_out"), REFUSALS, ids=[new[:50] for _, new, _, _ in REFUSALS])
def test_what_is_not_understood_is_refused(old: str, new: str, reason: str, way_out: str) -> None:
    """Each mistake is refused with its reason and with what to write instead."""
    message = str(refused(old, new))

    assert reason in message
    assert way_out in message


def test_a_refusal_says_where() -> None:
    """The error names line, table and key."""
    line = DEFAULT.splitlines().index(MODEL) + 1

    error = refused(MODEL, MODEL.replace('action = "keep"', 'action = "hold"'))

    assert error.line == line
    assert str(error).startswith(f"line {line}, [fields.Call.model] `action`: `hold` is not known")


def test_two_tiers_cannot_share_a_number() -> None:
    """Rows carry the number: it tells tiers apart."""
    second = DEFAULT[DEFAULT.index("[tiers.standard]") : DEFAULT.index("# Reports calls")].replace("standard", "gold")

    with pytest.raises(PolicyDocumentError, match="tier `standard` has the same number"):
        parse(DEFAULT + "\n" + second)

    assert set(parse(DEFAULT + "\n" + second.replace("number = 1", "number = 2")).tiers) == {"standard", "gold"}


@pytest.mark.parametrize("text", ["", "[", "\x00", "fields = 1", "a = " + "[" * 5000, "#" * 300_000])
def test_garbage_is_refused(text: str) -> None:
    """Whatever the text is, the answer is a policy or a PolicyDocumentError."""
    with pytest.raises(PolicyDocumentError):
        parse(text)


def test_an_enum_takes_only_words() -> None:
    """An escaped or bracketed star is not a repetition, so the pattern is bounded."""
    policy = parse(DEFAULT.replace("max_length = 200 }", r'max_length = 9, pattern = "[*+]\\+{0,3}" }', 1))

    assert policy.parameters["model"].pattern == r"[*+]\+{0,3}"


def test_every_role_is_in_the_default() -> None:
    """The default policy says something of every role."""
    assert set(load_preset("default").roles) == set(Role)


def test_a_policy_of_another_version_means_what_it_meant() -> None:
    """What came later is dropped, shown to no role and filtered by nobody; what is gone means nothing; all else holds.
    Its canonical text is the one that was applied.
    """
    lines = canonical(load_preset("default")).decode()
    entry = next(line for line in lines.splitlines() if line.startswith('"Call.traceId"'))
    text = lines.replace(entry, entry.replace("traceId", "spanName")).replace('"apiKeys"', '"allKeys"')
    text = text.replace("[roles.support.fields]\n", '[roles.support.fields]\n"Call.spanName" = "see"\n')
    with pytest.raises(PolicyDocumentError, match=r"spanName|allKeys"):
        parse(text)

    policy = parse_applied(text)
    assert unnamed(policy) == ["Call.traceId"]
    assert policy.action("Call.traceId") is Action.DROP
    default = load_preset("default")
    for role in Role:
        table = view_table(policy, role)
        assert table["Call.traceId"] is View.DENIED
        assert not filterable(policy, role, "Call.traceId")
        assert {**table, "Call.traceId": 0} == {**view_table(default, role), "Call.traceId": 0}
        assert not may_ask(policy, role, "allKeys")
    whole = completed(policy, default)
    assert whole.fields == default.fields
    assert parse(canonical(whole).decode()) == whole
    assert explain(policy, "Call.traceId").action is Action.DROP


def test_what_was_unlawful_stays_so() -> None:
    """A stored text that breaks a rule is refused whichever version wrote it: what was forged shows nothing."""
    text = canonical(load_preset("default")).decode()
    clear = text.replace('personal", action = "hash"', 'personal", action = "keep"')
    assert clear != text
    with pytest.raises(PolicyDocumentError, match=r"cannot have action"):
        parse_applied(clear)
