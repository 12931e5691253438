"""No value of an enum is there that cannot be used: each that a caller may write is asked for once, end to end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLEnumType, get_named_type, is_input_object_type
from http_server import serve
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies import Role
from service.api.schema import build_schema
from service.storage.control.policies import store_policy

SCHEMA = build_schema()._schema
RANGE = "startedAt: {gte: $from, lt: $to}"
QUERIES = {
    "CallStatus": "{ calls(filter: {status: {eq: VALUE}}) { totalCount } }",
    "AmountUnknownReason": "{ calls(filter: {amountUnknown: {eq: VALUE}}) { totalCount } }",
    "AmountSource": "{ calls(filter: {amountSource: {eq: VALUE}}) { totalCount } }",
    "CallOrderField": f"""query($from: DateTime, $to: DateTime) {{
        calls(filter: {{{RANGE}, currency: {{eq: "USD"}}}}, orderBy: [{{field: VALUE}}]) {{ nodes {{ id }} }} }}""",
    "ErrorOrderField": """query($from: DateTime, $to: DateTime) {
        errors(filter: {occurredAt: {gte: $from, lt: $to}}, orderBy: [{field: VALUE}]) { nodes { id } } }""",
    "ErrorGroupOrderField": "{ errorGroups(orderBy: {field: VALUE}) { nodes { count } } }",
    "OrderDirection": "{ calls(orderBy: [{field: STARTED_AT, direction: VALUE}]) { nodes { id } } }",
    "CostDimension": f"""query($from: DateTime, $to: DateTime) {{
        costs(filter: {{{RANGE}}}, groupBy: [VALUE]) {{ nodes {{ calls }} }} }}""",
    "CostOrderField": """{ costs(filter: {currency: {eq: "USD"}}, bucket: DAY, orderBy: [{field: VALUE}]) {
        nodes { calls } } }""",
    "CorrectionTime": "{ costs(bucket: DAY, corrections: VALUE) { nodes { calls } } }",
    "TimeBucket": f"""query($from: DateTime, $to: DateTime) {{
        costs(bucket: VALUE, filter: {{{RANGE}}}) {{ nodes {{ calls }} }} }}""",
    "LedgerKind": "{ ledger(filter: {kind: {eq: VALUE}}) { totalCount } }",
    "DataClass": "mutation { planPurge(input: {class: VALUE}) { digest } }",
    "ExportFormat": "mutation { createExport(input: {kind: CALLS, format: VALUE}) { export { id } } }",
    "ExportCompression": "mutation { createExport(input: {kind: CALLS, format: CSV, compression: VALUE}) "
    "{ export { id } } }",
    "ExportPeriod": 'mutation { createExportSchedule(input: {every: VALUE, timeZone: "UTC", '
    "export: {kind: CALLS, format: CSV}}) { schedule { id } } }",
    "ExportKind": "mutation { createExport(input: {kind: VALUE, format: CSV}) { export { id } } }",
    "ErasureKind": """mutation { requestErasure(input: {kind: VALUE, account: "acme", reason: "r"WHOM}) {
        erasure { id } } }""",
}

SERVED = {
    "Role": 'mutation { createApiKey(input: {role: VALUE, accounts: ["acme"]}) { apiKey { role } } }',
    "HoldClass": """mutation { placeHold(input: {name: "n", owner: "o", reason: "r", classes: [VALUE],
        scope: {account: "acme"}}) { hold { classes } } }""",
    "WebhookEvent": """mutation { createWebhook(input: {url: "https://hooks.example.com/VALUE", events: [VALUE]}) {
        webhook { events } } }""",
}


def _written() -> dict[str, GraphQLEnumType]:
    """The enums that arguments take, directly or in inputs."""
    roots = [*SCHEMA.query_type.fields.values(), *SCHEMA.mutation_type.fields.values()]
    pending = [get_named_type(argument.type) for root in roots for argument in root.args.values()]
    found: dict[str, GraphQLEnumType] = {}
    seen = set()
    while pending:
        type_ = pending.pop()
        if type_.name in seen:
            continue
        seen.add(type_.name)
        if isinstance(type_, GraphQLEnumType):
            found[type_.name] = type_
        elif is_input_object_type(type_):
            pending += [get_named_type(field.type) for field in type_.fields.values()]
    return found


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await store_policy(seeded.database.owner, seeded.policy, applied_by="test")
        await seeded.put([StoredCall(await seeded.now(), account="acme", failed=True, error=StoredError())])
        yield seeded


def test_every_enum_that_is_written_is_tried() -> None:
    """An enum that is new to arguments has to say here how it is used."""
    assert set(_written()) == {*QUERIES, *SERVED}


@pytest.mark.parametrize("enum", QUERIES)
async def test_every_value_works(seeded: SeededLedger, enum: str) -> None:
    """Each value is answered without an error."""
    retention = seeded.retention
    now = await seeded.now()
    moments = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat()}
    for value in _written()[enum].values:
        query = QUERIES[enum].replace("VALUE", value).replace("WHOM", ', userId: "u"' if value == "USER" else "")
        variables: dict[str, Any] = moments if "$from" in query else {}
        await seeded.database.owner.execute("DELETE FROM export")
        context: dict[str, Any] = {"ledger": retention.ledger, "services": {"retention": retention}}
        result = await seeded.ask(query, variables=variables, **context)
        assert result.errors is None, (value, result.errors)


@pytest.mark.parametrize("enum", SERVED)
async def test_every_value_works_where_a_service_is_needed(seeded: SeededLedger, enum: str) -> None:
    """Each role of a key, each class of a hold and each event of a webhook, by a running service."""
    async with serve(seeded) as served:
        headers = {"Authorization": f"Bearer {await served.key(Role.ADMIN)}"}
        for value in _written()[enum].values:
            query = {"query": SERVED[enum].replace("VALUE", value)}
            async with served.session.post(served.url, json=query, headers=headers) as answer:
                done = await answer.json()
            assert "errors" not in done and value in repr(done["data"]), (value, done)
