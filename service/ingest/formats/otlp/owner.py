"""Whose call it is: what the application says of itself, or LiteLLM of its keys; else the service that sent it."""

import re
from typing import Final

from policies.admission.report import Attributes, Report
from service.ingest.formats.figures import Object, Value, storable, text_of
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.encodings.span import Span
from service.ingest.formats.otlp.texts import first_text, object_of_text, value_of_text

_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHORT_CHARACTERS: Final = 12
# Ids that LiteLLM makes up for answers of providers that have none.
_LITELLMS_ID: Final = re.compile(r"chatcmpl-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII)
_TAGS_MAX: Final = 64
_TAG_ON: Final = "true"
_NO_SERVICE: Final = "unknown_service"
"""What SDKs fill in for a service without a name."""
_LITELLM_PREFIX: Final = "user_api_key_"


def with_metadata(attributes: Object) -> Object:
    """The attributes, with what LiteLLM says in one JSON text under the names that it has when it stands alone."""
    metadata = object_of_text(attributes.get(names.METADATA))
    if not any(name.startswith(_LITELLM_PREFIX) for name in metadata):
        return attributes
    known = {f"{names.METADATA}.{name}": value for name, value in metadata.items() if name.startswith(_LITELLM_PREFIX)}
    return {**known, **attributes}


def read_owner(span: Span, report: Report, attributes: Object) -> None:
    """Account, API key, user, and further names of persons."""
    account = first_text(attributes, names.ACCOUNT) or first_text(span.resource, names.ACCOUNT[:1])
    report.account = None if account is None else storable(names.ACCOUNT[0], account)
    report.api_key = _api_key(span, attributes)
    report.user = first_text(attributes, names.USER) or first_text(span.resource, names.USER[:2])
    persons = [text_of(attributes.get(name)) for name in names.PERSONS]
    report.persons = tuple(dict.fromkeys(text for text in persons if text and text != report.user))


def _api_key(span: Span, attributes: Object) -> str | None:
    named = first_text(attributes, names.API_KEY) or first_text(span.resource, names.API_KEY[:1])
    if named is not None:
        return named
    hashed = text_of(attributes.get(names.KEY_HASH))
    if hashed is not None:
        return f"key-{hashed[:_SHORT_CHARACTERS]}" if _KEY_HASH.fullmatch(hashed) else hashed
    service = text_of(span.resource.get(names.SERVICE))
    return None if service is None or service.startswith(_NO_SERVICE) else service


def read_belongings(span: Span, report: Report, attributes: Object) -> None:
    """Tags, and what the call belongs to."""
    hit = attributes.get(names.CACHE_HIT)
    report.attributes = Attributes(
        trace_id=span.trace_id,
        parent_span_id=span.parent_id,
        session_id=first_text(attributes, names.SESSION),
        cache_hit=hit if isinstance(hit, bool) else None,
        team=first_text(attributes, names.TEAM),
        team_id=first_text(attributes, names.TEAM_ID),
        organization=first_text(attributes, names.ORGANIZATION),
        organization_id=first_text(attributes, names.ORGANIZATION_ID),
        provider_request_id=_provider_request_id(attributes),
    )
    report.tags = _tags(span, attributes)


def _provider_request_id(attributes: Object) -> str | None:
    text = first_text(attributes, names.PROVIDER_REQUEST_ID)
    if text is None or len(text) > ID_CHARACTERS_MAX or text == attributes.get(names.LITELLM_CALL_ID):
        return None
    is_litellms = any(name.startswith("litellm.") for name in attributes) and _LITELLMS_ID.fullmatch(text)
    return None if is_litellms else text


def _tags(span: Span, attributes: Object) -> dict[str, str]:
    """`key:value` is a tag, a plain word one that is `true`; which keys are kept is the policy's affair."""
    tags: dict[str, str] = {}
    environment = first_text(attributes, names.ENVIRONMENT) or first_text(span.resource, names.ENVIRONMENT)
    if environment is not None:
        tags["environment"] = environment
    for name in names.TAGS:
        for entry in _listed(value_of_text(attributes.get(name))):
            key, _, value = (text_of(entry) or "").partition(":")
            tags.setdefault(key.strip(), value.strip() or _TAG_ON)
    start = len(names.PROPERTIES)
    for name, value in attributes.items():
        if name.startswith(names.PROPERTIES) and name not in names.READ and (text := text_of(value)) is not None:
            tags.setdefault(name[start:], text)
    tags.pop("", None)
    return dict(list(tags.items())[:_TAGS_MAX])


def _listed(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
