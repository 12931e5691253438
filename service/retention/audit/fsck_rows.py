"""Checks of rows against each other: ids against what they are made of, errors and held copies against their calls,
and the claims of bills against the bills.

Each check returns what is wrong, and in words what was looked at, and what nothing is left to compare with.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.retention.audit.incremental.run import FsckRun
from service.retention.context import RetentionContext
from service.storage.connection import Connection
from service.storage.ids import bill_key_hex
from service.storage.sources import SOURCE_NUMBERS

Result = tuple[list[str], str]

_NAMED: Final = 6
# `service.storage.ids.call_uuid_hex`, in SQL: the database has the rows at hand. The bits of version and variant are
# left out. An id that was masked when it came has the call's own milliseconds behind it, and is the same in no hash.
_IDS: Final = r"""
    WITH hashed AS (
        SELECT call.account_id, call.id, encode(uuid_send(call.id), 'hex') AS here, encode(sha256(
            int4send(octet_length(call.account_id::text)) || convert_to(call.account_id::text, 'UTF8')
            || int4send(octet_length(reporter.name)) || convert_to(reporter.name, 'UTF8')
            || int4send(octet_length(call.source_id)) || convert_to(call.source_id, 'UTF8')
            || CASE WHEN call.correction_of IS NULL
                THEN int8send(floor(extract(epoch FROM call.started_at) * 1000)::bigint) ELSE ''::bytea END
        ), 'hex') AS there
        FROM call LEFT JOIN unnest($1::smallint[], $2::text[]) AS source (number, name) ON source.number = call.source
        CROSS JOIN LATERAL (
            SELECT CASE WHEN call.correction_of IS NULL THEN '' ELSE 'correction:' END || source.name AS name
        ) AS reporter
        WHERE call.tier = $4 AND call.started_at >= $5 AND call.started_at < $6
            AND call.source_id !~ '^\[redacted:[a-z]+\]$'
            AND right(call.source_id, 14) <> '~' || floor(extract(epoch FROM call.started_at) * 1000)::bigint
    )
    SELECT account_id, id FROM hashed
    WHERE there IS NULL OR substr(here, 14, 3) <> substr(there, 14, 3) OR substr(here, 19) <> substr(there, 19, 14)
    LIMIT $3
"""
"""Calls whose id is not made of their account, source, source id and start."""
_ERRORS: Final = """
    SELECT error.id FROM call_error AS error JOIN call
        ON call.account_id = error.account_id AND call.tier = error.tier AND call.started_at = error.started_at
            AND call.id = error.id
    WHERE call.user_token IS DISTINCT FROM error.user_token
        OR call.model <> error.model OR call.api_key <> error.api_key OR call.provider <> error.provider
        OR call.error_at <> error.occurred_at
    LIMIT $1
"""
"""Errors that are of another person, model, key, provider or time than their call."""


def _same(columns: str) -> str:
    """Whether a copy is as its row in the store. What an erasure or a policy took out of the row stays in the copy."""
    return " AND ".join(
        f"coalesce(kept.{name} = copy.{name} OR kept.{name}::text LIKE '%[redacted:%', true)"
        for name in columns.split()
    )


_SAME_CALL: Final = _same("source_id model failed api_key error_type error_code input_tokens output_tokens user_token")
_SAME_ERROR: Final = _same("model provider started_at api_key error_type error_code fingerprint user_token")
_SAME_CALLED: Final = _same("model api_key").replace("kept.", "called.")
_MATCHES: Final = """
    copy.account_id = hold.account_id AND (hold.from_at IS NULL OR copy.started_at >= hold.from_at)
    AND (hold.to_at IS NULL OR copy.started_at < hold.to_at) AND (hold.model IS NULL OR copy.model = hold.model)
    AND (hold.api_key IS NULL OR copy.api_key = hold.api_key)
    AND (hold.call_ids IS NULL OR copy.id = ANY (hold.call_ids))
"""
_COPIES: Final = f"""
    SELECT 'call' AS what, copy.hold_id, copy.id, kept.id IS NOT NULL AS compared,
           coalesce({_MATCHES}, false) AS matches, kept.id IS NULL OR ({_SAME_CALL}) AS same
    FROM call_held AS copy JOIN hold ON hold.id = copy.hold_id AND hold.lifted_at IS NULL
    LEFT JOIN call AS kept ON kept.account_id = copy.account_id AND kept.tier = copy.tier AND kept.id = copy.id
        AND kept.started_at = copy.started_at
    UNION ALL
    SELECT 'error', copy.hold_id, copy.id, kept.id IS NOT NULL OR called.id IS NOT NULL,
           coalesce({_MATCHES}, false),
           (kept.id IS NULL OR ({_SAME_ERROR}))
           AND (called.id IS NULL OR ({_SAME_CALLED}))
    FROM call_error_held AS copy JOIN hold ON hold.id = copy.hold_id AND hold.lifted_at IS NULL
    LEFT JOIN call_error AS kept ON kept.account_id = copy.account_id AND kept.tier = copy.tier AND kept.id = copy.id
        AND kept.occurred_at = copy.occurred_at
    LEFT JOIN call AS called ON called.account_id = copy.account_id AND called.tier = copy.tier
        AND called.id = copy.id AND called.started_at = copy.started_at
"""  # noqa: S608 - our own text
"""Copies of holds in force: whether the hold names them still, and whether they are as their row in the store is."""
# Of an answer that was made in the background, the bill has the provider's id and begins with a quarter hour.
_BILLS: Final = r"""
    SELECT call.account_id, call.source_id, call.started_at FROM call
    WHERE call.source = $1 AND call.tier = $2 AND call.started_at >= $3 AND call.started_at < $4
        AND call.correction_of IS NULL AND (
            call.operation = 'batch'
            OR call.operation = 'responses' AND call.source_id LIKE 'resp\_%'
                AND call.started_at = date_bin('15 minutes', call.started_at, '1970-01-01Z')
        )
        AND call.started_at >= (SELECT applied_at FROM schema_program WHERE migration LIKE '%0023%')
"""
"""Calls that are the bill of work that was polled for, since there are claims."""
_CLAIMS: Final = "SELECT key, account_id, started_at FROM bill_claim WHERE key = ANY ($1::uuid[])"
"""The claims with these keys."""
_BILLS_AT_ONCE: Final = 1_000
NOT_COMPARED: Final = (
    "nothing says what these were: pseudonyms and texts of calls that succeeded, refused rows counted for "
    "`ingestReport`, what a running erasure has searched, and held copies whose rows are gone, beyond what their "
    "hold names"
)


async def check_ids(run: FsckRun) -> Result:
    """Each call's id is that of its account, source, source id and start, and its error is of the same person."""
    owner, wrong = run.context.owner, list[str]()
    numbers, names = list(SOURCE_NUMBERS.values()), list(SOURCE_NUMBERS)

    async def look(part: Partition) -> bool:
        """Whether all ids of the partition are right."""
        found = await owner.fetch(_IDS, numbers, names, _NAMED, part.tier, part.start, part.end)
        wrong.extend(
            f"call `{row['id']}` of account {row['account_id']} has another id than its source id and start give"
            for row in found
        )
        return not found

    looked_at = await run.each("ids", await run.partitions(Store.CALL), look)
    wrong += [f"error `{row['id']}` is not as its call is" for row in await owner.fetch(_ERRORS, _NAMED)]
    return wrong, f"calls are the ones that their ids name, and errors those of their calls; of calls {looked_at}"


async def check_copies(context: RetentionContext, _: datetime) -> Result:
    """What holds keep copies of is as it is in the stores, as long as it is there, and as the hold names it."""
    wrong: list[str] = []
    copies, compared = 0, 0
    async with context.owner.acquire() as connection, connection.transaction(readonly=True):
        async for row in connection.cursor(_COPIES, prefetch=500):
            copies += 1
            compared += row["compared"]
            if not row["matches"]:
                wrong.append(f"hold `{row['hold_id']}` does not name the copy of {row['what']} `{row['id']}`")
            elif not row["same"]:
                wrong.append(f"the copy of {row['what']} `{row['id']}` is not as its row in the store")
    return wrong, f"{copies} copies, {compared} of them as their rows are; the rows of the others are gone"


async def check_bills(run: FsckRun) -> Result:
    """Each bill of polled work has its claims, or the next poll might bill it again."""
    states, wrong, bills = await run.states(), list[str](), 0

    async def look(part: Partition) -> bool:
        """Whether all bills of the partition have theirs."""
        nonlocal bills
        found = list[str]()
        async with run.context.owner.acquire() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(_BILLS, SOURCE_NUMBERS["litellm"], part.tier, part.start, part.end)
            while some := await cursor.fetch(_BILLS_AT_ONCE):
                bills += len(some)
                found += await _without_claim(connection, some)
        wrong.extend(found)
        return not found

    parts = await run.partitions(Store.CALL)
    looked_at = await run.each("bills", parts, look, lambda _: states.changed("bill_claim"))
    return wrong, f"{bills} bills of polled work, each with its claim; of calls {looked_at}"


async def _without_claim(connection: Connection, bills: Sequence[asyncpg.Record]) -> list[str]:
    """What is wrong with the claims of some bills."""
    whose = [(str(bill["account_id"]), f"all in {bill['account_id']}", "all") for bill in bills]
    keys = [
        [bill_key_hex(reporter, "litellm", bill["source_id"]) for reporter in reporters]
        for bill, reporters in zip(bills, whose, strict=True)
    ]
    rows = await connection.fetch(_CLAIMS, [key for three in keys for key in three])
    claims = {row["key"].hex: (row["account_id"], row["started_at"]) for row in rows}
    wrong: list[str] = []
    for bill, (own, led, every) in zip(bills, keys, strict=True):
        where = bill["account_id"], bill["started_at"]
        # The time of a claim by all may be another's, where the account had one already.
        lost = led in claims and claims.get(every, (None,))[0] != bill["account_id"]
        if claims.get(own) != where or lost:
            wrong.append(
                f"the bill `{_printable(bill)}` of account {bill['account_id']} has no claim: another poll may bill it "
                "again"
            )
    return wrong


async def say_what_was_not_compared(_: RetentionContext, __: datetime) -> Result:
    """Nothing is wrong here: it is what no check can tell."""
    return [], NOT_COMPARED


def _printable(bill: asyncpg.Record) -> str:
    return "".join(char if char.isprintable() and char != "`" else "?" for char in bill["source_id"])[:80]
