"""Whose call it is, as LiteLLM's proxy knows it."""

import re
from typing import Final

from policies.admission.report import Report
from service.ingest.formats.figures import any_length_text, storable, text_of
from service.ingest.formats.litellm.payload import Payload

# What LiteLLM knows of a key in place of the key itself.
_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHORT_CHARACTERS: Final = 12


def read_owner(payload: Payload, report: Report) -> None:
    """Account, API key and user. The account is the organization's id, without one the team's."""
    data = payload.metadata
    # Where one of them is at fault, the message names that one.
    for name in ("user_api_key_org_id", "user_api_key_team_id"):
        if account := any_length_text(data.get(name)):
            report.account = storable(name, account)
            break
    report.api_key = _api_key(payload)
    report.user = (
        payload.text("end_user")
        or text_of(data.get("user_api_key_end_user_id"))
        or text_of(data.get("user_api_key_user_id"))
        or text_of(payload.parameters.get("user"))
    )


def _api_key(payload: Payload) -> str | None:
    """The key's alias; without one `key-` and the beginning of its hash, by which LiteLLM's tables find it.

    48 bits tell keys apart; all 256 would have to be taken for a secret.
    """
    data = payload.metadata
    alias = payload.noted_text("user_api_key_alias", data.get("user_api_key_alias"))
    if alias is not None:
        return alias
    hashed = text_of(data.get("user_api_key_hash"))
    if hashed is not None and _KEY_HASH.fullmatch(hashed):
        return f"key-{hashed[:_SHORT_CHARACTERS]}"
    return hashed
