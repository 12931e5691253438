"""Fills a ledger with millions of calls: rows as the writer would have stored them, made by PostgreSQL itself.

Calls are computed by SQL from hashes of their number, straight into the partitions; errors go through admission and
the keyring as ever; the rollups are summed from the calls, in the form that the folder leaves behind. `calledger fsck`
finds nothing to say about the result. Ten million calls through HTTP would take most of an hour.
"""

import asyncio
import hashlib
import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks import sample
from benchmarks.calledger import Calledger
from benchmarks.places import FOLDER, ROOT, say
from policies import Admission, ErrorReport, Report, Store
from policies.redaction import Redactor
from service.ingest.preparation.batch_context import Sealer
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.tag_keys import keep_tags
from service.retention.rollups.tag_sums import EVERY_TABLE, remake_tags
from service.retention.rollups.totals import DERIVED_SUMS, added
from service.runtime.runtime import Runtime, open_runtime
from service.settings import Settings
from service.storage.ids import Identities
from service.storage.packing import pack

DAYS: Final = 31
"""Whole UTC days: 30 of them, or 30 local days anywhere."""
SLICE: Final = 250_000
_ERROR_DAYS: Final = 28
_MAX_AGE: Final = timedelta(days=20)
_MARK: Final = "filled.json"
_CONNECTIONS: Final = 2


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
        floor($7::integer * u_key * u_key)::integer AS key,
        u_failed < $8 AS failed,
        date_trunc('milliseconds', CASE
            WHEN bits & 7 < 3 THEN date_trunc('day', even, 'UTC') + interval '8 h' + interval '10 h' * u_hour
            ELSE even
        END) AS started_at,
        200 + floor(-ln(1 - u_input) * 2000)::integer AS input_tokens,
        CASE WHEN u_failed < $8 THEN 0 ELSE floor(-ln(1 - u_output) * 400)::integer END AS output_tokens,
        150 + floor(-ln(1 - u_latency) * 1500)::integer AS latency_ms,
        md5(n::text) AS noise
    FROM dice
), chosen AS (
    SELECT *, 1 + (key * 7 + floor($9::integer * u_model * u_model)::integer * 11) % $10::integer AS model
    FROM placed
)
INSERT INTO call (
    started_at, error_at, id, digest, user_token, account_id, input_tokens, output_tokens, cache_read_tokens,
    latency_ms, time_to_first_token_ms, tier, source, amount_source, failed, streamed, amount, source_id, model,
    served_model, provider, operation, api_key, currency, error_type, error_code, tags
)
SELECT
    started_at,
    CASE WHEN failed AND started_at >= $17 THEN started_at + latency_ms * interval '1 ms' END,
    (
        lpad(to_hex(floor(extract(epoch FROM started_at) * 1000)::bigint), 12, '0') || '8' || substr(noise, 1, 3)
        || substr('89ab', 1 + (bits >> 8 & 3)::integer, 1) || substr(noise, 4, 15)
    )::uuid,
    hashint8extended(n, 9), hashint8extended(bits & 4095, 10), ($11::integer[])[1 + key % cardinality($11)],
    input_tokens, output_tokens, CASE WHEN bits >> 16 & 7 < 2 THEN input_tokens / 2 ELSE 0 END, latency_ms,
    CASE WHEN NOT failed THEN latency_ms / 4 END, $18::smallint, 1, 1, failed, bits >> 20 & 7 < 5,
    CASE
        WHEN failed THEN 0
        ELSE (input_tokens::bigint * ($14::integer[])[model] + output_tokens::bigint * ($15::integer[])[model])::numeric
            * 0.000000001
    END,
    md5(noise)::uuid::text, ($12::text[])[model], ($12::text[])[model] || '-20250929', ($13::text[])[model], 'chat',
    'prod-key-' || lpad(key::text, 3, '0'), 'USD',
    CASE WHEN failed THEN ($16::text[])[1 + (bits >> 24 & 3)::integer] END, CASE WHEN failed THEN '429' END,
    CASE WHEN bits >> 30 & 1 = 1 THEN jsonb_build_object('team', ($19::text[])[1 + (bits >> 31 & 3)::integer]) END
FROM chosen
"""

_FAILED: Final = """
SELECT account_id, tier, started_at, error_at, id, user_token, api_key, model, provider, error_type, error_code
FROM call WHERE error_at IS NOT NULL AND tier = $1 AND started_at >= $2 AND started_at < $3
"""
_ERROR_COLUMNS: Final = (
    "account_id", "tier", "started_at", "occurred_at", "id", "user_token", "api_key", "model", "provider",
    "error_type", "error_code", "fingerprint", "rules", "rule_counts", "sealed",
)  # fmt: skip

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


def folder(calls: int) -> Path:
    """The data folder of a ledger with so many calls, for later runs too; emptied when it is of no use any more."""
    path = FOLDER / f"calls-{calls}"
    if path.exists() and _fit(path) is None:
        say(f"`{path.name}` is of another version, or old, or was cut short: it is loaded anew")
        shutil.rmtree(path)
    return path


def filled(calledger: Calledger, calls: int) -> Filled:
    """See to it that the running `calledger` holds `calls` calls, by loading them unless they are there already."""
    found = _fit(calledger.data)
    if found is None:
        found = asyncio.run(_fill(calledger, calls))
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
    files = [Path(__file__), Path(sample.__file__), *(ROOT / "service" / "keyring").glob("*.py")]
    files += (ROOT / "migrations").glob("*.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:16]


async def _fill(calledger: Calledger, calls: int) -> Filled:
    begin = time.monotonic()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=DAYS)
    async with open_runtime(Settings(data=calledger.data)) as runtime:
        policy = runtime.applied.policy
        tier = policy.tiers[policy.default_tier].number
        numbers = await runtime.accounts.ensure(sample.ACCOUNTS)
        days = [start + timedelta(days=day) for day in range(DAYS)]
        await runtime.partitions.ensure(policy, [(store, tier, day) for store in Store for day in [*days, midnight]])
        shape = _shape([numbers[name] for name in sample.ACCOUNTS], tier, start, calls)
        await _in_slices(runtime, shape, calls)
        for day in days[-_ERROR_DAYS:]:
            await _add_errors(runtime, tier, day)
        say(f"  errors sealed, {time.monotonic() - begin:.0f} s")
        await _roll_up(runtime, tier, days)
        for statement in _RESTING.values():
            await runtime.database.owner.execute(statement, timeout=3600)
        await _sum_by_tag(runtime, tier, days)
        say(f"  rollups summed, {time.monotonic() - begin:.0f} s")
        async with runtime.database.owner.acquire() as connection:
            for table in (*Store, "usage_delta", *_RESTING, *EVERY_TABLE):
                await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
        # As maintenance does, a few an hour.
        while await pack(runtime.database.owner, runtime.partitions, datetime.now(UTC)):
            continue
    seconds = time.monotonic() - begin
    say(f"  {calls} calls loaded in {seconds:.0f} s")
    return Filled(calls, start.isoformat(), round(seconds, 1), _version())


def _shape(accounts: list[int], tier: int, start: datetime, calls: int) -> list[Any]:
    """The statement's arguments, but for the numbers of one slice (5 and 6)."""
    names, providers, inputs, outputs = (list(column) for column in zip(*sample.MODELS, strict=True))
    return [
        0, calls, start, timedelta(days=DAYS), None, None, sample.KEYS, sample.FAILED_SHARE, sample.MODELS_PER_KEY,
        len(names), accounts, names, providers, inputs, outputs, [error[0] for error in sample.ERRORS],
        start + timedelta(days=DAYS - _ERROR_DAYS), tier, list(sample.TEAMS),
    ]  # fmt: skip


async def _in_slices(runtime: Runtime, shape: Sequence[Any], calls: int) -> None:
    begin = time.monotonic()
    starts = iter(range(0, calls, SLICE))
    done = 0

    async def work() -> None:
        nonlocal done
        async with runtime.database.owner.acquire() as connection:
            for first in starts:
                last = min(first + SLICE, calls)
                await connection.execute(_CALLS, *shape[:4], first, last, *shape[6:], timeout=3600)
                done += last - first
                say(f"  {done:>9} calls, {time.monotonic() - begin:.0f} s")

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def _add_errors(runtime: Runtime, tier: int, day: datetime) -> None:
    """Errors of the day's failed calls: admitted once a kind, sealed each by itself."""
    admission = Admission(runtime.applied.policy, Redactor())
    identities = Identities(await runtime.keyring.secret("pepper"))
    dice = random.Random(day.toordinal())
    errors = [_admitted(admission, dice) for _ in range(24)]
    sealer = Sealer(runtime.keyring)
    async with runtime.database.owner.acquire() as connection:
        rows = []
        for row in await connection.fetch(_FAILED, tier, day, day + timedelta(days=1)):
            error = dice.choice(errors)
            where = {"account_id": row["account_id"], "tier": tier, "record": row["id"], "moment": row["error_at"]}
            sealed = await sealer.seal(error.blob, **where)
            fingerprint = identities.error_fingerprint(error.fingerprint_basis)
            rows.append((*row.values(), fingerprint, list(error.rules), list(error.rules.values()), sealed))
        await connection.copy_records_to_table("call_error", records=rows, columns=_ERROR_COLUMNS)


def _admitted(admission: Admission, dice: random.Random):
    error = sample.sample_error(dice, dice.choice(sample.MODELS)[0])
    report = Report(
        source="native",
        source_id="sample",
        started_at=datetime.now(UTC),
        model="gpt-4o",
        failed=True,
        error=ErrorReport(error["type"], error["code"], error["message"], error["parameters"], None),
    )
    return admission.admit(report).error


async def _roll_up(runtime: Runtime, tier: int, days: Sequence[datetime]) -> None:
    queue = iter(days)

    async def work() -> None:
        async with runtime.database.owner.acquire() as connection:
            for day in queue:
                for statement in _ROLL_UPS:
                    await connection.execute(statement, tier, day, day + timedelta(days=1), timeout=3600)

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def _sum_by_tag(runtime: Runtime, tier: int, days: Sequence[datetime]) -> None:
    await keep_tags(runtime.retention)
    async with runtime.database.owner.acquire() as connection:
        for day in days:
            await remake_tags(
                connection, tier, day, day + timedelta(days=1), sorted(runtime.applied.policy.summed_tags)
            )
    await Compaction(runtime.database.owner).compact_all()


async def connect(calledger: Calledger) -> asyncpg.Connection:
    """A connection as the owner, as the service's own are set up."""
    return await asyncpg.connect(calledger.database_url, server_settings={"timezone": "UTC", "jit": "off"})
