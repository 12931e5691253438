"""Evidence from a whole service: several processes on one port, and a power cut while a bundle is written."""

import time
from pathlib import Path
from typing import Any

from evidence import CREATE, EXPORTED
from running import RunningService

from policies.evidence import verify


def ended(service: RunningService, key: str, id_: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        export = service.ask(key, EXPORTED, id=id_)["data"]["export"]
        if export["state"] not in ("QUEUED", "RUNNING"):
            return export
        assert time.monotonic() < deadline, export
        time.sleep(0.05)


def test_any_process_answers_and_a_power_cut_leaves_nothing_half(tmp_path: Path) -> None:
    """Every worker gives out what one of them wrote; after kill -9 each bundle is whole or failed, and none is lost."""
    service = RunningService(tmp_path / "data", "--workers", "2")
    try:
        keys = [service.new_key("auditor") for _ in range(3)]
        created = service.ask(keys[0], CREATE, **{"in": {}})["data"]["createEvidence"]
        export = ended(service, keys[0], created["export"]["id"])
        for _ in range(12):  # a connection each: the kernel chooses the process
            status, _, body = service.request("GET", export["url"], key=keys[0])
            assert (status, str(len(body))) == (200, export["bytes"])
        verify(body.splitlines(keepends=True), key=created["checkpoint"]["publicKey"])

        asked = [service.ask(key, CREATE, **{"in": {}})["data"]["createEvidence"]["export"]["id"] for key in keys]
        service.kill()
        service.start()
        for key, id_ in zip(keys, asked, strict=True):
            export = ended(service, key, id_)
            assert export["state"] in ("READY", "FAILED")
            if export["state"] == "READY":
                verify(service.request("GET", export["url"], key=key)[2].splitlines(keepends=True))
        assert service.request("HEAD", export["url"] or "/v1/exports/exp_x", key=keys[2])[0] == (
            200 if export["url"] else 404
        )
        assert created["export"]["id"] not in service.log.read_text()
        assert not [file for file in (tmp_path / "data" / "exports").iterdir() if file.suffix == ".part"]
    finally:
        service.stop()
