"""Which model was asked for and which one answered, by names that do not change with the path that a call took."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from service.ingest.formats.figures import inside, storable, text_of
from service.ingest.formats.litellm.payload import Payload
from service.ingest.formats.litellm.response import Response

NO_MODEL: Final = "none"
"""Stands for the model of a call that has none, such as the reading of a file."""

SEVERAL_MODELS: Final = "several"
"""Stands for the model of a batch whose requests went to more than one."""

# Names of one provider under which its models are written too.
_ALIASES: Final[Mapping[str, str]] = {
    "text-completion-openai": "openai",
    "azure_text": "azure",
    "anthropic_text": "anthropic",
    "vertex_ai_beta": "vertex_ai",
    "cohere_chat": "cohere",
    "ollama_chat": "ollama",
    "bedrock_converse": "bedrock",
    "sagemaker_chat": "sagemaker",
    "text-completion-codestral": "codestral",
}
# Ways to one model, not models.
_ROUTES: Final = frozenset(("converse", "converse_like", "invoke", "responses", "chat", "completion"))


@lru_cache(maxsize=4096)
def bare_model(model: str, provider: str | None) -> str:
    """`openai/gpt-4o` of the provider `openai` is `gpt-4o`; what another provider's gateway names stays as it is."""
    prefixes = {provider, _ALIASES.get(provider or "")}
    head, slash, rest = model.partition("/")
    if slash and rest and head in prefixes:
        model = rest
        head, slash, rest = model.partition("/")
    return rest if slash and rest and head in _ROUTES else model


def served_model(payload: Payload, provider: str | None) -> str | None:
    """The model that answered.

    `litellm_model_name` is not asked first: it is missing from streams, and names the one that failed after a fallback.
    """
    model = _model(payload) or text_of(payload.hidden.get("litellm_model_name"))
    if model is not None and model == payload.text("id"):
        return None
    return bare_model(model, provider) if model else None


def asked_model(payload: Payload, provider: str | None, response: Response) -> str:
    """The model that was asked for: the group of the router, else what LiteLLM or the answer says, else NO_MODEL.

    RowError for a name that cannot be stored as it came.
    """
    group = payload.text("model_group")
    if group:
        return storable("model_group", group)
    model = _model(payload)
    if model:
        return storable("model", bare_model(model, provider))
    named = _models_of_batch(payload)
    if len(named) > 1:
        return SEVERAL_MODELS
    found = next(iter(named), None) or response.model
    found = found or text_of(inside(payload.value("model_map_information"), "model_map_key"))
    return storable("model", bare_model(found, provider)) if found else NO_MODEL


def _model(payload: Payload) -> str | None:
    """The field `model`; LiteLLM puts the id of a batch there that it was asked for without a name."""
    model = payload.text("model")
    return None if model is None or model == payload.text("id") else model


def _models_of_batch(payload: Payload) -> list[str]:
    """The models of a batch, each once."""
    used = inside(payload.metadata, "usage_object", "batch_usage_by_model")
    listed = list(used) if isinstance(used, dict) else payload.hidden.get("batch_models")
    texts = [text_of(name) for name in listed] if isinstance(listed, list) else []
    return list(dict.fromkeys(text for text in texts if text and text != payload.text("id")))
