"""Prometheus metrics of webhooks; `/metrics` serves them."""

from typing import Final

from prometheus_client import Counter, Gauge

from service.storage.connection import Queryable
from service.storage.control.webhook_deliveries import DeliveryState, backlog

ATTEMPTS: Final = Counter(
    "calledger_webhook_attempts", "Attempts to deliver an event by what came of them", ["outcome"]
)
_PENDING: Final = Gauge(
    "calledger_webhook_pending", "Events that wait to be delivered", multiprocess_mode="livemostrecent"
)
_OLDEST: Final = Gauge(
    "calledger_webhook_oldest_seconds", "Since when the oldest of them is tried", multiprocess_mode="livemostrecent"
)
_DISABLED: Final = Gauge(
    "calledger_webhooks_disabled", "Webhooks that are sent nothing any more", multiprocess_mode="livemostrecent"
)
_OUTCOMES: Final = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "again",
    DeliveryState.FAILED: "failed",
}

for _outcome in _OUTCOMES.values():
    ATTEMPTS.labels(_outcome)  # so that the first one is an increase


def count_attempt(state: DeliveryState) -> None:
    """Count an attempt after which a delivery is in a state."""
    ATTEMPTS.labels(_OUTCOMES[state]).inc()


async def measure(source: Queryable) -> None:
    """Say what waits now."""
    now = await backlog(source)
    _PENDING.set(now.pending)
    _OLDEST.set(now.oldest_s)
    _DISABLED.set(now.disabled)
