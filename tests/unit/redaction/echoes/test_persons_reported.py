"""Where gateways name a person: users, parameters and the fields of LiteLLM and of our own format."""
# full-width letters and other scripts are what is looked for

import json
from typing import Any

import pytest
from naming_persons import BUDGET, DEFAULT, MARK, USER, failed, message_of, native, stored

from policies import Report
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.native.reader import read_row


def test_parameters_name_the_user_too() -> None:
    """The user that the client sent is a person's id, whoever the gateway says it was."""
    admitted = DEFAULT.admit(failed("no budget for kay-9 and jo-8", error={
        "parameters": {"user": "kay-9", "metadata": {"user_id": "jo-8"}, "model": "ft:kay-9"},
    }))  # fmt: skip

    assert message_of(admitted) == f"no budget for {MARK} and {MARK}"
    assert b"kay-9" in ((admitted.error and admitted.error.blob) or b"")  # under seal
    assert "kay-9" not in stored(admitted)


def test_the_native_format_cuts_it() -> None:
    """As a gateway posts it, and with the user's id in the text as LiteLLM writes it."""
    row = {
        "id": "req-1", "started_at": "2026-11-22T10:00:00Z", "model": "gpt-4o", "status": "failed", "user": USER,
        "tags": {"team": USER},
        "error": {"type": f"UserBudgetExceeded {USER}", "code": f"budget:{USER}", "message": BUDGET},
    }  # fmt: skip

    report = read_row(json.dumps(row).encode())

    assert isinstance(report, Report)
    assert "7741" not in stored(DEFAULT.admit(report))


@pytest.mark.parametrize(
    "named",
    [
        {"end_user": USER},
        {"metadata": {"user_api_key_end_user_id": USER}},
        {"metadata": {"user_api_key_user_id": USER}},
        {"end_user": "someone", "metadata": {"user_api_key_user_id": USER}},
        {"end_user": "someone", "model_parameters": {"user": USER}},
        {"end_user": "someone", "metadata": {"user_api_key_user_email": USER}},
    ],
)
def test_all_that_litellm_says_of_a_person_is_cut(named: dict[str, Any]) -> None:
    """The end user, the key's owner, and the user parameter: each is a person, whichever the call is booked on."""
    entry = {
        "id": "chatcmpl-1", "litellm_call_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "status": "failure",
        "startTime": 1795341600.1, "endTime": 1795341600.2, "model": "gpt-4o", "request_tags": [f"team:{USER}"],
        "error_information": {"error_class": "BudgetExceededError", "error_code": "400", "error_message": BUDGET},
        "error_str": BUDGET,
    } | named  # fmt: skip

    report = read_entry(json.dumps(entry).encode())

    assert isinstance(report, Report)
    admitted = DEFAULT.admit(report)
    assert "7741" not in stored(admitted)
    assert f"End User={MARK} over budget" in message_of(admitted)


def naming(name: str) -> dict[str, Any]:
    """Fields that repeat a person's id."""
    return {
        "error": {"type": f"over {name}", "code": f"user_{name}", "message": f"user {name} is over budget"},
        "normalized_error": f"user {name}",
        "tags": {"team": name},
    }


def test_a_numbered_user_is_a_user() -> None:
    """Gateways that number their users mean what others write as text."""
    admitted = native(user=4417739, **naming("4417739"))

    assert admitted.user == "4417739"
    assert "4417739" not in stored(admitted)


@pytest.mark.parametrize("user", [["petra-kvitova-1"], {"id": "petra-kvitova-1"}, "petra-\0kvitova-1"])
def test_a_user_that_cannot_be_stored_is_looked_for(user: Any) -> None:
    """Whatever its form: what stands under `user` names a person."""
    admitted = native(user=user, **naming("petra-kvitova-1"))

    assert admitted.user is None
    assert "petra" not in stored(admitted)


@pytest.mark.parametrize("field", ["user_id", "end_user", "user_email", "customer", "username"])
def test_other_names_of_the_user_are_known(field: str) -> None:
    """A field that is not stored, and that names a person by its own name, is looked for."""
    assert "petra" not in stored(native(**{field: "petra-kvitova-1"}, **naming("petra-kvitova-1")))


@pytest.mark.parametrize(
    "fields",
    [
        {"error_information": {"error_budget_entity_type": "end_user", "error_budget_entity_id": "petra-kvitova-1"}},
        {"model_parameters": {"metadata": {"user_id": "petra-kvitova-1"}}},
        {"model_parameters": {"extra_body": {"user": "petra-kvitova-1"}}},
        {"metadata": {"requester_metadata": {"user_id": "petra-kvitova-1"}}},
    ],
)
def test_litellm_names_persons_in_many_fields(fields: dict[str, Any]) -> None:
    """The owner of a budget, Anthropic's metadata and a requester's own are persons like `end_user`."""
    said = {"error_class": "over petra-kvitova-1", "error_code": "petra-kvitova-1", "error_message": "petra-kvitova-1"}
    entry = {
        "litellm_call_id": "c-1", "status": "failure", "startTime": 1795000000.0, "model": "gpt-4o", "messages": [],
        "call_type": "acompletion",
    }  # fmt: skip
    fields = fields | {"error_information": said | fields.get("error_information", {})}
    report = read_entry(json.dumps(entry | fields).encode())
    assert isinstance(report, Report)

    assert "petra" not in stored(DEFAULT.admit(report))


def test_names_of_units_name_nobody() -> None:
    """A unit under a person's name, or under a credential, is left out and counted; the others stay."""
    units = {"images": 2, "marta_oberhuber_88": 2, "ghp_" + "a1b2c3d4e5f6" * 3: 2}
    admitted = native(user="marta_oberhuber_88", units=units, **naming("somebody else"))

    assert admitted.attributes is not None
    assert admitted.attributes.units == {"images": 2}
    assert admitted.removed["units"] == 2
