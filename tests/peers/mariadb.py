"""A MariaDB of its own for tests, with a user who may only read."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pymysql
from folders import SHORT_FOLDER

READER: Final = "reader"
PASSWORD: Final = "only-for-reading-5527"
_READY_S: Final = 60
_MYSQL_TYPES: Final = {"integer": "bigint", "text": "longtext", "text DEFAULT ''": "varchar(191) DEFAULT ''"}


class MariaDb:
    """A running server: `address` of its database for whoever reads, and `execute` for whoever writes."""

    def __init__(self, port: int, path: Path) -> None:
        self.address = f"mysql://{READER}@127.0.0.1:{port}/newapi"
        self._socket = str(path)

    def execute(self, *statements: str) -> None:
        with closing(self._connected()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fetch(self, statement: str) -> Sequence[tuple[Any, ...]]:
        with closing(self._connected()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def table(self, columns: dict[str, str], log: Sequence[dict[str, Any]]) -> None:
        """Make new-api's or One API's table anew, as their versions make it in MySQL."""
        made = [
            f"`{name}` {_MYSQL_TYPES.get(kind, kind.replace('integer PRIMARY KEY', 'bigint PRIMARY KEY'))}"
            for name, kind in columns.items()
        ]
        with closing(self._connected()) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS logs")
            cursor.execute(f"CREATE TABLE logs ({', '.join(made)}, INDEX (created_at)) CHARACTER SET utf8mb4")
            names, marks = ", ".join(f"`{name}`" for name in columns), ", ".join(["%s"] * len(columns))
            values = [[row.get(name) for name in columns] for row in log]
            cursor.executemany(f"INSERT INTO logs ({names}) VALUES ({marks})", values)

    def _connected(self) -> Any:
        return pymysql.connect(
            unix_socket=self._socket, user="root", database="newapi", autocommit=True, charset="utf8mb4"
        )


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """A server over a folder that is gone afterwards, on the loopback."""
    folder = Path(tempfile.mkdtemp(prefix="calledger-mariadb-", dir=SHORT_FOLDER))
    data, path = folder / "data", folder / "socket"
    try:
        options = ["--no-defaults", f"--datadir={data}", "--user=root"]
        install = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, capture_output=True)
        begin = folder / "begin.sql"
        begin.write_text(
            "CREATE DATABASE newapi CHARACTER SET utf8mb4;\n"
            f"CREATE USER {READER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT SELECT ON newapi.* TO {READER}@'127.0.0.1';\n"
        )
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        small = ["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"]
        listen = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={path}", f"--init-file={begin}"]
        listen += ["--skip-name-resolve", f"--pid-file={folder / 'pid'}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(["mariadbd", *options, *listen, *small], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _READY_S
            while not path.exists():
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            yield MariaDb(port, path)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder)
