"""Take what webhooks send, each event once, with Python's standard library alone.

    CALLEDGER_WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py events.sqlite --port 8791

An event is written before it is answered, under its `webhook-id`: one that comes again is in the table already. Work on
the table elsewhere, since the sender waits for 15 seconds. While a secret is replaced, give both, with a blank between.
A server in front of this program speaks TLS.
"""

import argparse
import base64
import binascii
import hmac
import json
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LENGTH_MAX = 16 * 2**20
TOLERANCE_S = 300
TABLE = """
CREATE TABLE IF NOT EXISTS event (
    id text PRIMARY KEY, type text NOT NULL, timestamp text NOT NULL, data text NOT NULL,
    received_at text NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""
ADD = "INSERT INTO event (id, type, timestamp, data) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the holder of `secret` signed these bytes in the last five minutes (Standard Webhooks 1.0)."""
    id_, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not moment.isdecimal() or abs(time.time() - int(moment)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = hmac.digest(key, f"{id_}.{moment}.".encode() + body, "sha256")
    for signature in headers.get("webhook-signature", "").split():
        version, _, text = signature.partition(",")
        try:
            if version == "v1" and hmac.compare_digest(base64.b64decode(text), wanted):
                return True
        except binascii.Error:
            continue
    return False


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to an event that is stored, and 400 or 401 to what is none."""

    secrets: list[str]
    path_of_table: str

    def do_POST(self) -> None:
        """Store one event."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LENGTH_MAX:
            return self._answer(400)
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not any(verified(secret, headers, body) for secret in self.secrets):
            return self._answer(401)
        event = json.loads(body)
        row = (headers["webhook-id"], event["type"], event["timestamp"], json.dumps(event["data"]))
        with closing(sqlite3.connect(self.path_of_table, timeout=10)) as database, database:
            database.execute(ADD, row)
        return self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base calls it
        """Nothing is said of each request."""


def main() -> None:
    """Listen until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="SQLite file that events are written to")
    parser.add_argument("--port", type=int, default=8791)
    asked = parser.parse_args()
    Receiver.secrets, Receiver.path_of_table = os.environ["CALLEDGER_WEBHOOK_SECRET"].split(), asked.table
    with closing(sqlite3.connect(asked.table)) as database, database:
        database.execute(TABLE)
    server = ThreadingHTTPServer(("127.0.0.1", asked.port), Receiver)
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
