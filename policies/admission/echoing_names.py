"""What a failed call echoes of its own content in its names -> the names without it.

Source id, account and model stay: by them a call is found and billed. So does whatever has the form of a name, unless
it is a sentence of the content.
"""

from typing import Final

from policies.admission.admitted import Admitted
from policies.admission.clear_text import WITHHELD, count
from policies.redaction import ContentIndex
from policies.redaction.echoes.identifiers import is_model
from policies.redaction.text import bounded

_JOINING: Final = ("trace_id", "parent_span_id", "session_id", "provider_request_id")
_LABELS: Final = ("deployment", "team", "team_id", "organization", "organization_id", "normalized_error")
_NAME_CHARS_MAX: Final = 200
_CHARS_MAX: Final = {"api_key": 200, "served_model": 200, "provider": 100, "operation": 100}


def hide_echoes(admitted: "Admitted", content: ContentIndex | None) -> None:
    """Put marks for echoes into the names of `admitted`, a failed call. Ids that only join calls are dropped whole.

    Without `content` only names that have the form of one stay. Never raises: what fails is not kept.
    """
    if content is not None and content.is_empty:
        return
    removed = admitted.removed
    for name, limit in _CHARS_MAX.items():
        if text := getattr(admitted, name):
            setattr(admitted, name, _without_echoes(text, content, name, limit, removed))
    admitted.tags = {
        key: _without_echoes(value, content, "tag", _NAME_CHARS_MAX, removed) for key, value in admitted.tags.items()
    }
    attributes = admitted.attributes
    if attributes is None:
        return
    for name in (*_JOINING, *_LABELS):
        text = getattr(attributes, name)
        if not text:
            continue
        shown = _without_echoes(text, content, name, _NAME_CHARS_MAX, removed)
        if shown != text:
            setattr(attributes, name, None if name in _JOINING else shown)


def _without_echoes(text: str, content: ContentIndex | None, name: str, limit: int, removed: dict[str, int]) -> str:
    try:
        shown = content.masked_label(text) if content is not None else text if is_model(text) else WITHHELD
    except Exception:  # whatever failed, the text may be the content
        shown = WITHHELD
    if shown == text:
        return text
    count(removed, name)
    return bounded(shown, limit)
