"""An auditor at a served ledger: asks for evidence, waits for it, fetches it, by HTTP and with a key alone."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from http_server import Served

EXPORT = "id state rows bytes url sha256 manifest expiresAt failure"
CREATE = f"""
    mutation($in: CreateEvidenceInput!) {{ createEvidence(input: $in) {{
        export {{ {EXPORT} }} checkpoint {{ size note publicKey }} }} }}
"""
EXPORTED = f"query($id: ID!) {{ export(id: $id) {{ {EXPORT} }} }}"
CREATE_EXPORT = f"mutation($in: CreateExportInput!) {{ createExport(input: $in) {{ export {{ {EXPORT} }} }} }}"
READY_S = 120


@dataclass(slots=True)
class Answer:
    """What a download was answered."""

    status: int
    headers: Any
    body: bytes


@dataclass(slots=True)
class Auditor:
    """One key."""

    served: Served
    key: str

    async def answer(self, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"query": query, "variables": variables}
        async with self.served.session.post(self.served.url, json=body, headers=headers) as response:
            return await response.json()

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def code(self, query: str, **variables: Any) -> str:
        return (await self.answer(query, **variables))["errors"][0]["extensions"]["code"]

    async def create(self, **wanted: Any) -> dict[str, Any]:
        """The payload of `createEvidence`."""
        return (await self.ask(CREATE, **{"in": wanted}))["createEvidence"]

    async def export(self, id_: str) -> dict[str, Any] | None:
        return (await self.ask(EXPORTED, id=id_))["export"]

    async def ended(self, id_: str) -> dict[str, Any]:
        """The export once it is neither queued nor running."""
        deadline = time.monotonic() + READY_S
        while True:
            export = await self.export(id_)
            assert export is not None
            if export["state"] not in ("QUEUED", "RUNNING"):
                return export
            assert time.monotonic() < deadline, export
            await asyncio.sleep(0.02)

    async def bundle(self, **wanted: Any) -> dict[str, Any]:
        """A bundle that is ready."""
        export = await self.ended((await self.create(**wanted))["export"]["id"])
        assert export["state"] == "READY", export
        return export

    async def exported(self, kind: str = "CALLS", form: str = "NDJSON", **wanted: Any) -> tuple[dict[str, Any], bytes]:
        """An export of rows that is ready, and its file."""
        created = await self.ask(CREATE_EXPORT, **{"in": {"kind": kind, "format": form, **wanted}})
        export = await self.ended(created["createExport"]["export"]["id"])
        assert export["state"] == "READY", export
        return export, (await self.fetch(export["url"])).body

    async def refused(self, kind: str = "CALLS", form: str = "NDJSON", **wanted: Any) -> tuple[str, str]:
        """Code and message of an export of rows that is refused."""
        answer = await self.answer(CREATE_EXPORT, **{"in": {"kind": kind, "format": form, **wanted}})
        [error] = answer["errors"]
        return error["extensions"]["code"], error["message"]

    async def fetch(self, path: str, **options: Any) -> Answer:
        """A download; `path` as in `url`."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= {"Accept-Encoding": "identity", **options.pop("headers", {})}
        url = self.served.url.removesuffix("/graphql") + path
        async with self.served.session.get(url, headers=headers, **options) as response:
            return Answer(response.status, response.headers, await response.read())


def exports_folder(served: Served) -> Path:
    """Where this server's files lie."""
    return served.runtime.settings.data / "exports"
