"""Everything that a client can choose: filters, operators, orders, groups, tags, facets and fields of files."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLNonNull, get_named_type
from rows import SeededLedger, StoredCall, StoredError

from policies.admission.segments import ErrorDetails, Parameter, ParameterAction
from service.api.schema import build_schema

SCHEMA = build_schema()._schema
VALUES = {
    "String": "x",
    "ID": "x",
    "Int": 1,
    "Decimal": "1",
    "Boolean": True,
    "DateTime": "2026-01-01T00:00:00Z",
    "BigInt": "1",
    "Float": 1.5,
}
LOGIC = {"and", "or", "not"}
# What each choice tells of.
CALL_FILTERS = {
    **{name: [f"Call.{name}"] for name in ("id", "sourceId", "startedAt", "account", "apiKey", "user", "model")},
    **{name: [f"Call.{name}"] for name in ("servedModel", "provider", "operation", "status", "streamed")},
    **{name: [f"Call.{name}"] for name in ("inputTokens", "outputTokens", "latencyMs", "timeToFirstTokenMs")},
    "recordedAt": ["Call.recordedAt"],
    **{name: [f"Call.{name}"] for name in ("errorType", "errorCode", "traceId", "parentSpanId", "sessionId")},
    **{name: [f"Call.{name}"] for name in ("attempt", "cacheHit")},
    **{name: [f"Call.{name}"] for name in ("deployment", "team", "teamId", "organization", "organizationId")},
    **{name: [f"Call.{name}"] for name in ("normalizedError", "providerRequestId")},
    **{name: [f"Call.{name}"] for name in ("source", "cacheReadTokens", "cacheWriteTokens", "tokenEfficiency")},
    "amountSource": ["Call.amount", "Amount.source"],
    "totalTokens": ["Call.totalTokens", "Call.inputTokens", "Call.outputTokens"],
    "amount": ["Call.amount", "Amount.amount"],
    "amountUnknown": ["Call.amountUnknown", "Call.amount"],
    "currency": ["Call.amount", "Amount.currency"],
    "tags": ["Call.tags", "Tag.key", "Tag.value"],
    "isCorrection": ["Call.corrects"],
}
ERROR_FILTERS = {
    "id": ["CallError.id"],
    "occurredAt": ["CallError.occurredAt"],
    **{name: [f"Call.{name}"] for name in ("account", "apiKey", "user", "model", "provider")},
    "type": ["CallError.type", "Call.errorType"],
    "code": ["CallError.code", "Call.errorCode"],
    "fingerprint": ["CallError.fingerprint"],
    "redactedBy": ["CallError.redactions", "Redaction.rule"],
}
FILTERS = {"CallFilter": CALL_FILTERS, "ErrorFilter": ERROR_FILTERS}
WHEN = ("Call.startedAt", "CostKey.bucketStart", "CostKey.bucketEnd")
ENUMS = {
    "CallOrderField": {
        "STARTED_AT": ["Call.startedAt"],
        "AMOUNT": ["Call.amount", "Amount.amount"],
        "LATENCY": ["Call.latencyMs"],
        "TOTAL_TOKENS": ["Call.totalTokens", "Call.inputTokens", "Call.outputTokens"],
        "CACHE_READ_TOKENS": ["Call.cacheReadTokens"],
        "CACHE_WRITE_TOKENS": ["Call.cacheWriteTokens"],
        "TOKEN_EFFICIENCY": ["Call.tokenEfficiency"],
        "TIME_TO_FIRST_TOKEN": ["Call.timeToFirstTokenMs"],
        "AMOUNT_SOURCE": ["Call.amount", "Amount.source"],
    },
    "ErrorOrderField": {"OCCURRED_AT": ["CallError.occurredAt"]},
    "ErrorGroupOrderField": {
        "COUNT": ["ErrorGroup.count"],
        "LAST_SEEN": ["ErrorGroup.lastSeen", "CallError.occurredAt"],
        "FIRST_SEEN": ["ErrorGroup.firstSeen", "CallError.occurredAt"],
    },
    "CostDimension": {
        "MODEL": ["Call.model", "CostKey.model"],
        "PROVIDER": ["Call.provider", "CostKey.provider"],
        "ACCOUNT": ["Call.account", "CostKey.account"],
        "API_KEY": ["Call.apiKey", "CostKey.apiKey"],
        "STATUS": ["Call.status", "CostKey.status"],
        "OPERATION": ["Call.operation", "CostKey.operation"],
        "SERVED_MODEL": ["Call.servedModel", "CostKey.servedModel"],
        "ERROR_TYPE": ["Call.errorType", "CostKey.errorType"],
        "USER": ["Call.user", "CostKey.user"],
    },
    "CostOrderField": {
        "AMOUNT": ["Call.amount", "CostRow.amount"],
        "CALLS": ["CostRow.calls"],
        "ERRORS": ["Call.status", "CostRow.errors"],
        "TOTAL_TOKENS": ["Call.inputTokens", "Call.outputTokens", "CostRow.inputTokens", "CostRow.outputTokens"],
        "CACHE_READ_TOKENS": ["Call.cacheReadTokens", "CostRow.cacheReadTokens"],
        "CACHE_WRITE_TOKENS": ["Call.cacheWriteTokens", "CostRow.cacheWriteTokens"],
        "TOKEN_EFFICIENCY": ["Call.tokenEfficiency", "CostRow.tokenEfficiency"],
        "BUCKET_START": ["CostKey.bucketStart"],
        "KEY": [],
    },
    "TimeBucket": dict.fromkeys(("MINUTE", "QUARTER_HOUR", "HOUR", "DAY", "WEEK", "MONTH"), WHEN),
}
FACETS = {
    "models": "Call.model",
    "providers": "Call.provider",
    "accounts": "Call.account",
    "apiKeys": "Call.apiKey",
    "errorTypes": "Call.errorType",
    "errorCodes": "Call.errorCode",
    "operations": "Call.operation",
    "servedModels": "Call.servedModel",
    "tags": "Call.tags",
    "statuses": "Call.status",
    "currencies": "Amount.currency",
}


def exports(type_: str, kind: str, choice: str) -> dict[str, str]:
    """The two places at which an export is asked for: once, and by a schedule."""
    input_ = f"{{kind: {kind}, format: CSV, {choice}}}"
    inputs = {
        "createExport": input_,
        "createExportSchedule": f'{{every: DAY, timeZone: "UTC", export: {input_}}}',
    }
    return {
        root: f"mutation($x: {type_}!) {{ {root}(input: {given}) {{ __typename }} }}" for root, given in inputs.items()
    }


# Where each choice is made: `$x` is the choice, and what is selected tells nothing by itself.
PLACES = {
    "CallFilter": {
        "calls": "query($x: CallFilter) { calls(filter: $x) { __typename } }",
        "costs": "query($x: CallFilter) { costs(filter: $x) { __typename } }",
        "facets": "query($x: CallFilter) { facets(filter: $x) { __typename } }",
        "changes": "query($x: CallFilter) { changes(filter: $x) { __typename } }",
        "callRecorded": "subscription($x: CallFilter) { callRecorded(filter: $x) { __typename } }",
        "createWebhook": """mutation($x: CallFilter!) {
            createWebhook(input: {url: "http://refused.example.com/", events: [ERROR_RATE_SPIKE], filter: $x}) {
                __typename } }""",
        **exports("CallFilter", "CALLS", "filter: $x"),
    },
    "ErrorFilter": {
        "errors": "query($x: ErrorFilter) { errors(filter: $x) { __typename } }",
        "errorGroups": "query($x: ErrorFilter) { errorGroups(filter: $x) { __typename } }",
        **exports("ErrorFilter", "ERRORS", "errorFilter: $x"),
    },
    "CallOrderField": {"calls": "query($x: CallOrderField!) { calls(orderBy: [{field: $x}]) { __typename } }"},
    "ErrorOrderField": {"errors": "query($x: ErrorOrderField!) { errors(orderBy: [{field: $x}]) { __typename } }"},
    "ErrorGroupOrderField": {
        "errorGroups": "query($x: ErrorGroupOrderField!) { errorGroups(orderBy: {field: $x}) { __typename } }"
    },
    "CostDimension": {
        "costs": "query($x: CostDimension!) { costs(groupBy: [$x]) { __typename } }",
        **exports("CostDimension", "COSTS", "groupBy: [$x]"),
    },
    "CostOrderField": {"costs": "query($x: CostOrderField!) { costs(orderBy: [{field: $x}]) { __typename } }"},
    "TimeBucket": {
        "costs": "query($x: TimeBucket!) { costs(bucket: $x) { __typename } }",
        "errorGroups": "query($x: TimeBucket!) { errorGroups(bucket: $x) { __typename } }",
        **exports("TimeBucket", "COSTS", "bucket: $x"),
    },
}
# Enums of arguments that choose nothing by themselves, and inputs of duties, which hold no call data.
HARMLESS = {
    "AmountSource",
    "AmountUnknownReason",
    "CorrectionTime",
    "OrderDirection",
    "CallStatus",
    "ExportKind",
    "ExportFormat",
    "ExportCompression",
    "ExportPeriod",
    "WebhookEvent",
}
CANARIES: Mapping[str, str] = {
    "Call.sourceId": "canary-source-id",
    "Call.apiKey": "canary-api-key",
    "Call.model": "canary-model",
    "Call.servedModel": "canary-served",
    "Call.provider": "canary-provider",
    "Call.operation": "canary-operation",
    "Call.account": "canary-account",
    "Call.errorType": "CanaryType",
    "Call.errorCode": "canary-code",
    "Call.inputTokens": "7010203",
    "Call.outputTokens": "8010203",
    "Call.cacheReadTokens": "6010203",
    "Call.cacheWriteTokens": "5010203",
    "Call.reasoningTokens": "4010203",
    "Call.latencyMs": "3010203",
    "Call.timeToFirstTokenMs": "2010203",
    "Call.traceId": "canary-trace",
    "Call.parentSpanId": "canary-parent",
    "Call.sessionId": "canary-session",
    "Call.attempt": "31337",
    "Call.deployment": "canary-deployment",
    "Call.team": "canary-team",
    "Call.teamId": "canary-number",
    "Call.organizationId": "canary-org-number",
    "Call.organization": "canary-organization",
    "Call.normalizedError": "canary-normalized",
    "Call.providerRequestId": "canary-request",
    "Unit.name": "canary_unit",
    "Unit.quantity": "511.5",
    "Call.amount": "910.203",
    "Amount.amount": "910.203",
    "Amount.currency": "ZZC",
    "AmountPart.meter": "canary-meter",
    "AmountPart.quantity": "811.5",
    "AmountPart.unitPrice": "711.5",
    "AmountPart.amount": "611.5",
    "Tag.key": "cost_center",
    "Tag.value": "canary-tag",
    "CallError.message": "canary-message",
    "ErrorParameter.name": "service_tier",
    "ErrorParameter.value": "canary-value",
    "Redaction.rule": "canary-rule",
    "Redaction.count": "101010203",
}


async def canary_call(seeded: SeededLedger) -> StoredCall:
    """A call whose every value is known."""
    value = CANARIES
    parameters = {
        value["ErrorParameter.name"]: Parameter(ParameterAction.KEPT, (f'"{value["ErrorParameter.value"]}"',))
    }
    return StoredCall(
        await seeded.now() - timedelta(hours=3),
        account=value["Call.account"],
        source_id=value["Call.sourceId"],
        model=value["Call.model"],
        served_model=value["Call.servedModel"],
        provider=value["Call.provider"],
        operation=value["Call.operation"],
        api_key=value["Call.apiKey"],
        user="canary-user",
        failed=True,
        streamed=True,
        input_tokens=int(value["Call.inputTokens"]),
        output_tokens=int(value["Call.outputTokens"]),
        cache_read_tokens=int(value["Call.cacheReadTokens"]),
        cache_write_tokens=int(value["Call.cacheWriteTokens"]),
        reasoning_tokens=int(value["Call.reasoningTokens"]),
        amount=Decimal(value["Call.amount"]),
        currency=value["Amount.currency"],
        amount_source=1,
        amount_parts=[
            {
                "meter": value["AmountPart.meter"],
                "quantity": value["AmountPart.quantity"],
                "unit_price": value["AmountPart.unitPrice"],
                "amount": value["AmountPart.amount"],
            }
        ],
        latency_ms=int(value["Call.latencyMs"]),
        time_to_first_token_ms=int(value["Call.timeToFirstTokenMs"]),
        tags={value["Tag.key"]: value["Tag.value"]},
        trace_id=value["Call.traceId"],
        parent_span_id=value["Call.parentSpanId"],
        session_id=value["Call.sessionId"],
        attempt=int(value["Call.attempt"]),
        deployment=value["Call.deployment"],
        team=value["Call.team"],
        team_id=value["Call.teamId"],
        organization_id=value["Call.organizationId"],
        organization=value["Call.organization"],
        normalized_error=value["Call.normalizedError"],
        provider_request_id=value["Call.providerRequestId"],
        units={value["Unit.name"]: value["Unit.quantity"]},
        error_type=value["Call.errorType"],
        error_code=value["Call.errorCode"],
        error=StoredError(
            type=value["Call.errorType"],
            code=value["Call.errorCode"],
            rules={value["Redaction.rule"]: int(value["Redaction.count"])},
            details=ErrorDetails((value["CallError.message"],), parameters),
        ),
    )


def choices() -> Iterator[tuple[str, Sequence[str], str, str, Any]]:
    """Every choice: what it is called, the fields that it tells of, its root, the query, and the variable."""
    for input_, fields in FILTERS.items():
        for name, governed in fields.items():
            for number, value in enumerate(operators(input_, name)):
                for root, query in PLACES[input_].items():
                    # An export is taken on whole each time: one operator of each field will do.
                    if not root.startswith("createExport") or number == 0:
                        yield f"{root} {name} {value}", governed, root, query, {name: value}
    for enum, values in ENUMS.items():
        for value, governed in values.items():
            for root, query in PLACES[enum].items():
                yield f"{root} {value}", governed, root, query, value
    tags = "query($x: String!) { costs(groupByTags: [$x]) { __typename } }"
    yield "costs groupByTags", ["Call.tags", "Tag.key", "Tag.value", "CostKey.tags"], "costs", tags, "team"
    for facet, governed_by in FACETS.items():
        query = f"query($x: Int) {{ facets(first: $x) {{ {facet} {{ __typename }} }} }}"
        yield f"facets {facet}", [governed_by, f"Facets.{facet}"], "facets", query, 5


def operators(input_: str, name: str) -> Iterator[Any]:
    """One value for every operator that a filter's field has."""
    type_ = get_named_type(SCHEMA.type_map[input_].fields[name].type)
    if type_.name == "TagFilter":
        yield [{"key": "team"}]
        for operator in operators("TagFilter", "value"):
            yield [{"key": "team", "value": operator}]
        return
    for operator, definition in type_.fields.items():
        if type_.name == "UserFilter" and operator == "id":
            continue  # who may name a plain id is asked for by itself, below
        yield {operator: sample(definition.type)}


def sample(type_: Any) -> Any:
    inner = get_named_type(type_)
    while isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    value = next(iter(inner.values)) if isinstance(inner, GraphQLEnumType) else VALUES[inner.name]
    return [value] if type_ is not inner else value


def used(types: Any) -> set[str]:
    """Names of the input types and enums that are reached from these."""
    names: set[str] = set()
    pending = [*types]
    while pending:
        type_ = pending.pop()
        if type_.name not in names:
            names.add(type_.name)
            if isinstance(type_, GraphQLInputObjectType):
                pending += [get_named_type(field.type) for field in type_.fields.values()]
    return names
