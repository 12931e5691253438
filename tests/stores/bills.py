"""Bills of others beside a ledger, and what differs."""

import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingesting import ANYONE, Ingest, call, ingesting

from policies import Role
from policies.policy.views import view_table
from service.imports.formats import FORMATS, ImportOptions
from service.imports.sources.file import FileSource
from service.ingest.pipeline.writer import as_read
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.reconcile.calls import CallRows
from service.reconcile.run import ReconcileRequest, Reconciliation, reconcile

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIRST, SECOND = TODAY - timedelta(days=3), TODAY - timedelta(days=2)
NOON = timedelta(hours=12)
UTC_ZONE = ZoneInfo("UTC")


class Books:
    """A ledger, and whoever compares it with files."""

    def __init__(self, ingest: Ingest, reader: Reader, folder: Path) -> None:
        self.ingest, self.reader, self.folder = ingest, reader, folder
        policy = ingest.applied.policy
        self.scope = Scope("cli", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))

    async def record(self, id_: str, moment: datetime, amount: str | None, **facts: Any) -> None:
        money = {} if amount is None else {"amount": amount, "currency": facts.pop("currency", "USD")}
        await self.ingest.report(call(id_, started_at=moment.isoformat(), **{"model": "m-1", **money, **facts}))

    def file(self, rows: list[dict[str, Any]], name: str = "bill.csv") -> FileSource:
        path = self.folder / name
        if name.endswith(".csv"):
            text = io.StringIO()
            lines = csv.DictWriter(text, list({key: None for row in rows for key in row}))
            lines.writeheader()
            lines.writerows(rows)
            path.write_text(text.getvalue())
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return FileSource(path)

    async def compare(self, source: FileSource, read: CallRows | None = None, **request: Any) -> Reconciliation:
        asked: dict[str, Any] = {"name": "bill", "zone": UTC_ZONE, "tolerance": Decimal("0.001")} | request
        return await reconcile(source, self.reader, self.scope, ReconcileRequest(**asked), read=read)

    async def compare_log(self, *rows: dict[str, Any], **request: Any) -> Reconciliation:
        """Compare the rows of a new-api's log."""
        form = FORMATS["new-api"]
        read = CallRows("new-api", form.source, form.reader(ImportOptions()), UTC_ZONE)
        return await self.compare(self.file(list(rows), "log.ndjson"), read, **request)

    async def pull(self, *rows: dict[str, Any]) -> None:
        """Record rows of a new-api's log, as a pull does."""
        read = FORMATS["new-api"].reader(ImportOptions())
        for row in rows:
            [result] = await self.ingest.writer.submit(
                [read(json.dumps(row).encode())], as_read, ANYONE, source="new-api"
            )
            assert result.code is None, result


def found(result: Reconciliation) -> Counter[tuple[str, str, str, str]]:
    """How many calls differ, by kind, day, model and currency."""
    return Counter(
        {
            (key.kind.value, key.day.isoformat(), key.model, key.currency): one.calls
            for key, one in result.differences.found.items()
        }
    )


@asynccontextmanager
async def books_of(database_url: str, folder: Path) -> AsyncIterator[Books]:
    """An empty ledger, and a folder for bills."""
    async with ingesting(database_url, folder) as ingest:
        yield Books(ingest, await Reader.open(ingest.database, ingest.accounts, ingest.keyring), folder)
