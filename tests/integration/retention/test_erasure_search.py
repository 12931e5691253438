"""What an erasure finds of a person in rows that are nobody's or another's: sealed messages, and names in clear."""

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from ingesting import call
from retaining import NOW, YOUNG, RetainedLedger, failed

from policies.admission.segments import ErrorDetails, unpack_segments
from policies.envelope import SealContext, data_key, open_sealed
from service.keyring import AccountKeyName, ErasureKeyName, KeyDestroyedError, PeriodKeyName
from service.retention.erasure.erased_person import open_person
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind, StoredErasure, get_erasure
from service.retention.holds.holds import lift_hold
from service.retention.maintenance import maintain

PERSON = "p7-person-9914"
MARK = "[redacted:reported-person]"
ROWS = "SELECT call::text FROM call UNION ALL SELECT call_error::text FROM call_error"
KEPT = """
    SELECT tier, occurred_at, id, account_id, sealed, rules, rule_counts FROM {table}
    WHERE model = $1 AND sealed IS NOT NULL
"""


def naming(id_: str, message: str, **facts: Any) -> dict[str, Any]:
    """A failed call of whomever `facts` name, whose error's text is `message`."""
    error = {"type": f"T {PERSON}", "code": PERSON, "message": message, "parameters": facts.pop("parameters", {})}
    report = failed(id_, YOUNG, **{"model": id_, **facts})
    return report | {"error": report["error"] | error}


async def erase(retained: RetainedLedger, user: str = PERSON, **options: Any) -> StoredErasure:
    kind, reason = ErasureKind.USER, "asked by letter"
    return await request_erasure(
        retained.retention, kind=kind, account="acme", user=user, reason=reason, actor="cli", **options
    )


async def opened(retained: RetainedLedger, model: str) -> ErrorDetails:
    """What is sealed of the one error of `model`."""
    (row,) = await retained.ingest.fetch(KEPT.format(table="call_error"), model)
    day, keyring = f"{row['occurred_at']:%Y-%m-%d}", retained.retention.keyring
    key = data_key(
        await keyring.key(PeriodKeyName(row["tier"], "personal", day), mint=False),
        await keyring.key(AccountKeyName(row["account_id"]), mint=False),
    )
    context = SealContext(row["account_id"], "call_error", row["id"].bytes, day, "personal")
    return unpack_segments(open_sealed(row["sealed"], data_key=key, context=context))


async def test_sealed_messages_of_other_rows_lose_the_person(retained: RetainedLedger) -> None:
    """With no user, with another one, with the id spelled in another way: the id is gone, and the rest is there."""
    await retained.report(
        naming("nobody", f"user {PERSON} failed"),
        naming("other", f"user {PERSON} failed, ask jane@example.com", user="somebody-else"),
        naming("spelled", "user P7-PERSON-9914 and p7%2Dperson%2D9914 failed"),
        naming("twice", f"{PERSON} and {PERSON}", parameters={"model": PERSON}),
        naming("stranger", f"user {PERSON}4 failed"),
        naming("elsewhere", f"user {PERSON} failed", account="other"),
    )
    erasure = await erase(retained)

    hidden = ("reported-person", None)
    assert (await opened(retained, "nobody")).message == ("user ", hidden, " failed")
    assert (await opened(retained, "other")).message == (
        "user ", hidden, " failed, ask ", ("email", "jane@example.com"),
    )  # fmt: skip
    assert (await opened(retained, "spelled")).message == ("user ", hidden, " and ", hidden, " failed")
    assert (await opened(retained, "twice")).message == (hidden, " and ", hidden)
    assert (await opened(retained, "stranger")).message == (f"user {PERSON}4 failed",)
    assert (await opened(retained, "elsewhere")).message == (f"user {PERSON} failed",)
    (row,) = await retained.ingest.fetch(KEPT.format(table="call_error"), "twice")
    assert dict(zip(row["rules"], row["rule_counts"], strict=True))["reported-person"] >= 2
    assert (
        sum(PERSON in text for text in await retained.column(ROWS)) == 2
    )  # the call and the error of the other account
    assert (erasure.finished_at is not None, erasure.rows) == (True, 10)
    assert await retained.findings() == {}


async def test_a_common_word_is_no_persons_name(retained: RetainedLedger) -> None:
    """Who is called `admin` is taken out where somebody names them, and the word stays where it is one."""
    await retained.report(naming("m", "the admin console says: user admin has no quota"))
    await erase(retained, user="admin")
    message = (await opened(retained, "m")).message
    assert message == ("the admin console says: user ", ("reported-person", None), " has no quota")


async def test_an_id_without_end_ends_all_the_same(retained: RetainedLedger) -> None:
    """An id of more letters than PostgreSQL takes in a pattern stops neither its own erasure nor those of others."""
    await retained.report(call("c", started_at=YOUNG.isoformat(), account="acme"))
    assert (await erase(retained, user="ab1-" * 20_000)).finished_at is not None


async def test_names_of_operations_and_served_models_go_too(retained: RetainedLedger) -> None:
    """Wherever a gateway put the id: in the operation, and in the name of what answered."""
    await retained.report(call("c", started_at=YOUNG.isoformat(), account="acme"))
    await retained.retention.owner.execute(
        "UPDATE call SET operation = $1, served_model = $2, tags = $3", PERSON, f"ft:{PERSON}", f'{{"{PERSON}": "x"}}'
    )
    await erase(retained)
    assert not any(PERSON in text for text in await retained.column(ROWS))
    assert await retained.column("SELECT served_model FROM call") == [f"ft:{MARK}"]


async def test_older_rows_lose_other_spellings_of_the_name(retained: RetainedLedger) -> None:
    """Rows that were stored before names were looked for in other spellings: with other signs, within a word, in base64
    and in hexadecimal; the id of a neighbour stays.
    """
    code = PERSON.encode()
    older = [
        *("p7person9914", "P7_Person.9914", "teamp7.person.9914eu", "p7=2Dperson=2D9914"),
        *(code.hex(), code.hex().upper(), b64encode(code).decode(), b64encode(b"u:" + code + b"!").decode()),
    ]
    kept = ["p8person9914", b64encode(b"somebody-else-7").decode(), "p7-person"]
    texts, facts = (*older, *kept), {"started_at": YOUNG.isoformat(), "account": "acme"}
    await retained.report(*(call(f"c{number}", model=f"m{number}", **facts) for number in range(len(texts))))
    for number, text in enumerate(texts):
        changed = "deployment = $1::text, session_id = $1, tags = jsonb_build_object('team', $1::text)"
        await retained.retention.owner.execute(f"UPDATE call SET {changed} WHERE model = $2", text, f"m{number}")
    await erase(retained)
    left = await retained.ingest.fetch("SELECT model, deployment, session_id, tags->>'team' AS team FROM call")
    found = {row["model"]: (row["deployment"], row["session_id"], row["team"]) for row in left}
    for number, text in enumerate(older):
        deployment, session_id, team = found[f"m{number}"]
        assert MARK in deployment and MARK in team and session_id is None, text
    assert [found[f"m{number}"] for number in range(len(older), len(texts))] == [(text,) * 3 for text in kept]


SUMS = """
    SELECT usage_quarter::text FROM usage_quarter UNION ALL SELECT usage_day::text FROM usage_day
    UNION ALL SELECT usage_delta::text FROM usage_delta UNION ALL SELECT usage_half_hour::text FROM usage_half_hour
    UNION ALL SELECT usage_quarter_all::text FROM usage_quarter_all
    UNION ALL SELECT usage_hour_all::text FROM usage_hour_all UNION ALL SELECT usage_day_all::text FROM usage_day_all
"""


async def test_names_that_calls_are_summed_by_go_in_calls_and_sums_alike(retained: RetainedLedger) -> None:
    """A person in model, provider and API key leaves calls, errors, deltas and every sum, and sums still equal calls;
    another account's calls by the same name keep it."""
    for hours, account in ((2, "acme"), (30, "acme"), (30, "other")):
        moment = NOW - timedelta(hours=hours)
        facts = {"model": f"ft:{PERSON}", "provider": PERSON, "api_key": f"key of {PERSON}", "account": account}
        await retained.report(failed(f"{hours} {account}", moment, **facts))
        if hours == 30:
            await retained.compact()
    assert await retained.findings() == {}
    erasure = await erase(retained)
    assert erasure.finished_at is not None
    mine = f"SELECT * FROM ({ROWS}) AS rows (text) WHERE text LIKE '%{PERSON}%'"
    assert len(await retained.column(mine)) == 2  # the call and the error of the other account
    assert await retained.column("SELECT DISTINCT model FROM usage_day WHERE account_id = 1") == [f"ft:{MARK}"]
    for table in ("usage_quarter", "usage_day", "usage_delta", "usage_half_hour"):
        text = f"SELECT {table}::text FROM {table} WHERE account_id = 1"
        assert not any(PERSON in row for row in await retained.column(text))
    assert await retained.findings() == {}
    await retained.compact()
    assert await retained.findings() == {}
    await retained.retention.owner.execute("DELETE FROM call WHERE account_id <> 1")
    assert sum(PERSON in text for text in await retained.column(SUMS)) > 0  # those of the other account


async def test_a_model_that_many_use_is_no_persons_name(retained: RetainedLedger) -> None:
    """Somebody who is called as a model is does not take it from the calls of all others."""
    calls = [failed(f"c{n}", YOUNG, user=f"somebody-{n}", model=f"{PERSON}-large") for n in range(3)]
    await retained.report(*calls, failed("mine", YOUNG, user=PERSON, model=f"{PERSON}-large"))
    await erase(retained)
    assert await retained.column("SELECT DISTINCT model FROM call") == [f"{PERSON}-large"]
    assert await retained.findings() == {}


async def test_a_search_that_is_cut_short_is_gone_on_with(retained: RetainedLedger) -> None:
    """Ended at any moment, the next round finds the rest; meanwhile the id is in no row in clear but those."""
    await retained.report(*[naming(f"m{number}", f"user {PERSON} failed") for number in range(900)])
    searching = asyncio.create_task(erase(retained))
    left = "SELECT count(*) FROM call_error WHERE error_type LIKE '%p7-person%'"
    while not 0 < await retained.value(left) < 900:
        assert not searching.done()
        await asyncio.sleep(0)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    assert await retained.value(left) > 0
    (id_,) = await retained.column("SELECT id FROM erasure")
    assert not any(PERSON in text for text in await retained.column("SELECT erasure::text FROM erasure"))

    assert await maintain(retained.retention)
    assert await retained.value(left) == 0
    assert (await opened(retained, "m899")).message == ("user ", ("reported-person", None), " failed")
    done = await get_erasure(retained.retention.owner, id_)
    assert done is not None and (done.state, done.rows) == ("DONE", 1800)
    assert await retained.findings() == {}


async def test_what_takes_longer_than_the_caller_waits_is_left_to_the_worker(retained: RetainedLedger) -> None:
    """The answer says that it is requested; the worker, which has heard of it, does it."""
    await retained.report(naming("m", f"user {PERSON} failed"))
    assert (await erase(retained, within_s=0.0)).state == "REQUESTED"
    assert await maintain(retained.retention)
    assert not any(PERSON in text for text in await retained.column(ROWS))


async def test_at_the_end_nobody_can_tell_whom_it_was_about(retained: RetainedLedger) -> None:
    """The sealed id goes with its key: a copy of the record that was made before tells nobody anything."""
    await retained.report(naming("m", f"user {PERSON} failed"))
    asked = await erase(retained, at_once=False)
    sealed = await retained.value("SELECT sealed_user FROM erasure")
    assert await open_person(retained.retention.keyring, asked.id, sealed) == PERSON
    assert await maintain(retained.retention)

    assert await retained.value("SELECT sealed_user FROM erasure") is None
    assert await open_person(retained.retention.keyring, asked.id, sealed) is None
    with pytest.raises(KeyDestroyedError):
        await retained.retention.keyring.key(ErasureKeyName(asked.id), mint=True)
    assert await retained.findings() == {}


async def test_copies_of_a_hold_stay_until_it_ends(retained: RetainedLedger) -> None:
    """The hold has the message as it was, the row is without; the erasure is restricted to it, and then done."""
    await retained.report(naming("held", f"user {PERSON} failed"), naming("free", f"user {PERSON} failed"))
    hold = await retained.hold(model="held")
    erasure = await erase(retained)
    assert (erasure.state, erasure.blocked_by) == ("RESTRICTED", (hold.id,))
    assert (await opened(retained, "held")).message == ("user ", ("reported-person", None), " failed")
    assert await retained.column("SELECT error_code FROM call_error_held") == [PERSON]
    assert await retained.column("SELECT model FROM call_error_held") == ["held"]
    assert await retained.findings() == {}

    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    assert await maintain(retained.retention)
    done = await get_erasure(retained.retention.owner, erasure.id)
    assert done is not None and (done.state, done.blocked_by) == ("DONE", ())
    assert await retained.findings() == {}


async def test_what_nobody_can_open_stops_no_search(retained: RetainedLedger) -> None:
    """A blob that was put into another row opens for nobody: the others are still searched."""
    await retained.report(naming("a", f"user {PERSON} failed"), naming("b", f"user {PERSON} failed"))
    await retained.retention.owner.execute(
        "UPDATE call_error SET sealed = (SELECT sealed FROM call_error WHERE model = 'b') WHERE model = 'a'"
    )
    erasure = await erase(retained)
    assert erasure.unreadable_at is not None and erasure.unreadable_at > NOW + timedelta(days=30)
    assert (await opened(retained, "b")).message == ("user ", ("reported-person", None), " failed")
