"""An ingest service on a test's database: writer, accounts, keyring and policy, all real."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bodies import read_native

from policies import Role, load_preset
from policies.envelope import SealContext, data_key, open_sealed
from policies.policy.model import Policy
from service.access.authenticate import Authenticator
from service.access.principal import Principal
from service.ingest.pipeline.writer import Writer, as_read
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.prices.price_file import shipped_prices
from service.ingest.prices.price_list import Prices
from service.ingest.results import RowResult, Status
from service.keyring import AccountKeyName, Keyring, PeriodKeyName, create_kek_file, open_keyring
from service.ledger import KeyRegister, Ledger
from service.query.usage.consistency import check_usage
from service.query.usage.correction_check import check_corrections
from service.retention.rollups.compaction import COMPACT_ROWS, Compaction
from service.retention.rollups.totals_check import check_derived_sums
from service.storage.cold.files import ColdFolder
from service.storage.cold.tier import ColdTier
from service.storage.control.accounts import Accounts
from service.storage.control.policies import AppliedPolicy
from service.storage.database import Database
from service.storage.partitions import Partitions

ANYONE = Principal("testkey2", Role.INGEST, None)
RECENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)

RAW_SUMS = """
    SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(amount), 0)
    FROM call
"""
DELTA_SUMS = """
    SELECT coalesce(sum(calls), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
           coalesce(sum(amount), 0)
    FROM usage_delta
"""


@dataclass
class Ingest:
    """What a test talks to. `writer` is started; `another_writer` makes one more on the same database."""

    url: str
    database: Database
    accounts: Accounts
    partitions: Partitions
    keyring: Keyring
    authenticator: Authenticator
    ledger: Ledger
    writer: Writer
    applied: AppliedPolicy
    stack: AsyncExitStack

    async def another_writer(self, **options: Any) -> Writer:
        writer = new_writer(self, **options)
        await writer.start()
        self.stack.push_async_callback(writer.close)
        return writer

    async def report(self, *rows: dict[str, Any], principal: Principal = ANYONE) -> list[RowResult]:
        """Send native rows as they would come over HTTP."""
        return await self.writer.submit(read_native(body(*rows)), as_read, principal, source="native")

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        return await self.database.owner.fetch(statement, *values)

    async def value(self, statement: str, *values: Any) -> Any:
        return await self.database.owner.fetchval(statement, *values)

    def compaction(self, rows: int = COMPACT_ROWS) -> Compaction:
        """What sums up the calls, with partitions by the policy in force then."""
        return Compaction(
            self.database.owner, ensure=lambda needs: self.partitions.ensure(self.applied.policy, needs), rows=rows
        )

    async def assert_sums_are_right(self) -> None:
        """Rollups and deltas are the sums of the calls, sums over all accounts and by key those of the rollups, and
        the net amounts those of calls and corrections.
        """
        owner, policy = self.database.owner, self.applied.policy
        assert [found async for found in check_usage(owner, policy)] == []
        assert [found async for found in check_derived_sums(owner, policy)] == []
        assert [found async for found in check_corrections(owner, policy)] == []

    async def opened_errors(self) -> list[str]:
        """The plaintext of every sealed error: what lies under the seal counts as stored."""
        rows = await self.fetch(
            "SELECT account_id, tier, id, occurred_at, sealed FROM call_error WHERE sealed IS NOT NULL"
        )
        texts = []
        for row in rows:
            day = row["occurred_at"].isoformat()[:10]
            period_key = await self.keyring.key(PeriodKeyName(row["tier"], "personal", day), mint=False)
            account_key = await self.keyring.key(AccountKeyName(row["account_id"]), mint=False)
            context = SealContext(row["account_id"], "call_error", row["id"].bytes, day, "personal")
            opened = open_sealed(row["sealed"], data_key=data_key(period_key, account_key), context=context)
            texts.append(opened.decode())
        return texts

    async def note(self, expression: str) -> None:
        """From now on each statement that inserts calls leaves this SQL expression's value in the table `seen`."""
        await self.database.owner.execute(
            f"""
            CREATE TABLE seen (noted text);
            GRANT INSERT ON seen TO PUBLIC;
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                $$BEGIN INSERT INTO seen VALUES ({expression}); RETURN NULL; END$$;
            CREATE TRIGGER note AFTER INSERT ON call FOR EACH STATEMENT EXECUTE FUNCTION note();
            """
        )

    async def noted(self) -> list[str]:
        return [row["noted"] for row in await self.fetch("SELECT noted FROM seen")]

    def use_policy(self, policy: Policy) -> None:
        """Put another policy in force, as an applied change does."""
        self.applied = AppliedPolicy(policy, self.applied.version + 1, "sha256:test", RECENT, "test")


def body(*rows: dict[str, Any]) -> bytes:
    return json.dumps(list(rows)).encode()


def call(id_: str, **facts: Any) -> dict[str, Any]:
    """A native row that is complete but for what a test is about."""
    return {"id": id_, "started_at": RECENT.isoformat(), "model": "gpt-4o", "status": "succeeded"} | facts


def new_writer(
    ingest: Ingest, *, queue_rows: int = 20_000, batch_rows: int = 2_000, prices: Prices | None = None
) -> Writer:
    return Writer(
        database=ingest.database,
        accounts=ingest.accounts,
        partitions=ingest.partitions,
        keyring=ingest.keyring,
        rules=rules_in_force(ingest),
        prices=prices or Prices(shipped_prices()),
        queue_rows=queue_rows,
        batch_rows=batch_rows,
    )


@asynccontextmanager
async def ingesting(url: str, folder: Path, *, id_: UUID | None = None, **options: Any) -> AsyncIterator[Ingest]:
    """Everything opened, and closed again however the test ends. `id_`: of a ledger that is there."""
    async with AsyncExitStack() as stack:
        database = await Database.open(url)
        stack.push_async_callback(database.close)
        database.cold = ColdTier(ColdFolder(folder / "cold"))
        if id_ is None:
            create_kek_file(folder / "kek")
        keyring = await open_keyring(f"file:{folder / 'keyring'}", f"file:{folder / 'kek'}", create=id_ is None)
        stack.push_async_callback(keyring.close)
        ledger = Ledger(database, keyring, id_ or uuid4())
        await keyring.bind(ledger.database_id)
        policy = load_preset("default")
        accounts = Accounts(policy.tiers[policy.default_tier].number)
        await accounts.refresh()
        ingest = Ingest(
            url=url,
            database=database,
            accounts=accounts,
            partitions=Partitions(database.owner),
            keyring=keyring,
            authenticator=Authenticator(await keyring.secret("pepper"), KeyRegister(ledger)),
            ledger=ledger,
            writer=None,  # type: ignore[arg-type] - made from the rest
            applied=AppliedPolicy(policy, 1, "sha256:test", RECENT, "test"),
            stack=stack,
        )
        ingest.writer = await ingest.another_writer(**options)
        yield ingest


async def eventually(holds: Callable[[], Any]) -> None:
    """Return once `holds` (a value, or something to await) says so; fail after a minute."""
    for _ in range(6000):
        said = holds()
        if await said if isawaitable(said) else said:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("what was waited for did not happen")


ACCEPTED, DUPLICATE, CONFLICT, REJECTED = Status.ACCEPTED, Status.DUPLICATE, Status.CONFLICT, Status.REJECTED


def statuses(verdicts: list[RowResult]) -> list[Status]:
    return [verdict.status for verdict in verdicts]


async def sums_agree(ingest: Ingest) -> tuple[Any, ...]:
    """The sums over the calls, after comparing them with the sums over the deltas."""
    raw, deltas = (
        [tuple(row) for row in await ingest.fetch(RAW_SUMS)],
        [tuple(row) for row in await ingest.fetch(DELTA_SUMS)],
    )
    assert raw == deltas
    return raw[0]


def failed(id_: str, **facts: Any) -> dict[str, Any]:
    error = {"type": "RateLimitError", "code": "429", "message": "Rate limit reached for bob@example.com"}
    return call(id_, **{"status": "failed", "user": "u-17", "error": error, **facts})
