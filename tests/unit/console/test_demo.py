"""The sample calls of `serve --demo`: the same for the same moment, none in the future, of everything something."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from policies import Report
from service.demo.calls import CORRECTIONS, REQUESTS, sample_calls, sample_corrections
from service.demo.catalogue import CUSTOMERS
from service.demo.failures import FAILURES
from service.demo.timeline import DAYS, INCIDENTS, down

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def calls() -> list[Report]:
    return list(sample_calls(NOW))


def test_the_same_moment_has_the_same_calls(calls: list[Report]) -> None:
    """So that a start that was interrupted can load them again; another moment shifts them all."""
    assert list(sample_calls(NOW)) == calls
    assert sample_corrections(calls, NOW) == sample_corrections(list(sample_calls(NOW)), NOW)
    assert len({call.source_id for call in calls}) == len(calls)
    later = next(sample_calls(NOW + timedelta(hours=5), 10))
    assert later.started_at > NOW + timedelta(hours=5) - timedelta(days=DAYS)


@pytest.mark.parametrize("hour", range(1, 24, 5))
def test_the_hour_of_the_start_does_not_change_who_asked_for_what(hour: int, calls: list[Report]) -> None:
    """Only the times are other ones: what is shown of a customer or a user is the same in the morning."""

    def asked(reports: Iterable[Report]) -> dict[str, tuple[str, str | None, str | None, str]]:
        return {call.source_id: (call.account, call.api_key, call.user, call.model) for call in reports}

    first = asked(call for call in calls if call.attributes and call.attributes.attempt == 1)
    assert len(first) == REQUESTS
    assert first.items() <= asked(sample_calls(NOW + timedelta(hours=hour, minutes=7))).items()


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_calls_are_of_the_thirty_days_before(hour: int) -> None:
    """None is older, none has not happened yet, at whatever hour the demo starts; in whole milliseconds."""
    now = NOW.replace(hour=hour, minute=59, microsecond=1)
    for call in sample_calls(now):
        assert now - timedelta(days=DAYS) <= call.started_at < now
        assert call.started_at.microsecond % 1000 == 0


def test_there_is_something_of_everything(calls: list[Report]) -> None:
    """Every customer, model, currency and error, hits of the cache, units, sessions, calls without an amount."""
    assert REQUESTS <= len(calls) <= REQUESTS * 1.1
    assert {call.account for call in calls} == {customer.account for customer in CUSTOMERS}
    assert {call.model for call in calls} == {model.name for customer in CUSTOMERS for model in customer.models}
    assert {call.currency for call in calls} == {"USD", "EUR", "CNY", None}
    assert {call.error.type for call in calls if call.error} >= {failure.type for failure in FAILURES}
    assert 0.02 < sum(call.failed for call in calls) / len(calls) < 0.08
    attributes = [call.attributes for call in calls if call.attributes]
    assert any(one.cache_hit for one in attributes)
    assert any(one.units for one in attributes)
    assert any(one.session_id for one in attributes)
    assert any(call.served_model not in (None, call.model) for call in calls)
    assert any(call.time_to_first_token_ms for call in calls)


def test_amounts_are_the_sums_of_their_parts(calls: list[Report]) -> None:
    """Parts sum to the amount exactly, a quantity at its price; what failed or came from the cache cost nothing."""
    for call in calls:
        parts = call.amount_parts or []
        for part in parts:
            assert part.quantity is not None
            assert part.unit_price is not None
            assert part.quantity * part.unit_price == part.amount
        if call.amount is not None:
            assert sum(part.amount for part in parts) == call.amount
            hit = call.attributes is not None and call.attributes.cache_hit
            assert (call.amount == 0) == (call.failed or bool(hit))


def test_what_failed_is_tried_again(calls: list[Report]) -> None:
    """The attempts of a trace follow each other, each after the one before has ended, and end with what succeeds or
    cannot be helped; an outage leads to another provider.
    """
    traces = defaultdict[str, list[Report]](list)
    for call in calls:
        assert call.attributes is not None
        assert call.attributes.trace_id is not None
        traces[call.attributes.trace_id].append(call)
    repeated = [trace for trace in traces.values() if len(trace) > 1]
    assert len(repeated) > 100
    for trace in repeated:
        assert [call.attributes and call.attributes.attempt for call in trace] == list(range(1, len(trace) + 1))
        for before, after in pairwise(trace):
            assert before.failed
            assert before.latency_ms is not None
            assert after.started_at > before.started_at + timedelta(milliseconds=before.latency_ms)
    assert any({call.provider for call in trace} == {"openai", "anthropic"} for trace in repeated)


def test_an_outage_shows(calls: list[Report]) -> None:
    """While a provider is down, most of its calls fail; at other times few do."""
    for incident in INCIDENTS:
        of_provider = [call for call in calls if call.provider == incident.provider]
        during = [call.failed for call in of_provider if down(incident.provider, call.started_at, NOW)]
        otherwise = [call.failed for call in of_provider if not down(incident.provider, call.started_at, NOW)]
        assert len(during) >= 5
        assert sum(during) / len(during) > 0.7
        assert sum(otherwise) / len(otherwise) < 0.08


def test_days_differ_from_nights(calls: list[Report]) -> None:
    """There are hours with several times the calls of others, and a launch stands out."""
    hours = Counter(call.started_at.hour for call in calls)
    assert max(hours.values()) > 3 * min(hours.values())
    noon = (NOW - timedelta(days=11)).replace(hour=12, minute=0)
    days = Counter(call.started_at.date() for call in calls)
    of_launch = [call for call in calls if timedelta() <= call.started_at - noon < timedelta(hours=3)]
    assert len(of_launch) > days[noon.date()] / 3


def test_corrections_take_back_no_more_than_was_billed(calls: list[Report]) -> None:
    """Each is of a call of its own that was billed, later than it, in its currency."""
    billed = {call.source_id: call for call in calls}
    corrections = sample_corrections(calls, NOW)
    assert len({one.corrects for one in corrections}) == len(corrections) == CORRECTIONS
    for correction in corrections:
        assert correction.corrects is not None
        call = billed[correction.corrects]
        assert call.amount is not None
        assert correction.amount is not None
        assert call.amount + correction.amount >= 0
        assert (correction.account, correction.currency) == (call.account, call.currency)
        assert call.started_at < correction.started_at <= NOW
