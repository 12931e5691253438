"""Laws of sealing, of pseudonyms and of segments."""

from dataclasses import replace
from datetime import date

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.admission.segments import (
    ErrorDetails,
    Parameter,
    ParameterAction,
    masked,
    pack_segments,
    revealed,
    unpack_segments,
)
from policies.envelope import DataKey, OpenError, SealContext, open_sealed, open_with_record_key, record_key, seal
from policies.pseudonym import outward, parse

SECRETS = st.binary(min_size=32, max_size=32)
KEYS = SECRETS.map(DataKey)
SALTS = st.binary(min_size=24, max_size=24)
NAMES = st.text(st.characters(max_codepoint=127), min_size=1, max_size=20)
CONTEXTS = st.builds(
    SealContext,
    account=st.integers(0, 2**63 - 1),
    store=NAMES,
    record=st.binary(min_size=16, max_size=16),
    period=NAMES,
    data_class=NAMES,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
RULES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
SEGMENTS = st.lists(TEXTS | st.tuples(RULES, st.none() | TEXTS), max_size=6).map(tuple)
PARAMETERS = st.builds(Parameter, st.sampled_from(ParameterAction), st.none() | SEGMENTS)
DETAILS = st.builds(ErrorDetails, st.none() | SEGMENTS, st.dictionaries(TEXTS, PARAMETERS, max_size=4))
PERIODS = st.dates().map(date.isoformat) | st.dates().map(lambda day: day.isoformat()[:7])


@given(st.binary(max_size=300), KEYS, CONTEXTS, SALTS)
def test_opens_what_it_sealed(plaintext: bytes, key: DataKey, context: SealContext, salt: bytes) -> None:
    """open(seal(x)) is x, by data key and by record key."""
    sealed = seal(plaintext, data_key=key, context=context, salt=salt)

    assert plaintext == open_sealed(sealed, data_key=key, context=context)
    kept = record_key(sealed, data_key=key, context=context)
    assert plaintext == open_with_record_key(sealed, record_key=kept, context=context)


@given(SECRETS, st.binary(max_size=300))
def test_expands_as_the_library(secret: bytes, info: bytes) -> None:
    """What a data key is expanded to is HKDF-Expand of RFC 5869, as the library has it."""
    assert DataKey(secret).expand(info) == HKDFExpand(SHA256(), 64, info).derive(secret)


@given(KEYS, CONTEXTS, CONTEXTS, SALTS)
def test_other_context_refused(key: DataKey, context: SealContext, other: SealContext, salt: bytes) -> None:
    """A value opens in its own context and in no other."""
    assume(context != other)
    sealed = seal(b"text", data_key=key, context=context, salt=salt)

    with pytest.raises(OpenError):
        open_sealed(sealed, data_key=key, context=other)


@given(CONTEXTS, st.sampled_from(["store", "period", "data_class"]), st.sampled_from(["store", "period", "data_class"]))
def test_shifted_names_differ(context: SealContext, source: str, target: str) -> None:
    """Moving a character from one field to the next changes its bytes: it is no plain join."""
    assume(source != target and len(getattr(context, source)) > 1)
    moved = getattr(context, source)[0]
    changes = {source: getattr(context, source)[1:], target: getattr(context, target) + moved}

    assert context.encode() != replace(context, **changes).encode()


@given(KEYS, CONTEXTS, SALTS, st.binary(max_size=200), st.data())
def test_any_damage_refused(
    key: DataKey, context: SealContext, salt: bytes, plaintext: bytes, data: st.DataObject
) -> None:
    """A sealed value with any byte changed, or any length, is refused with OpenError and nothing else."""
    sealed = seal(plaintext, data_key=key, context=context, salt=salt)
    at = data.draw(st.integers(0, len(sealed) - 1))
    damaged = data.draw(
        st.sampled_from([sealed[:at], sealed[at + 1 :], sealed[:at] + sealed[at + 1 :], sealed + sealed[: at + 1]])
        | st.integers(1, 255).map(lambda mask: sealed[:at] + bytes([sealed[at] ^ mask]) + sealed[at + 1 :])
    )

    with pytest.raises(OpenError):
        open_sealed(damaged, data_key=key, context=context)


@given(st.binary(max_size=300), KEYS, CONTEXTS)
def test_garbage_refused(garbage: bytes, key: DataKey, context: SealContext) -> None:
    """Whatever bytes lie in the database, opening them gives OpenError and never anything else."""
    with pytest.raises(OpenError):
        open_sealed(b"\x01" + garbage, data_key=key, context=context)


@given(st.binary(max_size=400), KEYS, CONTEXTS, SALTS)
def test_length_in_steps(plaintext: bytes, key: DataKey, context: SealContext, salt: bytes) -> None:
    """A sealed value tells the length of its text to 64 bytes."""
    sealed = seal(plaintext, data_key=key, context=context, salt=salt)

    assert len(sealed) == 137 + (len(plaintext) + 3) // 64 * 64


@given(st.integers(-(2**63), 2**63 - 1), PERIODS)
def test_outward_round_trip(token: int, period: str) -> None:
    """parse(outward(x)) is x, and the form hides the token's digits and the period."""
    form = outward(token, period)

    assert (token, period) == parse(form)
    assert period not in form


@given(DETAILS)
def test_segments_round_trip(details: ErrorDetails) -> None:
    """unpack(pack(x)) is x, and packing that again gives the same bytes."""
    packed = pack_segments(details)

    assert details == unpack_segments(packed)
    assert packed == pack_segments(unpack_segments(packed))


@given(SEGMENTS, st.text(st.characters(categories=["Lu"]), min_size=3, max_size=9))
def test_masked_tells_nothing(segments: tuple[str | tuple[str, str | None], ...], hidden: str) -> None:
    """Whatever lies in a span, the masked view is the same."""
    other = tuple(part if isinstance(part, str) else (part[0], hidden) for part in segments)

    assert masked(segments) == masked(other)


@given(st.lists(TEXTS, max_size=5))
def test_clear_text_reads_once(parts: list[str]) -> None:
    """Text without spans reads the same in both views."""
    assert masked(parts) == revealed(parts) == "".join(parts)
