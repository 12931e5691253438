"""ClickHouse, as the `chdb` package, over a MergeTree table of the calls. Runs in an environment of its own.

    python clickhouse.py FOLDER            statements as JSON lines on standard input, answers on standard output

Each answer: rows, wall seconds, CPU seconds of all its threads.
"""

import json
import sys
import time

from chdb import session


def main() -> None:
    opened = session.Session(sys.argv[1])
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        answer = opened.query(asked, "JSONCompact")
        taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        text = answer.bytes().decode()
        rows = json.loads(text)["data"] if text.strip() else []
        print(json.dumps(taken | {"rows": rows}), flush=True)


if __name__ == "__main__":
    main()
