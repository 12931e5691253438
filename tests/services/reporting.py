"""A gateway under kills: it reports batches of calls, and again whatever it got no answer for."""

import json
import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

from running import RunningService

AMOUNT = Decimal("0.000000000001")


class Reporter(threading.Thread):
    """Reports batches of calls, a while apart, and again whenever it got no answer, as a gateway does."""

    def __init__(self, service: RunningService, key: str, name: str, pause_s: float = 0) -> None:
        super().__init__(daemon=True)
        self.service, self.key, self.prefix, self.pause_s = service, key, name, pause_s
        self.acknowledged: set[str] = set()
        self.stopped = threading.Event()
        self.problems: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            ids = [f"{self.prefix}-{number}-{row}" for row in range(20)]
            number += 1
            started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.report_until_answered(ids, started_at)
            self.stopped.wait(self.pause_s)

    def report_until_answered(self, ids: list[str], started_at: str) -> None:
        calls = [
            {
                "id": call_id,
                "started_at": started_at,
                "model": "m",
                "status": "succeeded",
                "amount": str(AMOUNT),
                "currency": "USD",
            }
            for call_id in ids
        ]
        while not self.stopped.is_set():
            try:
                status, _, body = self.service.request(
                    "POST", "/v1/calls", key=self.key, body=json.dumps(calls).encode()
                )
            except OSError:  # the service is gone: nothing was acknowledged
                time.sleep(0.05)
                continue
            if status == 503:
                time.sleep(0.05)
                continue
            answer = json.loads(body)
            if status != 200 or answer["accepted"] + answer["duplicates"] != len(ids):
                self.problems.append(f"{status} {body[:200]!r}")
            self.acknowledged.update(ids)
            return


def postmaster(service: RunningService) -> int:
    """The process of its PostgreSQL, once one runs: after a kill the file is the last one's for a while."""
    ends = time.monotonic() + 60
    while True:
        with suppress(StopIteration, FileNotFoundError, IndexError, ProcessLookupError):
            process = int(next(service.data.rglob("postmaster.pid")).read_text().split()[0])
            os.kill(process, 0)
            return process
        assert time.monotonic() < ends, service.log.read_text()[-2_000:]
        time.sleep(0.02)
