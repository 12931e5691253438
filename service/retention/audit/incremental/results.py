"""Results of earlier runs of fsck: parts in which a check found nothing wrong, and in what state they were then.

A part (a partition, a day) need not be checked again while its state is the same, for `AGAIN` at most: a state is what
PostgreSQL counts of changes (`states`), and somebody with the database in his hands can make a change that is not
counted. So such a change is found by the first run that is `AGAIN` after the check, whatever the counters say.

Whoever can write to the database could also write a result. So each has a code (HMAC-SHA-256) over all of it, under a
secret that is derived from the keyring's, and a row without the right one counts for nothing. An old row that is put
back is of an old state and an old time. A result is stored when its part has been checked, so that a run that was
interrupted is continued by the next one.
"""

import hmac
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import asyncpg

AGAIN: Final = timedelta(days=30)
"""After which a part is checked again, though its state is the same."""
_LABEL: Final = b"calledger fsck_result"
_RESULTS: Final = "SELECT part, state, result, checked_at, mac FROM fsck_result WHERE check_name = $1"
"""The results of one check."""
_KEEP: Final = """
    INSERT INTO fsck_result (check_name, part, state, result, checked_at, mac) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (check_name, part) DO UPDATE SET
        state = excluded.state, result = excluded.result, checked_at = excluded.checked_at, mac = excluded.mac
"""
"""Store the result of a part."""
_FORGET: Final = "DELETE FROM fsck_result WHERE check_name = $1 AND part <> ALL ($2::text[])"
"""Delete the results of parts that are gone."""


@dataclass(frozen=True, slots=True)
class _Result:
    state: str
    result: str
    checked_at: datetime


class Results:
    """The results of earlier runs, and those of this one. Without a `secret` there are none, and none are stored.

    `full`: nothing is taken from an earlier run; what is checked is stored all the same. `now`: the time of this run.
    """

    def __init__(
        self,
        owner: asyncpg.Pool,
        now: datetime,
        secret: bytes | None,
        *,
        full: bool = False,
        again: timedelta = AGAIN,
    ) -> None:
        self._owner = owner
        self._now = now
        self._secret = None if secret is None else hmac.digest(secret, _LABEL, sha256)
        self._full = full
        self._again = again
        self._earlier: dict[str, dict[str, _Result]] = {}
        self._seen: dict[str, set[str]] = {}
        self._checked = Counter[str]()
        self._oldest: dict[str, datetime] = {}

    @property
    def stored(self) -> bool:
        """Whether results are stored at all."""
        return self._secret is not None

    @property
    def seed(self) -> int:
        """A secret seed for hashes, derived from the keyring: 62 bits; 0 when nothing is stored."""
        return 0 if self._secret is None else int.from_bytes(hmac.digest(self._secret, b"seed", sha256)[:8], "big") >> 2

    async def recall(self, check: str, part: str, state: str) -> str | None:
        """What an earlier run stored of the part, if it was in the same state then, not too long ago; else None."""
        self._seen.setdefault(check, set()).add(part)
        found = (await self._of(check)).get(part)
        if self._full or found is None or found.state != state or found.checked_at <= self._now - self._again:
            return None
        self._oldest[check] = min(found.checked_at, self._oldest.get(check, found.checked_at))
        return found.result

    async def keep(self, check: str, part: str, state: str, result: str = "") -> None:
        """Store that nothing is wrong with a part which was in this state when its check began, or before."""
        self.checked(check)
        if self._secret is not None:
            mac = self._mac(check, part, state, result, self._now)
            await self._owner.execute(_KEEP, check, part, state, result, self._now, mac)

    def checked(self, check: str) -> None:
        """Count a part that was checked in this run."""
        self._checked[check] += 1

    async def end(self, check: str) -> None:
        """The check has seen all of its parts: results of others are deleted."""
        if self._secret is not None:
            await self._owner.execute(_FORGET, check, sorted(self._seen.get(check, ())))

    def said(self, check: str, what: str) -> str:
        """What was looked at, in words: `what` names the parts in the plural."""
        parts, checked = len(self._seen.get(check, ())), self._checked[check]
        oldest = self._oldest.get(check)
        if oldest is None:
            return f"all {parts} {what} checked now"
        return (
            f"{checked} of {parts} {what} checked now, the others unchanged since they were, "
            f"{oldest:%Y-%m-%d %H:%M} UTC at the earliest"
        )

    async def _of(self, check: str) -> dict[str, _Result]:
        if self._secret is None:
            return {}
        if check not in self._earlier:
            rows = await self._owner.fetch(_RESULTS, check)
            self._earlier[check] = {
                row["part"]: _Result(row["state"], row["result"], row["checked_at"])
                for row in rows
                if row["checked_at"] <= self._now
                and hmac.compare_digest(
                    row["mac"], self._mac(check, row["part"], row["state"], row["result"], row["checked_at"])
                )
            }
        return self._earlier[check]

    def _mac(self, check: str, part: str, state: str, result: str, checked_at: datetime) -> bytes:
        assert self._secret is not None
        moment = checked_at.astimezone(UTC).isoformat()
        fields = [text.encode() for text in (check, part, state, result, moment)]
        message = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
        return hmac.digest(self._secret, message, sha256)
