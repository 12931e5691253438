"""`revealError`: who may, for a reason, into the ledger, and never the text without its entry."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from http_server import serve
from rows import SeededLedger, StoredCall, StoredError, error_id, open_seeded

from policies import envelope
from policies.admission.call import Admission
from policies.admission.report import ErrorReport, Report
from policies.admission.segments import ErrorDetails, Parameter, ParameterAction, unpack_segments
from policies.envelope import open_sealed
from policies.evidence import read_leaf
from policies.policy.document import load_preset
from policies.policy.model import Role, View
from policies.redaction import Redactor
from service.api.calls.reveal import REASON_CHARS_MAX, REVEAL_COST
from service.api.execution.limits import Bucket
from service.keyring import KeyringUnavailableError, PeriodKeyName
from service.ledger import Ledger, LedgerKind, Selection
from service.query.model.scope import Scope

SECRET = "canary-5521@example.org"
REASON = "ticket 4711: the customer asked what was wrong"
DETAILS = ErrorDetails(
    message=("limit reached for ", ("email", SECRET), ", key ", ("openai-key", None)),
    parameters={
        "model": Parameter(ParameterAction.MASKED, ('"', ("email", SECRET), '"')),
        "messages": Parameter(ParameterAction.SHAPED, ('{"count":2}',)),
        "seed": Parameter(ParameterAction.DROPPED, None),
    },
)
REVEAL = """mutation($id: ID!, $reason: String!) { revealError(input: {errorId: $id, reason: $reason}) { ledgerIndex
error { id type message disclosure parameters { name value action } call { id error { message disclosure } } } } }"""
BRIEF = """mutation($id: ID!, $reason: String!) { revealError(input: {errorId: $id, reason: $reason}) {
ledgerIndex error { message disclosure } } }"""


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


@pytest.fixture
def ledger(seeded: SeededLedger) -> Ledger:
    return Ledger(seeded.database, seeded.keyring, uuid4())


async def _stored(seeded: SeededLedger, details: ErrorDetails | None = DETAILS, **call: Any) -> tuple[StoredCall, str]:
    """A failed call of account acme; the outward id of its error."""
    stored = StoredCall(
        await seeded.now() - call.pop("age", timedelta(hours=2)),
        failed=True,
        error_type="RateLimitError",
        error=StoredError(rules={"email": 2, "openai-key": 1}, details=details),
        **call,
    )
    await seeded.put([stored])
    number = await seeded.accounts.find(stored.account)
    assert number is not None
    return stored, error_id(number, stored)


async def _revealed(
    seeded: SeededLedger, ledger: Ledger, id_: str, scope: Scope | None = None, query: str = BRIEF, reason: str = REASON
) -> Any:
    result = await seeded.ask(query, scope or seeded.scope(Role.SUPPORT), {"id": id_, "reason": reason}, ledger=ledger)
    assert result.errors is None, result.errors
    return result.data["revealError"]


async def _refused(
    seeded: SeededLedger,
    ledger: Ledger | None,
    id_: str,
    scope: Scope | None = None,
    reason: str = REASON,
    **changes: Any,
) -> str:
    variables = {"id": id_, "reason": reason}
    result = await seeded.ask(BRIEF, scope or seeded.scope(Role.SUPPORT), variables, ledger=ledger, **changes)
    assert result.errors is not None
    assert SECRET not in str(result)
    return result.errors[0].extensions["code"]


async def _entries(ledger: Ledger) -> list[Any]:
    return await ledger.page(Selection(kinds=(LedgerKind.ERROR_REVEALED,)), first=1000)


async def test_without_its_entry_nothing_is_opened(
    seeded: SeededLedger, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger cannot take the entry, no sealed blob is opened, masked or not; with the entry it is."""
    _, id_ = await _stored(seeded)
    opened: list[bytes] = []

    def open_noted(sealed: bytes, **known: Any) -> bytes:
        opened.append(sealed)
        return open_sealed(sealed, **known)

    monkeypatch.setattr(envelope, "open_sealed", open_noted)
    await seeded.database.owner.execute("REVOKE INSERT ON ledger_entry FROM calledger_app_all")
    variables = {"id": id_, "reason": REASON}
    result = await seeded.ask(REVEAL, seeded.scope(Role.SUPPORT), variables, ledger=ledger)
    before = list(opened)
    await seeded.database.owner.execute("GRANT INSERT ON ledger_entry TO calledger_app_all")
    await _revealed(seeded, ledger, id_, query=REVEAL)

    assert result.errors is not None and SECRET not in str(result)
    assert (before, len(opened) > 0) == ([], True)


async def test_a_sealed_error_is_opened_into_the_ledger(seeded: SeededLedger, ledger: Ledger) -> None:
    """Message and parameters come with what is kept under seal; what is gone for good stays a mark, and says so. What
    hangs on the error is masked as ever."""
    _, id_ = await _stored(seeded)

    answer = await _revealed(seeded, ledger, id_, query=REVEAL)

    call = answer["error"].pop("call")
    assert answer["error"] == {
        "id": id_,
        "type": "RateLimitError",
        "message": f"limit reached for {SECRET}, key [redacted:openai-key]",
        "disclosure": "MASKED",
        "parameters": [
            {"name": "messages", "value": '{"count":2}', "action": "SHAPED"},
            {"name": "model", "value": f'"{SECRET}"', "action": "MASKED"},
            {"name": "seed", "value": None, "action": "DROPPED"},
        ],
    }
    assert SECRET not in str(call)
    assert call["error"]["disclosure"] == "MASKED"
    [entry] = await _entries(ledger)
    assert answer["ledgerIndex"] == str(entry.index)
    assert (entry.actor, entry.note) == ("testkey2", REASON)


async def test_the_leaf_holds_ids_and_no_words(seeded: SeededLedger, ledger: Ledger) -> None:
    """Of the reason only its salted hash is in the tree, of the error its id: erasing the note erases the words."""
    _, id_ = await _stored(seeded)
    number = await seeded.accounts.find("acme")

    await _revealed(seeded, ledger, id_)

    [entry] = await _entries(ledger)
    leaf = read_leaf(entry.leaf)
    assert leaf.facts == {"error": id_, "account": number, "role": "support", "disclosure": "SEALED"}
    assert REASON.encode() not in entry.leaf
    assert (await ledger.erase_notes([entry.index], actor="cli")).indexes == (entry.index,)
    [entry] = await _entries(ledger)
    assert entry.note is None


async def test_all_that_was_hidden_is_clear(seeded: SeededLedger, ledger: Ledger) -> None:
    """CLEAR when nothing is hidden any more."""
    parameters = {"model": DETAILS.parameters["model"]}
    _, id_ = await _stored(seeded, ErrorDetails(("for ", ("email", SECRET)), parameters))
    assert (await _revealed(seeded, ledger, id_))["error"] == {"message": f"for {SECRET}", "disclosure": "CLEAR"}


async def test_after_strict_there_is_nothing_to_reveal(seeded: SeededLedger, ledger: Ledger) -> None:
    """Under `strict` nobody reveals; and what it admitted has nothing under seal, whatever policy comes after."""
    strict = load_preset("strict")
    assert not any("revealError" in rule.ask for rule in strict.roles.values())
    report = Report(
        source="native",
        source_id="s",
        started_at=await seeded.now(),
        account="acme",
        model="m",
        failed=True,
        error=ErrorReport("E", message=f"no such user {SECRET}, sorry"),
    )
    failure = Admission(strict, Redactor()).admit(report).error
    assert failure is not None
    assert failure.blob is not None
    assert SECRET.encode() not in failure.blob
    _, id_ = await _stored(seeded, unpack_segments(failure.blob))

    answer = await _revealed(seeded, ledger, id_)

    assert answer["error"] == {"message": "no such user [redacted:email], sorry", "disclosure": "MASKED"}


@pytest.mark.parametrize("preset", ["default", "strict", "billing-only"])
@pytest.mark.parametrize("role", list(Role))
async def test_only_who_may_ask(seeded: SeededLedger, ledger: Ledger, role: Role, preset: str) -> None:
    """Under every shipped policy only support and admin reveal; for all others there is no answer and no entry."""
    policy = load_preset(preset)
    _, id_ = await _stored(seeded)
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(role, *((number,) if role is Role.PARTNER else ()), policy=policy)
    rule = policy.roles.get(role)
    if rule is not None and "revealError" in rule.ask:
        assert role in (Role.SUPPORT, Role.ADMIN)
        assert (await _revealed(seeded, ledger, id_, scope))["ledgerIndex"] == "0"
    else:
        assert await _refused(seeded, ledger, id_, scope) == "FORBIDDEN"
        assert await _entries(ledger) == []


async def test_a_role_that_is_denied_what_is_sealed_reveals_nothing(seeded: SeededLedger, ledger: Ledger) -> None:
    """To ask for nothing sealed is no way around: who is denied message and parameters is refused as a whole."""
    _, id_ = await _stored(seeded)
    scope = seeded.scope(Role.SUPPORT)
    denied = dict.fromkeys(("CallError.message", "CallError.parameters", "CallError.disclosure"), View.DENIED)
    scope = Scope(scope.key_id, scope.role, None, scope.policy, MappingProxyType({**scope.views, **denied}))
    result = await seeded.ask(
        'mutation($id: ID!) { revealError(input: {errorId: $id, reason: "x"}) { ledgerIndex } }',
        scope,
        {"id": id_},
        ledger=ledger,
    )
    assert result.errors[0].extensions["code"] == "FORBIDDEN"
    assert await _entries(ledger) == []


@pytest.mark.parametrize("reason", ["", "   \n\t ", "\u200b", "x" * (REASON_CHARS_MAX + 1), "a\x00b", "a\x1b[31mb"])
async def test_a_reason_is_needed(seeded: SeededLedger, ledger: Ledger, reason: str) -> None:
    """Nothing, blanks, what does not print and what is too long is no reason."""
    _, id_ = await _stored(seeded)
    assert await _refused(seeded, ledger, id_, reason=reason) == "BAD_USER_INPUT"
    assert await _entries(ledger) == []


async def test_out_of_scope_past_the_window_and_unknown_are_the_same(seeded: SeededLedger, ledger: Ledger) -> None:
    """NOT_FOUND, in the same words, without an entry: whether the error exists cannot be told."""
    _, mine = await _stored(seeded)
    _, theirs = await _stored(seeded, account="other", source_id="t")
    _, old = await _stored(seeded, age=timedelta(days=30, seconds=1), source_id="o")
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(Role.SUPPORT, number)
    messages = set()
    for id_ in (theirs, old, "err_x", "", mine.replace("err_", "call_"), mine[:-1]):
        result = await seeded.ask(BRIEF, scope, {"id": id_, "reason": REASON}, ledger=ledger)
        assert result.errors[0].extensions["code"] == "NOT_FOUND", id_
        messages.add(result.errors[0].message)
    assert len(messages) == 1
    assert await _entries(ledger) == []
    assert (await _revealed(seeded, ledger, mine, scope))["error"]["message"].count(SECRET) == 1


async def test_a_dead_key_reveals_nothing_and_says_so(seeded: SeededLedger, ledger: Ledger, tmp_path: Path) -> None:
    """KEY_DESTROYED, KEY_LOST and NOT_KEPT, in the answer and in the entry, and not a word of the text."""
    call, id_ = await _stored(seeded)
    _, other = await _stored(seeded, None, source_id="n")
    dead = {"message": None}
    assert (await _revealed(seeded, ledger, other))["error"] == {"disclosure": "NOT_KEPT", **dead}

    await seeded.keyring.destroy([PeriodKeyName(1, "personal", call.started_at.strftime("%Y-%m-%d"))])
    seeded.keyring.forget()
    assert (await _revealed(seeded, ledger, id_))["error"] == {"disclosure": "KEY_DESTROYED", **dead}

    async with seeded.database.owner.acquire() as connection:
        await connection.execute("UPDATE call_error SET sealed = set_byte(sealed, 90, get_byte(sealed, 90) # 1)")
    _, lost = await _stored(seeded, source_id="l", age=timedelta(days=3))
    async with seeded.database.owner.acquire() as connection:
        await connection.execute("UPDATE call_error SET sealed = set_byte(sealed, 90, get_byte(sealed, 90) # 1)")
    assert (await _revealed(seeded, ledger, lost))["error"] == {"disclosure": "KEY_LOST", **dead}
    facts = [read_leaf(entry.leaf).facts["disclosure"] for entry in await _entries(ledger)]
    # The damaged record has its key: that it cannot be opened is found by opening, after the entry.
    assert facts == ["NOT_KEPT", "KEY_DESTROYED", "SEALED"]


async def test_keys_out_of_reach_cost_only_what_is_sealed(
    seeded: SeededLedger, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEALED while the keyring does not answer."""
    _, id_ = await _stored(seeded)

    async def away(*_: object, **__: object) -> bytes:
        raise KeyringUnavailableError

    monkeypatch.setattr(type(seeded.keyring), "key", away)
    assert (await _revealed(seeded, ledger, id_))["error"] == {"message": None, "disclosure": "SEALED"}


async def test_no_ledger_no_text(seeded: SeededLedger, ledger: Ledger) -> None:
    """When the entry cannot be written, for whatever reason, the error stays sealed."""
    _, id_ = await _stored(seeded)
    async with seeded.database.owner.acquire() as connection:
        await connection.execute("REVOKE INSERT ON ledger_note FROM calledger_app_all")
    assert await _refused(seeded, ledger, id_) == "INTERNAL"
    assert await ledger.size() == 0
    assert await _refused(seeded, None, id_) == "INTERNAL"
    async with seeded.database.owner.acquire() as connection:
        await connection.execute("ALTER TABLE ledger_entry RENAME TO gone")
    assert await _refused(seeded, ledger, id_) == "INTERNAL"


async def test_nothing_is_answered_before_the_entry_is_committed(seeded: SeededLedger, ledger: Ledger) -> None:
    """While somebody holds the ledger, a reveal waits; given up on, it leaves neither an answer nor an entry."""
    _, id_ = await _stored(seeded)
    async with seeded.database.owner.acquire() as connection, connection.transaction():
        await ledger.append("STARTED", {}, actor="system", connection=connection)
        waiting = asyncio.create_task(_revealed(seeded, ledger, id_))
        held = 0
        while not held:
            held = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype='advisory'")
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await _entries(ledger) == []


async def test_every_reveal_has_its_own_entry(seeded: SeededLedger, ledger: Ledger) -> None:
    """Ten at once: ten answers, ten entries, each answer with the index of its own."""
    _, id_ = await _stored(seeded)
    reasons = [f"reason {index}" for index in range(10)]

    answers = await asyncio.gather(*(_revealed(seeded, ledger, id_, reason=reason) for reason in reasons))

    notes = {str(entry.index): entry.note for entry in await _entries(ledger)}
    assert [notes[answer["ledgerIndex"]] for answer in answers] == reasons
    assert len(notes) == 10


async def test_a_key_that_dies_meanwhile(seeded: SeededLedger, ledger: Ledger) -> None:
    """A purge between the entry and the opening wins: the answer has no text, the entry stays."""
    call, id_ = await _stored(seeded)
    day = call.started_at.strftime("%Y-%m-%d")
    append = ledger.append

    class Slow(Ledger):
        async def append(self, *args: Any, **kwargs: Any) -> int:
            index = await append(*args, **kwargs)
            await seeded.keyring.destroy([PeriodKeyName(1, "personal", day)])
            seeded.keyring.forget()
            return index

    slow = Slow(seeded.database, seeded.keyring, uuid4())
    assert (await _revealed(seeded, slow, id_))["error"] == {"message": None, "disclosure": "KEY_DESTROYED"}
    assert len(await _entries(ledger)) == 1


async def test_reveals_are_dear(seeded: SeededLedger, ledger: Ledger) -> None:
    """Each costs a thousand: an operation with too many is refused before any is opened, and a key runs out."""
    _, id_ = await _stored(seeded)
    fields = " ".join(
        f'r{index}: revealError(input: {{errorId: "{id_}", reason: "x"}}) {{ ledgerIndex }}' for index in range(10)
    )
    result = await seeded.ask(f"mutation {{ {fields} }}", seeded.scope(Role.SUPPORT), ledger=ledger, max_cost=10_000)
    assert result.errors[0].extensions["code"] == "MAX_COST_EXCEEDED"
    bucket = Bucket(REVEAL_COST + 10)
    result = await seeded.ask(
        BRIEF, seeded.scope(Role.SUPPORT), {"id": id_, "reason": "x"}, ledger=ledger, bucket=bucket
    )
    assert result.errors is None
    assert await _refused(seeded, ledger, id_, bucket=bucket) == "THROTTLED"
    assert len(await _entries(ledger)) == 1


async def test_over_http_only_by_post(seeded: SeededLedger) -> None:
    """A GET, which a page of somebody else's can cause and a proxy logs, reveals nothing."""
    _, id_ = await _stored(seeded)
    async with serve(seeded) as served:
        headers = {"Authorization": f"Bearer {await served.key(Role.SUPPORT)}"}
        query = f'mutation {{ revealError(input: {{errorId: "{id_}", reason: "x"}}) {{ error {{ message }} }} }}'
        async with served.session.get(served.url, params={"query": query}, headers=headers) as answer:
            assert answer.status == 405
            assert SECRET not in await answer.text()
        async with served.session.post(served.url, json={"query": query}, headers=headers) as answer:
            assert SECRET in await answer.text()
        assert len(await _entries(served.runtime.ledger)) == 1


async def test_the_text_is_nowhere_but_in_the_answer(
    seeded: SeededLedger, ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the ledger, nor any other table, nor a log line holds what was revealed."""
    _, id_ = await _stored(seeded)
    await _revealed(seeded, ledger, id_)
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err
    async with seeded.database.owner.acquire() as connection:
        tables = await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = $1", 2200)
        for table in tables:
            dump: str | None = await connection.fetchval(f"SELECT string_agg(t::text, '') FROM \"{table[0]}\" t")
            assert SECRET not in (dump or ""), table[0]
            assert SECRET.encode().hex() not in (dump or ""), table[0]


def test_no_other_path_opens_text() -> None:
    """`reveal=True` stands in one place of the service, which `revealError` alone calls."""
    root = Path(__file__).parents[3] / "service"
    texts = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}
    assert [name for name, text in texts.items() if "reveal=True" in text] == ["query/reader.py"]
    assert [name for name, text in texts.items() if "reader.reveal(" in text] == ["api/calls/reveal.py"]
