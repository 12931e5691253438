"""An S3-compatible store on this host: moto plays it, over HTTP; and a way to it on which much can happen."""

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from aws_kms_server import CREDENTIALS, REGION
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "files"
Fault = Callable[[str, str], str | None]
"""What happens to a request of this method, with this range: None, or what `_Handler` knows."""


class S3Server:
    """A store with the bucket `BUCKET`. `environment` is what leads boto3 there."""

    def __init__(self, port: int) -> None:
        self.environment = {
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def names(self) -> list[str]:
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def fill(self, prefix: str, count: int) -> None:
        """Have many objects, without asking for each of them."""
        store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for number in range(count):
            store.put_object(BUCKET, f"{prefix}{number:032x}", b"x")

    def uploads(self) -> set[str]:
        """Names of files of which parts have been sent."""
        return {entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())}


@contextmanager
def running_s3() -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield S3Server(server.get_host_and_port()[1])
    finally:
        server.stop()
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()  # it is one of the process: the next store has to be empty


class _Handler(BaseHTTPRequestHandler):
    """Hands a request on to the store, unless something happens to it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        way: UnreliableWay = self.server.way  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way.asked.append(self.command)
        fault = way.fault(self.command, self.headers.get("Range") or "")
        if fault == "closed":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault == "stalled":
            way.stalled.set()
            way.goes_on.wait(60)
        if fault in ("busy", "denied"):
            self.send_response(503 if fault == "busy" else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        store = http.client.HTTPConnection("127.0.0.1", way.store, timeout=60)
        sent = {name: text for name, text in self.headers.items() if fault != "ranges unknown" or name != "Range"}
        store.request(self.command, self.path, body, sent)
        answer = store.getresponse()
        data = answer.read()
        if fault == "short":
            data = data[: len(data) // 2]
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if fault == "nameless" and name.lower() == "etag":
                continue
            shown = '"0123"' if fault == "another" and name.lower() == "etag" else text
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, shown)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
        self.close_connection = self.close_connection or fault == "cut"
        store.close()

    do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing is told."""


class UnreliableWay:
    """A way to the store: `fault` says what happens on it, and `asked` has the methods of the requests. `stalled`: a
    request has, and waits until it `goes_on`.
    """

    def __init__(self, server: S3Server) -> None:
        self.store = int(server.environment["AWS_ENDPOINT_URL_S3"].rpartition(":")[2])
        self.fault: Fault = lambda _method, _range: None
        self.asked: list[str] = []
        self.stalled, self.goes_on = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.way = self  # type: ignore[attr-defined]
        self.environment = server.environment | {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._server.server_address[1]}"
        }
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._server.server_close()
