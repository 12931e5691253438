"""A gateway: the real LiteLLM, making calls and reporting them with its `generic_api` callback.

Run by LiteLLM's own Python, not collected as a test. Prints one JSON line a call: what LiteLLM itself says of it.

    python litellm_gateway.py ENDPOINT KEY CANARY
"""

import asyncio
import json
import sys

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

FIELDS = (
    "litellm_call_id",
    "id",
    "status",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "custom_llm_provider",
    "stream",
)


class Witness(CustomLogger):
    """Keeps what LiteLLM hands to every callback."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict] = []

    def _keep(self, kwargs: dict) -> None:
        payload = kwargs["standard_logging_object"]
        seen = {name: payload.get(name) for name in FIELDS}
        seen["response_cost"] = repr(payload.get("response_cost"))
        seen["error_class"] = (payload.get("error_information") or {}).get("error_class")
        self.seen.append(seen)

    async def async_log_success_event(self, kwargs: dict, **_: object) -> None:
        self._keep(kwargs)

    async def async_log_failure_event(self, kwargs: dict, **_: object) -> None:
        self._keep(kwargs)


async def call(canary: str, *, stream: bool = False, **options: object) -> None:
    messages = [{"role": "user", "content": f"prompt {canary} asks for the recipe of the house"}]
    try:
        answer = await litellm.acompletion(messages=messages, stream=stream, temperature=0.25, max_tokens=64, **options)
        if stream:
            async for _ in answer:
                pass
    except Exception as error:  # a failed call is what is wanted here
        sys.stderr.write(f"{type(error).__name__}\n")


async def main(endpoint: str, key: str, canary: str) -> None:
    witness = Witness()
    reporter = GenericAPILogger(endpoint=endpoint, headers={"Authorization": f"Bearer {key}"}, max_retries=4)
    litellm.callbacks = [witness, reporter]
    answer = f"answer {canary} says a word about it"
    await call(canary, model="gpt-4o", mock_response=answer)
    await call(canary, model="gpt-4o-mini", mock_response=answer, user=f"user-{canary}")
    await call(canary, model="gpt-4.1-nano", mock_response=answer, stream=True)
    await call(canary, model="gpt-4o", mock_response="litellm.RateLimitError")
    await call(canary, model="gpt-4o", mock_response="litellm.ContextWindowExceededError")
    await call(canary, model="gpt-4o", mock_response=RuntimeError(f"prompt {canary} asks for the recipe of the house"))
    await call(canary, model="openai/gpt-4o", api_base="http://127.0.0.1:9", api_key=f"sk-{canary}", num_retries=0)
    # The witness and the reporter are fed by the same queue: once all calls are seen, all are on their way.
    for _ in range(100):
        if len(witness.seen) == 7:
            break
        await asyncio.sleep(0.1)
    await reporter.flush_queue()
    for seen in witness.seen:
        sys.stdout.write(json.dumps(seen) + "\n")


asyncio.run(main(*sys.argv[1:]))
