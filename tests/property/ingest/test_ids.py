"""Laws of ids: they are functions of the call, carry its time, and cannot be guessed into being."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import call_uuid

from service.storage.ids import (
    CallKey,
    ErrorKey,
    IdError,
    decode_call_id,
    decode_error_id,
    encode_call_id,
    encode_call_ids,
    encode_error_id,
    encode_raw_ids,
    from_milliseconds,
    uuid_time,
)
from service.storage.sources import SOURCE_NUMBERS

accounts = st.integers(1, 2**31 - 1)
sources = st.sampled_from(list(SOURCE_NUMBERS))
moments = st.integers(0, 4_102_444_800_000).map(from_milliseconds)
source_ids = st.text(min_size=1, max_size=50)


@given(accounts, sources, source_ids, moments)
def test_the_same_call_has_the_same_id_and_the_id_its_time(
    account: int, source: str, source_id: str, moment: datetime
) -> None:
    """A retry computes the same UUIDv8, and the UUID alone tells the partition."""
    uuid = call_uuid(account, source, source_id, moment)

    assert uuid == call_uuid(account, source, source_id, moment)
    assert uuid_time(uuid) == moment
    assert (uuid.version, uuid.variant) == (8, RFC_4122)


@given(accounts, sources, source_ids, moments)
def test_any_other_call_has_another_id(account: int, source: str, source_id: str, moment: datetime) -> None:
    """Account, source, source id and millisecond are each part of the identity."""
    uuid = call_uuid(account, source, source_id, moment)

    assert uuid != call_uuid(account + 1, source, source_id, moment)
    assert uuid != call_uuid(account, source + "x", source_id, moment)
    assert uuid != call_uuid(account, source, source_id + "x", moment)
    assert uuid != call_uuid(account, source, source_id, moment + timedelta(milliseconds=1))


def test_ids_are_the_same_for_ever() -> None:
    """Known calls keep their ids, or retries would be stored again: as bytes of the identity are laid out today."""
    moment = datetime(2026, 11, 22, 10, 0, 0, 123_999, tzinfo=UTC)

    assert str(call_uuid(7, "native", "req-8f2", moment)) == "01a202b2-c57b-8046-9a59-5bf1878f8a9f"
    assert str(call_uuid(7, "litellm", "\ud83d\u00fc", moment)) == "01a202b2-c57b-8462-a6ce-4ff86cb888f5"


def test_parts_of_the_identity_do_not_run_into_each_other() -> None:
    """`1` + `1x` is not `11` + `x`: the parts are length-prefixed."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)

    assert call_uuid(1, "1native", "x", moment) != call_uuid(11, "native", "x", moment)
    assert call_uuid(1, "native", "x", moment) != call_uuid(1, "nativ", "ex", moment)


@given(accounts, st.uuids(), st.integers(0, 86_400_000))
def test_outward_ids_round_trip(account: int, uuid: UUID, delay_ms: int) -> None:
    """What is given out can be read back, and has the documented prefix and length."""
    call_id = encode_call_id(account, uuid)
    occurred_at = uuid_time(uuid) + timedelta(milliseconds=delay_ms) if uuid_time_fits(uuid) else None

    assert call_id.startswith("call_") and len(call_id) == 37
    assert decode_call_id(call_id) == CallKey(account, uuid)
    if occurred_at is not None:
        error_id = encode_error_id(account, uuid, occurred_at)
        assert error_id.startswith("err_") and len(error_id) == 43
        assert decode_error_id(error_id) == ErrorKey(CallKey(account, uuid), occurred_at)


@given(st.lists(st.tuples(accounts, st.uuids()), max_size=200))
def test_many_ids_at_once_are_each_its_own(calls: list[tuple[int, UUID]]) -> None:
    """However they are handed over, as text or bytes, of one account or several, and however many."""
    numbers, raw = [account for account, _ in calls], [uuid.bytes for _, uuid in calls]
    expected = [encode_call_id(account, uuid) for account, uuid in calls]

    assert encode_call_ids([(account, str(uuid)) for account, uuid in calls]) == expected
    assert encode_raw_ids(numbers, raw) == expected
    assert encode_raw_ids(7, raw) == [encode_call_id(7, uuid) for _, uuid in calls]


def uuid_time_fits(uuid: UUID) -> bool:
    return uuid.int >> 80 < 250_000_000_000_000


@given(st.text(max_size=60) | st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", max_size=45).map("call_".__add__))
def test_garbage_is_refused_or_means_exactly_itself(text: str) -> None:
    """No two texts name the same call, and what is no id is an IdError, never anything else."""
    try:
        key = decode_call_id(text)
    except IdError:
        return
    assert encode_call_id(key.account_id, key.uuid) == text


@pytest.mark.parametrize(
    "text", ["", "call_", "err_" + "a" * 32, "CALL_" + "A" * 32, "call_" + "A" * 32, "call_" + "=" * 32]
)
def test_near_misses_are_refused(text: str) -> None:
    """Another type's prefix, upper case and padding are not ids."""
    with pytest.raises(IdError):
        decode_call_id(text)
