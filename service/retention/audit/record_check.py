"""The tables compared with the ledger: API keys, holds, erasures, purges, policies, tiers, accounts, exports, webhooks,
budgets, sources and statements of retention are as the entries say.

Each function yields the differences in words: which row, what the ledger says, what the table says.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import asyncpg

from policies.evidence import moment
from policies.evidence.record import Record
from policies.evidence.recorded import RecordedExport, RecordedIdlePurges
from service.access.keys import mac_digest
from service.ledger import read_record
from service.retention.account_names import name_digest
from service.retention.audit.attestation_check import ATTESTATIONS, attestations
from service.retention.audit.erasure_check import ERASURES, erasure_differences
from service.retention.audit.webhook_check import BUDGETS, SOURCES, WEBHOOKS, budgets, sources, webhooks
from service.retention.context import RetentionContext
from service.retention.errors import PurgeFailedError
from service.retention.holds.hold_record import hold_differences
from service.retention.purge_runs import ENDED, PurgeState, decode
from service.storage.control.accounts import ERASED
from service.storage.control.exports import PREFIX, REMEMBERED
from service.storage.database import uuid_of
from service.storage.ids import public_id

Result = tuple[list[str], str]
_Name = TypeVar("_Name", str, int)
_Known = TypeVar("_Known")

_KEYS: Final = (
    "SELECT prefix, role, accounts, mac, expires_at, revoked_at, sessions_hour FROM api_key ORDER BY created_at, prefix"
)
"""All API keys, to be held against the ledger."""
_HOLDS: Final = """
    SELECT hold.*, note.text AS note FROM hold LEFT JOIN ledger_note AS note ON note.index = hold.ledger_index
    ORDER BY placed_at, id
"""
"""All holds with their notes, to be held against the ledger."""
_PURGES: Final = "SELECT * FROM purge_run ORDER BY planned_at, id"
"""All purges, to be held against the ledger."""
_POLICIES: Final = """
    SELECT version, digest, applied_by, approved_by, applied_at FROM policy_version ORDER BY version
"""
"""All versions of the policy, to be held against the ledger."""
_TIERS: Final = """
    SELECT account_id, tier, from_at FROM account_tier ORDER BY account_id, from_at
"""
"""The tiers of all accounts, to be held against the ledger."""
_ACCOUNTS: Final = """
    SELECT id, name, name_salt, created_at,
           EXISTS (SELECT FROM account_tier WHERE account_id = account.id AND from_at = '1970-01-01Z') AS placed
    FROM account ORDER BY id
"""
"""All accounts, their names to be held against the ledger's digests; whether each has the tier that it began in."""
_EXPORTS: Final = """
    SELECT id, kind, state, requested_by, role, accounts, rows, sha256, expires_at, clock.now
    FROM (SELECT clock_timestamp() AS now) AS clock LEFT JOIN export ON true ORDER BY requested_at, id
"""
"""All files that keys asked for, to be held against the ledger."""
_REMOVALS: Final = "SELECT field, version, rows FROM field_removal ORDER BY version, field"
"""Fields whose older values were removed, to be held against the ledger."""
_INSTALLATION: Final = "SELECT demo FROM installation"
"""Whether the ledger says of itself that its calls are invented."""
_IDLE_LATER_MAX: Final = timedelta(days=1)
_EXPORT_KEPT_MAX: Final = timedelta(hours=721)
"""`CALLEDGER_EXPORT_HOURS` at most, and what a row and its entry are apart."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def differences(context: RetentionContext) -> AsyncIterator[str]:
    """Every difference between a table and the ledger, in words."""
    record = await read_record(context.ledger)
    for _, (statement, compare) in COMPARED.items():
        for one in compare(record, await context.owner.fetch(statement)):
            yield one


def check_of(what: str) -> Callable[[RetentionContext, datetime], Awaitable[Result]]:
    """A check of fsck: one of `COMPARED`."""
    statement, compare = COMPARED[what]

    async def check(context: RetentionContext, _: datetime) -> Result:
        """Compare the rows of the table with the ledger."""
        # The rows are read first: an entry is visible before its row is, or together with it.
        rows = await context.owner.fetch(statement)
        wrong = list(compare(await read_record(context.ledger), rows))
        return wrong, f"{sum(row[0] is not None for row in rows)} rows, as the ledger has them"

    return check


def _keys(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        name, known = f"key `{row['prefix']}`", record.keys.get(row["prefix"])
        if known is None:
            if row["revoked_at"] is None:
                yield f"{name} is in no entry of the ledger: it is refused; revoke it"
            continue
        accounts = None if row["accounts"] is None else tuple(json.loads(row["accounts"]))
        if known.ended is None and row["revoked_at"] is not None:
            yield f"{name} is live in the ledger and revoked here: it is refused"
        if known.ended is not None and row["revoked_at"] is None:
            yield f"{name} was revoked by entry {known.ended} and is live here: it is refused; revoke it again"
        pairs = {
            "role": (known.role, row["role"]),
            "accounts": (known.accounts, accounts),
            "expires_at": (known.expires_at, row["expires_at"] and moment(row["expires_at"])),
        }
        if known.mac is not None:
            pairs["mac"] = (known.mac, mac_digest(row["mac"]))
        if known.ended is None or row["revoked_at"] is None:
            yield from _differing_columns(name, pairs)
        hour = row["sessions_hour"] and moment(row["sessions_hour"])
        if hour and hour > (known.sessions_hour or ""):
            # Then its tokens of that hour, and of those before it, would have no entry.
            yield f"{name} gave out session tokens in the hour `{hour}` here, and in no entry of the ledger"
    yield from _missing_rows("key", record.keys, {row["prefix"] for row in rows}, lambda known: known.index)


def _holds(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        known = record.holds.get(str(row["id"]))
        if known is None:
            yield f"hold `{row['id']}` is in no entry of the ledger"
        else:
            yield from hold_differences(known, row)
    yield from _missing_rows("hold", record.holds, {str(row["id"]) for row in rows}, lambda known: known.index)


def _erasures(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        name, known = f"erasure `{row['id']}`", record.erasures.get(str(row["id"]))
        if known is None:
            yield f"{name} is in no entry of the ledger"
            continue
        yield from erasure_differences(record, name, known, row)
        pairs = {"kind": (known.kind, row["kind"]), "account": (known.account, row["account_id"])}
        if known.kind is not None:
            yield from _differing_columns(name, pairs | {"requested_by": (known.actor, row["requested_by"])})
    yield from _missing_rows("erasure", record.erasures, {str(row["id"]) for row in rows}, lambda known: known.index)


def _purges(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        name, known = f"purge `{row['id']}`", record.purges.get(str(row["id"]))
        if known is None:
            idle = record.idle_purges.get(str(row["id"]))
            yield from _unledgered_purge(name, row, record.idle_since) if idle is None else _idle_purge(name, row, idle)
            continue
        result = known.result or {}
        ended = row["state"] in ENDED
        if ended != (known.result is not None):
            yield f"{name} has {'' if known.result else 'not '}ended in the ledger and is {row['state']} here"
        pairs = {"plan_digest": (known.plan, row["plan_digest"])} if known.plan else {}
        pairs["requested_by"] = (known.actor, row["requested_by"])
        if ended and result:
            pairs |= {
                "state": (result["state"], row["state"]),
                "rows_dropped": (result["rows"], row["rows_dropped"]),
                "keys_destroyed": (result["keys"], row["keys_destroyed"]),
                "rows_held_back": (result["held"], row["rows_held_back"]),
            }
            if "finished_at" in result:
                pairs["finished_at"] = (result["finished_at"], row["finished_at"] and moment(row["finished_at"]))
        yield from _differing_columns(name, pairs)
        yield from _plan_differences(name, row)
    there = {str(row["id"]) for row in rows}
    yield from _missing_rows("purge", record.purges, there, lambda known: known.index)
    yield from _missing_rows("purge", record.idle_purges, there, lambda known: known.index)


def _unledgered_purge(name: str, row: asyncpg.Record, idle_since: str | None) -> Iterable[str]:
    """One that has not said yet what it will do has no entry, nor has one from before idle purges had them."""
    if row["keys_destroyed"] or row["rows_dropped"] or row["rows_held_back"]:
        yield f"{name} has destroyed something, and is in no entry of the ledger"
    elif row["state"] == PurgeState.DONE and idle_since is not None and moment(row["planned_at"]) > idle_since:
        yield f"{name} has ended, and is in no entry of the ledger"
    yield from _plan_differences(name, row)


def _idle_purge(name: str, row: asyncpg.Record, known: RecordedIdlePurges) -> Iterable[str]:
    """Purges in a row that found nothing due; the newest of them may be a day younger than their entry."""
    pairs = {
        "state": (PurgeState.DONE.value, row["state"]),
        "plan_digest": (known.plan, row["plan_digest"]),
        "requested_by": (known.actor, row["requested_by"]),
        "planned_at": (known.planned_at, moment(row["planned_at"])),
        "rows_dropped": (0, row["rows_dropped"]),
        "keys_destroyed": (0, row["keys_destroyed"]),
        "rows_held_back": (0, row["rows_held_back"]),
    }
    yield from _differing_columns(name, pairs)
    ended = row["finished_at"]
    until = datetime.fromisoformat(known.finished_at)
    if ended is None or not until <= ended <= until + _IDLE_LATER_MAX:
        yield f"{name}: finished_at is `{known.finished_at}` in the ledger and `{ended and moment(ended)}` here"
    yield from _plan_differences(name, row)


def _exports(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    here = {public_id(PREFIX, uuid_of(row["id"])): row for row in rows if row["id"] is not None}
    for id_, row in here.items():
        name, known = f"export `{id_}`", record.exports.get(id_)
        if known is not None:
            yield from _export_differences(name, known, row)
        elif row["state"] in ("READY", "EXPIRED") or row["kind"] == "EVIDENCE":
            yield f"{name} is in no entry of the ledger"
    now = rows[0]["now"]  # there is one row even without an export
    for id_, known in record.exports.items():
        # A record goes a month after its file, and no file is kept for less than an hour.
        if id_ not in here and now - REMEMBERED < known.recorded_at <= now:
            yield f"export `{id_}` is in entry {known.index} of the ledger and not here"


def _export_differences(name: str, known: RecordedExport, row: asyncpg.Record) -> Iterable[str]:
    facts = known.facts
    pairs: dict[str, tuple[object, object]] = {"requested_by": (known.actor, row["requested_by"])}
    kind = facts.get("kind", "EVIDENCE")
    pairs["kind"] = (kind, row["kind"])
    if kind != "EVIDENCE":
        accounts = None if row["accounts"] is None else json.loads(row["accounts"])
        pairs |= {
            "role": (facts["role"], row["role"]),
            "accounts": (facts["accounts"], accounts),
            "rows": (facts["rows"], row["rows"]),
            "sha256": (facts["sha256"], row["sha256"]),
        }
        expires_at = row["expires_at"]
        if expires_at is not None and expires_at > known.recorded_at + _EXPORT_KEPT_MAX:
            yield f"{name} may be fetched until {expires_at:%Y-%m-%d}, later than any file"
        if row["state"] not in ("READY", "EXPIRED"):
            yield f"{name} was written by the ledger and is {row['state']} here"
    yield from _differing_columns(name, pairs)


def _removals(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    here = {(row["field"], row["version"]): row["rows"] for row in rows}
    for (field, version), count in here.items():
        name = f"the removal of `{_printable(field)}` since policy version {version}"
        known = record.removals.get((field, version))
        if known is None:
            yield f"{name} is in no entry of the ledger: it is done again"
        elif known[1] != count:
            yield f"{name}: rows is `{known[1]}` in the ledger and `{count}` here"
    for (field, version), (index, _) in record.removals.items():
        if (field, version) not in here:
            yield f"the removal of `{field}` since version {version} is in entry {index} of the ledger and not here"


def _installation(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        if row["demo"] != record.demo:
            said = ("sample calls are loaded", "no sample calls are loaded")
            yield f"{said[not record.demo]} by the ledger, and {said[not row['demo']]} by the table `installation`"


def _accounts(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    asked = {one.account: one.rows is not None for one in record.erasures.values() if one.kind == "ACCOUNT"}
    for row in rows:
        known, name = record.accounts.get(row["id"]), f"account {row['id']}"
        if row["name"].startswith(ERASED):
            if row["id"] not in asked:
                yield f"{name} is erased here, and in no entry of the ledger"
        elif asked.get(row["id"]):
            yield f"{name} was erased, and has a name here"
        elif known is not None and (row["name_salt"] is None or name_digest(row) != known.name):
            yield f"{name} has another name than in entry {known.index} of the ledger: new calls go elsewhere"
        if known is not None and row["created_at"] > known.recorded_at:
            yield f"{name} was made after entry {known.index} of the ledger, which names it"
        if not row["placed"]:
            yield f"{name} has no tier that it began in: no call made it"
    yield from _missing_rows("account", record.accounts, {row["id"] for row in rows}, lambda known: known.index)


def _plan_differences(name: str, row: asyncpg.Record) -> Iterable[str]:
    try:
        run = decode(row)
    except PurgeFailedError:
        yield f"{name}: its plan cannot be read"
        return
    if not run.spared and run.plan.digest() != run.digest:
        yield f"{name}: its plan is not the one that its digest names"
    counted = sum(part.rows_estimate for part in run.plan.partitions)
    if run.state is PurgeState.DONE and counted != run.rows_dropped:
        yield f"{name}: the partitions of its plan had {counted} rows, and {run.rows_dropped} are said to be dropped"


def _policies(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    for row in rows:
        name, known = f"policy version {row['version']}", record.policies.get(row["version"])
        if known is None:
            if record.policies:  # the first policy may be older than its ledger
                yield f"{name} is in no entry of the ledger"
            continue
        pairs = {
            "digest": (known.digest, row["digest"]),
            "applied_by": (known.applied_by, row["applied_by"]),
            "approved_by": (known.approved_by, row["approved_by"]),
        }
        if known.applied_at is not None:
            pairs["applied_at"] = (known.applied_at, moment(row["applied_at"]))
        yield from _differing_columns(name, pairs)
    yield from _missing_rows(
        "policy version", record.policies, {row["version"] for row in rows}, lambda known: known.index
    )


def _tiers(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    here = {(row["account_id"], row["from_at"].astimezone(UTC)): row["tier"] for row in rows}
    moved = {(account, datetime.fromisoformat(day)): tier for (account, day), tier in record.tiers.items()}
    for (account, start), tier in here.items():
        name = f"account {account}"
        if start == _EPOCH:
            first = record.first_tiers.get(account)
            if first is not None and first != tier:
                yield f"{name} began in tier {first} by the ledger and in tier {tier} here"
        elif (account, start) not in moved:
            yield f"{name} is moved to tier {tier} from {start:%Y-%m-%d} on, and no entry of the ledger says so"
        elif moved[account, start] != tier:
            yield f"{name} is in tier {moved[account, start]} from {start:%Y-%m-%d} on by the ledger, in {tier} here"
    for account, start in sorted(moved.keys() - here.keys()):
        yield f"account {account} was moved to tier {moved[account, start]} from {start:%Y-%m-%d} on, and is not here"


def _differing_columns(name: str, pairs: Mapping[str, tuple[object, object]]) -> Iterable[str]:
    for column, (ledgered, stored) in pairs.items():
        if ledgered != stored:
            yield f"{name}: {column} is `{_printable(ledgered)}` in the ledger and `{_printable(stored)}` here"


def _missing_rows(
    what: str, known: Mapping[_Name, _Known], here: set[_Name], index: Callable[[_Known], int]
) -> Iterable[str]:
    for name, entry in known.items():
        if name not in here:
            yield f"{what} `{name}` is in entry {index(entry)} of the ledger and not here"


def _printable(value: object) -> str:
    """A value in few characters: what somebody typed into the database may be anything."""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    text = "none" if value is None else str(value)
    return "".join(char if char.isprintable() and char != "`" else "?" for char in text)[:80]


COMPARED: Final = {
    "api keys": (_KEYS, _keys),
    "hold record": (_HOLDS, _holds),
    "erasure record": (ERASURES, _erasures),
    "purge record": (_PURGES, _purges),
    "policies": (_POLICIES, _policies),
    "tiers": (_TIERS, _tiers),
    "accounts": (_ACCOUNTS, _accounts),
    "exports": (_EXPORTS, _exports),
    "installation": (_INSTALLATION, _installation),
    "field removals": (_REMOVALS, _removals),
    "webhooks": (WEBHOOKS, webhooks),
    "budgets": (BUDGETS, budgets),
    "sources": (SOURCES, sources),
    "attestations": (ATTESTATIONS, attestations),
}
"""The tables that are compared, by the name of the check: the statement for the rows, and the comparison."""
