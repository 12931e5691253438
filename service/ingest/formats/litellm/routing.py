"""What a call belongs to and how LiteLLM routed it."""

import re
from typing import Final

from policies.admission.report import Attributes, Report
from service.ingest.formats.figures import Object, Value, text_of
from service.ingest.formats.litellm.payload import Payload
from service.ingest.formats.native.attributes import ATTEMPT_MAX
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX

_NOTHING: Final = Attributes()
_NO_HEADERS: Final[Object] = {}
_RETRIES: Final = "x-litellm-attempted-retries"
_FALLBACKS: Final = "x-litellm-attempted-fallbacks"
_ATTEMPTED: Final = ("attempted_retries", "attempted_fallbacks")
# LiteLLM makes ids of answers for providers that have none in its form.
_LITELLMS_ID: Final = re.compile(r"chatcmpl-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
# How providers call the id of a request, the most specific first.
_REQUEST_IDS: Final = tuple(
    f"{prefix}{name}"
    for name in ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id", "cf-ray")
    for prefix in ("llm-provider-", "")
)


def read_routing(payload: Payload, report: Report) -> Attributes | None:
    """The attributes of a call, without its units; None for none."""
    error: Object = payload.object("error_information") if report.failed else {}
    headers = _headers(payload)
    team_id, organization_id = _label(payload, "user_api_key_team_id"), _label(payload, "user_api_key_org_id")
    alias, bare_alias = _label(payload, "user_api_key_team_alias"), _label(payload, "team_alias")
    attributes = Attributes(
        trace_id=payload.text("trace_id", ID_CHARACTERS_MAX),
        session_id=payload.text("session_id", ID_CHARACTERS_MAX),
        attempt=_attempt(payload, headers),
        cache_hit=payload.flag("cache_hit"),
        deployment=payload.text("model_id") or text_of(payload.hidden.get("model_id")),
        team=alias or team_id or bare_alias,
        team_id=team_id,
        organization_id=organization_id,
        organization=_label(payload, "user_api_key_org_alias") or organization_id,
        normalized_error=text_of(error.get("normalized_error")),
        provider_request_id=_provider_request_id(payload, report, headers, error.get("error_provider_request_id")),
    )
    return None if attributes == _NOTHING else attributes


def _first(*values: Value) -> str | None:
    return next((text for value in values if (text := text_of(value)) is not None), None)


def _label(payload: Payload, name: str) -> str | None:
    """A name in the metadata."""
    value = payload.metadata.get(name)
    return None if value is None else payload.noted_text(name, value)


def _headers(payload: Payload) -> Object:
    headers = payload.hidden.get("additional_headers")
    if not isinstance(headers, dict) or not headers:
        return _NO_HEADERS
    return {name.lower().replace("_", "-"): value for name, value in headers.items()}


def _attempt(payload: Payload, headers: Object) -> int | None:
    """1 and the retries and fallbacks before it; None where LiteLLM says neither, as of most attempts that failed."""
    before = _counts(payload, headers, (_RETRIES, _FALLBACKS)) if headers else []
    before = before or _counts(payload, payload.metadata, _ATTEMPTED)
    return min(1 + sum(before), ATTEMPT_MAX) if before else None


def _counts(payload: Payload, values: Object, names: tuple[str, str]) -> list[int]:
    """Those of two counts that are there."""
    found = [_count(payload, value) for name in names if (value := values.get(name)) is not None]
    return [count for count in found if count is not None]


def _count(payload: Payload, value: Value) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 6:
        value = int(value)
    return payload.count("attempted_retries", value)


def _provider_request_id(payload: Payload, report: Report, headers: Object, reported: Value) -> str | None:
    """The provider's own id: of the request where a header has it, else of the answer."""
    if payload.value("cache_hit") is True:
        return None
    found = _first(reported)
    if found is None and headers:
        found = _first(*(headers[name] for name in _REQUEST_IDS if name in headers))
    answer = payload.text("id", ID_CHARACTERS_MAX)
    if found is None and answer is not None and not _LITELLMS_ID.fullmatch(answer):
        found = answer if answer not in (report.source_id, payload.text("litellm_call_id")) else None
    return found
