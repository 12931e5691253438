"""What the compiled path should answer it answers; where it does not, that is counted and logged, once per document."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from documents import Shown, documents
from graphql import OperationDefinitionNode, OperationType, parse, validate
from graphql import build_schema as schema_of
from http_server import Served, serve
from prometheus_client import REGISTRY, generate_latest
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.policy.model import Role, View
from service.api.compiled import plan
from service.api.compiled.fallbacks import COVERED, FallbackReason
from service.api.compiled.operations import DOCUMENT_CHARACTERS_MAX
from service.api.schema import build_schema, sdl
from service.query.model.scope import Scope

SCHEMA = schema_of(sdl())
LINE = "an operation was not answered by the compiled path"


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        calls = [
            StoredCall(
                now - timedelta(minutes=index),
                source_id=str(index),
                user="u",
                amount=Decimal("0.0031"),
                currency="USD",
                amount_source=1,
                failed=True,
                error=StoredError(),
                tags={"team": "search"},
            )
            for index in range(3)
        ]
        await seeded.put([*calls, StoredCall(now, source_id="plain")])
        yield seeded


def _counts() -> dict[str, float]:
    """Fallbacks so far, by reason."""
    name = "calledger_graphql_fallbacks_total"
    return {reason: REGISTRY.get_sample_value(name, {"reason": reason}) or 0 for reason in FallbackReason}


def _since(before: dict[str, float]) -> dict[str, float]:
    return {reason: count - before[reason] for reason, count in _counts().items() if count != before[reason]}


def _answered() -> int:
    compiled = build_schema().compiled
    assert compiled is not None
    return compiled.answered


def _is_covered(shown: Shown) -> bool:
    """Whether it is a document to be compiled that the schema lets pass: one query of root fields that are covered."""
    document = parse(shown.text)
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    names = {getattr(node, "name", None) and node.name.value for node in operations[0].selection_set.selections}
    query = len(operations) == 1 and operations[0].operation is OperationType.QUERY
    return query and names <= COVERED and not validate(SCHEMA, document)


def _variables(shown: Shown, now: Any) -> dict[str, Any]:
    """Those that stand with the document, or one of its type for each that it wants."""
    if shown.variables is not None:
        return shown.variables
    since = (now - timedelta(days=2)).isoformat()
    values = {
        "String": "acme",
        "ID": "acme",
        "Int": 1,
        "Boolean": True,
        "TimeBucket": "DAY",
        "TimeZone": "Europe/Vienna",
        "CallFilter": {"startedAt": {"gte": since}},
        "ErrorFilter": {"occurredAt": {"gte": since}},
    }
    moments = {"to": now.isoformat(), "before": now.isoformat(), "DateTime": since}
    (operation,) = [one for one in parse(shown.text).definitions if isinstance(one, OperationDefinitionNode)]
    given: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        name, type_ = definition.variable.name.value, getattr(definition.type, "type", definition.type)
        written = type_.name.value if hasattr(type_, "name") else ""
        value = moments.get(name, moments.get(written, values.get(written)))
        if value is not None:
            given[name] = value
    return given


async def _post(served: Served, key: str, query: str, variables: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = orjson.dumps({"query": query, "variables": variables})
    async with served.session.post(served.url, data=body, headers=headers) as answer:
        return orjson.loads(await answer.read())


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER, Role.PARTNER])
async def test_no_document_of_ours_falls_back(seeded: SeededLedger, role: Role) -> None:
    """What the pages, the console, the benchmarks and exports ask is answered by the compiled path from the second
    time on, wherever it is a query of `calls`, `errors` and `costs`; nothing else counts as a fallback.
    """
    now, seen = await seeded.now(), 0
    number = await seeded.accounts.find("acme")
    assert number is not None
    # Without those who write exports in the background: they ask too.
    async with serve(seeded, exports=False, rate_limit_per_minute=0) as served:
        key = await served.key(role, number)
        for shown in documents():
            if not shown.text.strip().startswith(("{", "query", "mutation", "fragment")):
                continue
            covered = _is_covered(shown)
            variables = _variables(shown, now) if covered else shown.variables or {}
            before, query = _counts(), f"{shown.text}\n# {role}"
            first = await _post(served, key, query, variables)
            answered = _answered()
            second = await _post(served, key, query, variables)
            assert _since(before) == {}, shown
            if covered and role is Role.ADMIN and "/" in shown.place:
                assert first.get("data"), (shown, first)  # of the console's source, all is answered
            if covered and first.get("data"):
                assert _answered() == answered + 1, (shown, second)
                assert second["data"].keys() == first["data"].keys()
                seen += 1
    assert seen > 20


async def _ask(
    seeded: SeededLedger, query: str, scope: Scope | None = None, variables: dict[str, Any] | None = None
) -> None:
    for _ in range(3):
        await seeded.ask(query, scope, variables)


def _of_masked_money(seeded: SeededLedger) -> Scope:
    rule = seeded.policy.roles[Role.VIEWER]
    seen = MappingProxyType({**rule.fields, "Money.currency": View.MASKED})
    roles = {**seeded.policy.roles, Role.VIEWER: replace(rule, fields=seen)}
    return seeded.scope(Role.VIEWER, policy=replace(seeded.policy, roles=MappingProxyType(roles)))


async def _case(seeded: SeededLedger, reason: FallbackReason) -> tuple[str, Scope | None]:
    """A root field that falls back for this reason, and who asks."""
    now = await seeded.now()
    match reason:
        case FallbackReason.OPERATION:
            # More entries than a generated loop may have.
            return "calls(ARGUMENTS) { nodes { id model } }", None
        case FallbackReason.ROLE:
            return "costs(ARGUMENTS) { totals { calls } }", _of_masked_money(seeded)
        case FallbackReason.SIZE:
            return "calls(ARGUMENTS) { nodes { id } } #" + "x" * DOCUMENT_CHARACTERS_MAX + "\n", None
        case FallbackReason.VALUE:
            await seeded.put([StoredCall(now, source_id="bare", units={"images": 2})])  # pyright: ignore[reportArgumentType]
            return "calls(ARGUMENTS) { nodes { units { name quantity } } }", None
        case FallbackReason.FAILURE:
            await seeded.put([StoredCall(now, source_id="broken", amount_parts=[{"amount": "1"}])])
            return "calls(ARGUMENTS) { nodes { amountParts { meter } } }", None


@pytest.mark.parametrize("reason", FallbackReason)
async def test_a_fallback_is_counted_and_logged_once(
    seeded: SeededLedger, reason: FallbackReason, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time counts, by its reason; the log has one line per document, without its text or its variables."""
    if reason is FallbackReason.OPERATION:
        # The only way to ask for too much: what is let pass stays far below the real bound.
        monkeypatch.setattr(plan, "_ENTRIES_MAX", 2)
    asked, scope = await _case(seeded, reason)
    asked = asked.replace("ARGUMENTS", "filter: {model: {ne: $marzipan}}")
    before = _counts()
    capsys.readouterr()

    await _ask(seeded, f"query Marzipan($marzipan: String!) {{ marzipan: {asked} }}", scope, {"marzipan": "marzipan"})

    # A document's first request is the ordinary path's; how long it is, is known then.
    assert _since(before) == {reason: 3 if reason is FallbackReason.SIZE else 2}
    written = "".join(capsys.readouterr())
    (line,) = [line for line in written.splitlines() if LINE in line]
    assert f"field={asked[:5]}" in line
    assert f"reason={reason.value}" in line
    assert "arzipan" not in written.replace("request_id=test", "")
    assert f'calledger_graphql_fallbacks_total{{reason="{reason.value}"}}' in generate_latest(REGISTRY).decode()


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { types { name } } }",
        "{ viewer { role } calls { totalCount } }",
        'mutation { revealError(input: {errorId: "err_x", reason: ""}) { ledgerIndex } }',
        "{ calls(first: 0) { totalCount } }",
        "{ calls(filter: {model: {eq: null}}) { totalCount } }",
        '{ calls(after: "nothing") { totalCount } }',
        "{ nothing }",
        "{ __typename }",
    ],
)
async def test_what_is_not_to_be_compiled_is_no_fallback(seeded: SeededLedger, query: str) -> None:
    """Mutations, introspection, other root fields and mistakes of a caller count as nothing."""
    before = _counts()

    await _ask(seeded, query)

    assert _since(before) == {}
