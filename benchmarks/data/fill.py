"""Fills a ledger with millions of calls: rows as the writer would have stored them, made by PostgreSQL itself.

Calls are computed by SQL from hashes of their number, straight into the partitions; errors go through admission and
the keyring as ever; the rollups are summed from the calls, in the form that compaction leaves behind. `calledger fsck`
finds nothing to say about the result. Ten million calls through HTTP would take most of an hour.
"""

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.data import sample
from benchmarks.data.errors import add_errors, admitted_errors
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.places import FOLDER, ROOT, say
from policies import DataClass, Store
from service.keyring import AccountKeyName, PeriodKeyName
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.tag_keys import keep_tags
from service.retention.rollups.tag_sums import EVERY_TABLE, remake_tags
from service.retention.rollups.totals import DERIVED_SUMS, added
from service.retention.rollups.unsummed import EVERY_TABLE as UNSUMMED_TABLES
from service.retention.rollups.unsummed import leave_unsummed
from service.runtime.runtime import Runtime, open_runtime
from service.settings import Settings
from service.storage.packing import pack

DAYS: Final = 31
"""Whole UTC days: 30 of them, or 30 local days anywhere."""
SLICE: Final = 250_000
_ERROR_DAYS: Final = 28
_MAX_AGE: Final = timedelta(days=20)
_MARK: Final = "filled.json"
_CONNECTIONS: Final = 2
_KEYS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """How `calls` are spread: over so many accounts, API keys, models and tiers.

    `even`: over accounts and keys alike, as many small accounts have them; else the first have most, as large ones do.
    Every `named`th account says which of its users made a call, and details of errors, which take a key of its own.
    """

    calls: int
    accounts: int = len(sample.ACCOUNTS)
    keys: int = sample.KEYS
    models: int = len(sample.MODELS)
    tiers: int = 1
    even: bool = False
    named: int = 1

    @property
    def name(self) -> str:
        """The name of its folder."""
        if self == Shape(self.calls):
            return f"calls-{self.calls}"
        parts = [self.calls, self.accounts, self.keys, self.models, self.tiers, "even" if self.even else "uneven"]
        return f"calls-{'-'.join(map(str, parts))}"

    @property
    def account_names(self) -> list[str]:
        return [*sample.ACCOUNTS, *(f"account-{number}" for number in range(len(sample.ACCOUNTS), self.accounts))][
            : self.accounts
        ]

    @property
    def catalogue(self) -> list[tuple[str, str, int, int]]:
        """The models with their providers and prices; more than the sample has are versions of these."""
        rounds, known = divmod(self.models, len(sample.MODELS)), sample.MODELS
        named = [(f"{name}-v{turn}" if turn else name, *rest) for turn in range(rounds[0] + 1) for name, *rest in known]
        return named[: self.models]


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in the ledger: `calls` over DAYS days from `start`, and the seconds that loading took."""

    calls: int
    start: str
    load_s: float
    version: str

    @property
    def first_day(self) -> datetime:
        return datetime.fromisoformat(self.start)


# u(k) is uniform in [0, 1) and the same whenever the number is.
_CALLS: Final = """
WITH dice AS (
    SELECT
        n,
        (hashint8extended(n, 1) & 2147483647) / 2147483648.0::float8 AS u_key,
        (hashint8extended(n, 2) & 2147483647) / 2147483648.0::float8 AS u_model,
        (hashint8extended(n, 3) & 2147483647) / 2147483648.0::float8 AS u_failed,
        (hashint8extended(n, 4) & 2147483647) / 2147483648.0::float8 AS u_input,
        (hashint8extended(n, 5) & 2147483647) / 2147483648.0::float8 AS u_output,
        (hashint8extended(n, 6) & 2147483647) / 2147483648.0::float8 AS u_latency,
        (hashint8extended(n, 7) & 2147483647) / 2147483648.0::float8 AS u_hour,
        hashint8extended(n, 8) AS bits,
        $3::timestamptz + $4::interval * ((n - $1)::float8 / ($2 - $1)) AS even
    FROM generate_series($5::bigint, $6::bigint - 1) AS n
), placed AS (
    SELECT
        *,
        floor($7::integer * CASE WHEN $20 THEN u_key ELSE u_key * u_key END)::integer AS key,
        u_failed < $8 AS failed,
        date_trunc('milliseconds', CASE
            WHEN bits & 7 < 3 THEN date_trunc('day', even, 'UTC') + interval '8 h' + interval '10 h' * u_hour
            ELSE even
        END) AS started_at,
        200 + floor(-ln(1 - u_input) * 2000)::integer AS input_tokens,
        CASE WHEN u_failed < $8 THEN 0 ELSE floor(-ln(1 - u_output) * 400)::integer END AS output_tokens,
        150 + floor(-ln(1 - u_latency) * 1500)::integer AS latency_ms,
        md5(md5(n::text))::uuid::text AS source_id
    FROM dice
), chosen AS (
    SELECT
        *, ($11::integer[])[1 + key % cardinality($11)] AS account_id,
        1 + (key * 7 + floor($9::integer * u_model * u_model)::integer * 11) % $10::integer AS model
    FROM placed
), hashed AS (  -- as service.storage.ids.call_uuid_hex
    SELECT *, encode(sha256(
        int4send(octet_length(account_id::text)) || convert_to(account_id::text, 'UTF8')
        || int4send(6) || convert_to('native', 'UTF8') || int4send(36) || convert_to(source_id, 'UTF8')
        || int8send(floor(extract(epoch FROM started_at) * 1000)::bigint)
    ), 'hex') AS noise
    FROM chosen
)
INSERT INTO call (
    started_at, error_at, id, digest, user_token, account_id, input_tokens, output_tokens, cache_read_tokens,
    latency_ms, time_to_first_token_ms, tier, source, amount_source, failed, streamed, amount, source_id, model,
    served_model, provider, operation, api_key, currency, error_type, error_code, tags
)
SELECT
    started_at,
    CASE WHEN failed AND started_at >= $17 AND account_id % $22 = 0 THEN started_at + latency_ms * interval '1 ms' END,
    (
        lpad(to_hex(floor(extract(epoch FROM started_at) * 1000)::bigint), 12, '0') || '8' || substr(noise, 14, 3)
        || substr('89ab', 1 + (bits >> 8 & 3)::integer, 1) || substr(noise, 18, 15)
    )::uuid,
    hashint8extended(n, 9), CASE WHEN account_id % $22 = 0 THEN hashint8extended(bits & 4095, 10) END, account_id,
    input_tokens, output_tokens, CASE WHEN bits >> 16 & 7 < 2 THEN input_tokens / 2 ELSE 0 END, latency_ms,
    CASE WHEN NOT failed THEN latency_ms / 4 END, $18::smallint, 1, 1, failed, bits >> 20 & 7 < 5,
    CASE
        WHEN failed THEN 0
        ELSE (input_tokens::bigint * ($14::integer[])[model] + output_tokens::bigint * ($15::integer[])[model])::numeric
            * 0.000000001
    END,
    source_id, ($12::text[])[model], ($12::text[])[model] || '-20250929', ($13::text[])[model], 'chat',
    'prod-key-' || lpad((key % $21)::text, 3, '0'), 'USD',
    CASE WHEN failed THEN ($16::text[])[1 + (bits >> 24 & 3)::integer] END, CASE WHEN failed THEN '429' END,
    CASE WHEN bits >> 30 & 1 = 1 THEN jsonb_build_object('team', ($19::text[])[1 + (bits >> 31 & 3)::integer]) END
FROM hashed
ORDER BY started_at  -- as they are reported, and as the peers' plain table has them
"""
_FEED: Final[str] = import_module("migrations.0029_change_feed").EARLIER_CALLS
"""Gives calls their places in the change feed."""

_ROLL_UP: Final = """
INSERT INTO {table} (
    bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets, latency_counts
)
SELECT
    bucket_at, account_id, tier, failed, model, provider, api_key, currency, sum(calls), sum(input_tokens),
    sum(output_tokens), sum(cache_read_tokens), 0, 0, sum(priced), sum(amount), 0,
    coalesce(array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{{}}'),
    coalesce(array_agg(calls ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{{}}')
FROM (
    SELECT
        {bucket} AS bucket_at, account_id, tier, failed, model, coalesce(provider, '') AS provider,
        coalesce(api_key, '') AS api_key, coalesce(currency, '') AS currency,
        calledger_latency_bucket(latency_ms) AS bin, count(*) AS calls, sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens, sum(cache_read_tokens) AS cache_read_tokens, count(amount) AS priced,
        coalesce(sum(amount), 0) AS amount
    FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) AS binned
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_ROLL_UPS: Final = (
    _ROLL_UP.format(table="usage_quarter", bucket="date_bin('15 minutes', started_at, '1970-01-01 00:00:00+00')"),
    _ROLL_UP.format(table="usage_day", bucket="date_trunc('day', started_at, 'UTC')"),
)
_RESTING: Final = {
    sums.table: f"WITH {added(sums, store.value)} SELECT" for store, resting in DERIVED_SUMS.items() for sums in resting
}


def folder(calls: int | Shape) -> Path:
    """The data folder of a ledger with so many calls, for later runs too; emptied when it is of no use any more."""
    path = FOLDER / _shape_of(calls).name
    if path.exists() and _fit(path) is None:
        say(f"`{path.name}` is of another version, or old, or was cut short: it is loaded anew")
        shutil.rmtree(path)
    return path


def _shape_of(calls: int | Shape) -> Shape:
    return calls if isinstance(calls, Shape) else Shape(calls)


def filled(calledger: Calledger, calls: int | Shape) -> Filled:
    """See to it that the running `calledger` holds `calls` calls, by loading them unless they are there already."""
    found = _fit(calledger.data)
    if found is None:
        found = asyncio.run(_fill(calledger, _shape_of(calls)))
        (calledger.data / _MARK).write_text(json.dumps(asdict(found)))
    return found


def _fit(data: Path) -> Filled | None:
    """What was loaded, if it is whole, not too old, and as this version would load it."""
    try:
        found = Filled(**json.loads((data / _MARK).read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return None
    fresh = datetime.now(UTC) - found.first_day - timedelta(days=DAYS) < _MAX_AGE
    return found if fresh and found.version == _version() else None


def _version() -> str:
    """Of everything that says what is stored, and how."""
    files = [
        Path(__file__),
        Path(sample.__file__),
        Path(__file__).with_name("errors.py"),
        *(ROOT / "service" / "keyring").glob("*.py"),
    ]
    files += (ROOT / "migrations").glob("*.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:16]


async def _fill(calledger: Calledger, shape: Shape) -> Filled:
    begin = time.monotonic()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=DAYS)
    async with open_runtime(Settings(data=calledger.data)) as runtime:
        tiers = await _tiers(runtime, shape)
        days = [start + timedelta(days=day) for day in range(DAYS)]
        places = [(store, tier, day) for tier in tiers for store in Store for day in [*days, midnight]]
        await runtime.partitions.ensure(runtime.applied.policy, places)
        await _make_keys(runtime, tiers, days, shape.named)
        say(f"  keys made, {time.monotonic() - begin:.0f} s")
        await store_calls(runtime, shape, start, tiers)
        await runtime.database.owner.execute(_FEED, timeout=3600)
        say(f"  calls stored, {time.monotonic() - begin:.0f} s")
        errors = admitted_errors(runtime)
        for tier in tiers:
            for day in days[-_ERROR_DAYS:]:
                await add_errors(runtime, errors, tier, day)
        say(f"  errors sealed, {time.monotonic() - begin:.0f} s")
        for tier in tiers:
            await _roll_up(runtime, tier, days)
        for statement in _RESTING.values():
            await runtime.database.owner.execute(statement, timeout=3600)
        await _sum_by_tag(runtime, tiers, days)
        say(f"  rollups summed, {time.monotonic() - begin:.0f} s")
        async with runtime.database.owner.acquire() as connection:
            for table in (*Store, "usage_delta", *_RESTING, *EVERY_TABLE, "account", "account_tier"):
                await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
        # As maintenance does, a few an hour.
        if await leave_unsummed(runtime.retention, work_s=float("inf"), settled=timedelta(0)):
            # Tables as if days had been summed one after the other, and each had left its room to the next.
            async with runtime.database.owner.acquire() as connection:
                for table in UNSUMMED_TABLES:
                    await connection.execute(f"VACUUM (FULL, ANALYZE) {table}", timeout=3600)
        while await pack(runtime.database.owner, runtime.partitions, datetime.now(UTC)):
            continue
    seconds = time.monotonic() - begin
    say(f"  {shape.calls} calls loaded in {seconds:.0f} s")
    return Filled(shape.calls, start.isoformat(), round(seconds, 1), _version())


async def _tiers(runtime: Runtime, shape: Shape) -> dict[int, list[int]]:
    """The ids of the accounts by tier, which are made. The policy in force has to have as many tiers."""
    policy = runtime.applied.policy
    default = policy.tiers[policy.default_tier].number
    numbers = [default, *sorted({tier.number for tier in policy.tiers.values()} - {default})][: shape.tiers]
    names, tiers = shape.account_names, dict[int, list[int]]()
    for place, number in enumerate(numbers):
        runtime.accounts.default_tier = number
        ids = [*(await runtime.accounts.ensure(names[place :: len(numbers)])).values()]
        tiers[number] = sorted(ids)
    runtime.accounts.default_tier = default
    return tiers


async def _make_keys(runtime: Runtime, tiers: Mapping[int, list[int]], days: Sequence[datetime], named: int) -> None:
    """What pseudonyms are made with: keys of days, and of accounts."""
    periods = [PeriodKeyName(tier, DataClass.PERSONAL.value, f"{day:%Y-%m-%d}") for tier in tiers for day in days]
    names = [
        *periods,
        *(AccountKeyName(account) for accounts in tiers.values() for account in accounts if account % named == 0),
    ]
    for first in range(0, len(names), _KEYS_AT_ONCE):
        some = names[first : first + _KEYS_AT_ONCE]
        await asyncio.gather(*(runtime.keyring.key(name, mint=True) for name in some))


async def store_calls(runtime: Runtime, shape: Shape, start: datetime, tiers: Mapping[int, list[int]]) -> None:
    """Store the calls, as many in each tier."""
    begin, done = time.monotonic(), 0
    names, providers, inputs, outputs = (list(column) for column in zip(*shape.catalogue, strict=True))
    bounds = [shape.calls * place // len(tiers) for place in range(len(tiers) + 1)]
    parts = [
        (bounds[place], bounds[place + 1], first, min(first + SLICE, bounds[place + 1]), tier)
        for place, tier in enumerate(tiers)
        for first in range(bounds[place], bounds[place + 1], SLICE)
    ]
    queue = iter(parts)

    async def work() -> None:
        nonlocal done
        async with runtime.database.owner.acquire() as connection:
            for low, high, first, last, tier in queue:
                spread = max(shape.keys // len(tiers), len(tiers[tier])) if shape.even else shape.keys
                await connection.execute(
                    _CALLS, low, high, start, timedelta(days=DAYS), first, last, spread, sample.FAILED_SHARE,
                    sample.MODELS_PER_KEY, len(names), tiers[tier], names, providers, inputs, outputs,
                    [error[0] for error in sample.ERRORS], start + timedelta(days=DAYS - _ERROR_DAYS), tier,
                    list(sample.TEAMS), shape.even, shape.keys, shape.named, timeout=3600,
                )  # fmt: skip
                done += last - first
                say(f"  {done:>9} calls, {time.monotonic() - begin:.0f} s")

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def _roll_up(runtime: Runtime, tier: int, days: Sequence[datetime]) -> None:
    queue = iter(days)

    async def work() -> None:
        async with runtime.database.owner.acquire() as connection:
            for day in queue:
                for statement in _ROLL_UPS:
                    await connection.execute(statement, tier, day, day + timedelta(days=1), timeout=3600)

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def _sum_by_tag(runtime: Runtime, tiers: Iterable[int], days: Sequence[datetime]) -> None:
    await keep_tags(runtime.retention)
    summed = sorted(runtime.applied.policy.summed_tags)
    async with runtime.database.owner.acquire() as connection:
        for tier in tiers:
            for day in days:
                await remake_tags(connection, tier, day, day + timedelta(days=1), summed)
    await Compaction(runtime.database.owner).compact_all()


async def connect(calledger: Calledger) -> asyncpg.Connection:
    """A connection as the owner, as the service's own are set up."""
    return await asyncpg.connect(calledger.database_url, server_settings={"timezone": "UTC", "jit": "off"})
