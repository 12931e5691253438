"""Sealing and opening the details of one error: packed segments, key derivation, AES-256-GCM, commitment, padding.

In one process, as the writer and the reader do it: microseconds of CPU a record, the quietest of ten batches.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from benchmarks.bars import Figure, conclude
from benchmarks.harness.options import parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import machine
from policies.admission.segments import ErrorDetails, Parameter, ParameterAction, pack_segments, unpack_segments
from policies.envelope import SALT_BYTES, DataKey, SealContext, open_sealed, seal

_ADVICE: Final = (
    " should try again in 3.1s. Visit the account's rate limits page to learn more. No fallback model group was found "
    "for the original model group gpt-4o, LiteLLM retried 2 times, deployment in eastus2."
)
DETAILS: Final = ErrorDetails(
    (
        "litellm.RateLimitError: OpenAIException - Rate limit reached for gpt-4o in organization ",
        ("provider_organisation", None),
        " on tokens per min (TPM): Limit 30000, Used 28811, Requested 2740. User ",
        ("email", "jane.doe@example.com"),
        _ADVICE,
    ),
    {
        "max_tokens": Parameter(ParameterAction.KEPT, ("1024",)),
        "temperature": Parameter(ParameterAction.KEPT, ("0.2",)),
    },
)


def _us(work: Callable[[], object], rounds: int) -> float:
    """The quietest of ten batches. The clock is read once a batch: reading it takes as long as half of a seal."""
    taken = []
    for _ in range(10):
        begin = time.thread_time_ns()
        for _ in range(rounds):
            work()
        taken.append((time.thread_time_ns() - begin) / 1e3 / rounds)
    return min(taken)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__).parse_args(arguments)
    rounds = 500 if chosen.quick else 5_000
    say(machine())
    key, context = DataKey(os.urandom(32)), SealContext(1, "call_error", uuid4().bytes, "2026-11-22", "personal")
    packed = pack_segments(DETAILS)
    sealed = seal(packed, data_key=key, context=context, salt=os.urandom(SALT_BYTES))
    steps = {
        "pack the segments": lambda: pack_segments(DETAILS),
        "seal": lambda: seal(packed, data_key=key, context=context, salt=os.urandom(SALT_BYTES)),
        "open": lambda: open_sealed(sealed, data_key=key, context=context),
        "unpack the segments": lambda: unpack_segments(packed),
    }
    times = {name: _us(step, rounds) for name, step in steps.items()}
    for name, taken in times.items():
        print(f"{name:24} {taken:7.2f} us")
    print(f"{len(packed)} bytes packed, {len(sealed)} sealed")
    both = times["seal"] + times["open"]
    note = f"with segments packed and unpacked {sum(times.values()):.1f}"
    return conclude([Figure("seal/both", both, note)], times, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
