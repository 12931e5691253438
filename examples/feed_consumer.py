"""Keep a copy of every call, correction and completion, exactly once, with Python's standard library alone.

    CALLEDGER_KEY=cl_... python examples/feed_consumer.py https://ledger.example copy.sqlite
    CALLEDGER_KEY=cl_... python examples/feed_consumer.py https://ledger.example copy.sqlite --follow
    CALLEDGER_KEY=cl_... python examples/feed_consumer.py https://ledger.example copy.sqlite --compare

A page and the cursor behind it are written in one transaction. So the copy is right whenever this program, the network
or the ledger ends, at any moment: it goes on where it was.
"""

import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

CHANGES = """
query Changes($after: String) {
  changes(first: 200, after: $after) {
    unreadable
    nodes {
      kind
      recordedAt
      call {
        id account startedAt model status inputTokens outputTokens
        amount { amount currency } corrects { id }
      }
    }
    pageInfo { endCursor hasNextPage }
  }
}
"""
SUMS = """
query Sums($since: DateTime!, $until: DateTime!) {
  changeSums(since: $since, until: $until) { settled sums { hour account changes checksum } }
}
"""
TABLES = """
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);
CREATE TABLE IF NOT EXISTS call (id TEXT PRIMARY KEY, account TEXT NOT NULL, corrects TEXT, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS change (
    number INTEGER PRIMARY KEY, hour TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, call_id TEXT NOT NULL
);
"""
AGAIN = {429, 502, 503, 504}


class RefusedError(Exception):
    """The ledger does not answer such a question; its errors as JSON."""


class ExpiredError(Exception):
    """The ledger no longer has what comes behind the cursor, or was restored to an earlier state."""


class Ledger:
    """The ledger's GraphQL endpoint."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = f"{url.rstrip('/')}/graphql", key

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data of the answer; waits as long as the ledger is away or this key has to wait."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        pause_s = 0.5
        while True:
            try:
                request = urllib.request.Request(self._url, data=body, headers=headers)  # noqa: S310 - your own ledger
                with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                    answer = json.load(response)
                    wait_s = float(response.headers.get("Retry-After", pause_s))
            except urllib.error.HTTPError as error:
                if error.code not in AGAIN:
                    raise SystemExit(error.read().decode()) from None
                answer, wait_s = None, float(error.headers.get("Retry-After", pause_s))
            except (OSError, ValueError):
                answer, wait_s = None, pause_s
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])} if answer else set()
            if "CURSOR_EXPIRED" in codes:
                raise ExpiredError
            if answer and codes and not codes <= {"UNAVAILABLE", "TIMEOUT", "THROTTLED"}:
                raise RefusedError(json.dumps(answer["errors"]))
            if answer and not codes:
                return answer["data"]
            time.sleep(wait_s)
            pause_s = min(pause_s * 2, 30.0)


class Copy:
    """The copy: calls as they are now, every change that was received, and where it stands."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)

    @property
    def cursor(self) -> str | None:
        """The cursor behind the last change, if there was one."""
        row = self._database.execute("SELECT cursor FROM place").fetchone()
        return row[0] if row else None

    def take(self, page: Mapping[str, Any]) -> int:
        """Write a page and its end, all or nothing. Returns how many changes it had."""
        with self._database:
            for change in page["nodes"]:
                call = change["call"]
                corrects = call["corrects"]["id"] if call["corrects"] else None
                self._database.execute(
                    "INSERT INTO call VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET facts = excluded.facts",
                    (call["id"], call["account"], corrects, json.dumps(call)),
                )
                self._database.execute(
                    "INSERT INTO change (hour, account, kind, call_id) VALUES (?, ?, ?, ?)",
                    (change["recordedAt"][:13] + ":00:00.000Z", call["account"], change["kind"], call["id"]),
                )
            self._database.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (page["pageInfo"]["endCursor"],))
        return len(page["nodes"])

    def sums(self) -> dict[tuple[str, str], tuple[int, str]]:
        """By hour and account: how many changes were received, and their checksum."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for hour, account, kind, call_id in self._database.execute("SELECT hour, account, kind, call_id FROM change"):
            changes, checksum = sums.get((hour, account), (0, 0))
            added = int.from_bytes(sha256(f"{kind} {call_id}".encode()).digest()[:8], "big")
            sums[hour, account] = changes + 1, (checksum + added) % 2**64
        return {key: (changes, f"{checksum:016x}") for key, (changes, checksum) in sums.items()}


def read_on(ledger: Ledger, copy: Copy) -> int:
    """Take everything that is new; how many changes it was."""
    taken = 0
    while True:
        page = ledger.ask(CHANGES, {"after": copy.cursor})["changes"]
        taken += copy.take(page)
        if page["unreadable"]:
            print(f"{page['unreadable']} changes are of calls that are past their window", file=sys.stderr)
        if not page["pageInfo"]["hasNextPage"]:
            return taken


def sums_between(ledger: Ledger, since: datetime, until: datetime) -> dict[str, tuple[int, int]]:
    """By account: how many changes the ledger has in that time, and their checksum.

    A time with more than a million changes is refused: it is asked for in halves, whose checksums add up.
    """
    asked = {"since": since.isoformat(), "until": until.isoformat()}
    try:
        sums = ledger.ask(SUMS, asked)["changeSums"]["sums"]
        return {one["account"]: (int(one["changes"]), int(one["checksum"], 16)) for one in sums}
    except RefusedError:
        if until - since <= timedelta(seconds=1):
            raise
    middle = since + (until - since) / 2
    added = sums_between(ledger, since, middle)
    for account, (changes, checksum) in sums_between(ledger, middle, until).items():
        before = added.get(account, (0, 0))
        added[account] = before[0] + changes, (before[1] + checksum) % 2**64
    return added


def compare(ledger: Ledger, copy: Copy) -> bool:
    """Whether the ledger has the same checksums of every hour that the copy has something of."""
    ours = copy.sums()
    same = True
    for hour in sorted({hour for hour, _ in ours}):
        since = datetime.fromisoformat(hour)
        there = sums_between(ledger, since, since + timedelta(hours=1))
        theirs = {account: (changes, f"{checksum:016x}") for account, (changes, checksum) in there.items()}
        for account in sorted(theirs.keys() | {account for at, account in ours if at == hour}):
            if ours.get((hour, account)) != theirs.get(account):
                print(f"{hour} {account}: {ours.get((hour, account))} here, {theirs.get(account)} there")
                same = False
    return same


def main() -> None:
    """Read on once, or for ever."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("copy")
    parser.add_argument("--follow", action="store_true", help="go on reading, every second")
    parser.add_argument("--compare", action="store_true", help="compare checksums afterwards")
    chosen = parser.parse_args()
    ledger, copy = Ledger(chosen.url, os.environ["CALLEDGER_KEY"]), Copy(chosen.copy)
    try:
        print(f"{read_on(ledger, copy)} changes")
        while chosen.follow:
            time.sleep(1.0)
            if taken := read_on(ledger, copy):
                print(f"{taken} changes", flush=True)
        same = not chosen.compare or compare(ledger, copy)
    except ExpiredError:
        raise SystemExit("the cursor has expired: put this copy aside, and begin a new one") from None
    except RefusedError as error:
        raise SystemExit(str(error)) from None
    raise SystemExit(not same)


if __name__ == "__main__":
    main()
