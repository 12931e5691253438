"""Any valid question about calls is answered: with data, or with an error that is the caller's and says so."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from graphql import StringValueNode, build_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails
from policies.policy.model import Role
from service.api.execution.errors import Code
from service.api.schema import sdl


def texts(*values: str) -> st.SearchStrategy[StringValueNode]:
    return st.sampled_from(values).map(lambda value: StringValueNode(value=value))


ABOUT_CALLS = ["calls", "errors", "errorGroups", "costs", "facets", "call", "node", "viewer"]
OPERATIONS = queries(
    build_schema(sdl()),
    fields=ABOUT_CALLS,
    custom_scalars={
        "DateTime": texts(
            "2026-11-22T10:00:00Z", "1970-01-01T00:00:00.5+14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
        ),
        "Decimal": texts("0.1", "-12", "123456789012345678.123456789012", "0"),
        "BigInt": texts("0", "9223372036854775807", "-5"),
        "TimeZone": texts("UTC", "Asia/Kolkata", "Australia/Lord_Howe"),
    },
)


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        calls = [
            StoredCall(
                now - timedelta(hours=hour),
                source_id=str(hour),
                user="u",
                failed=hour % 2 == 0,
                amount=Decimal(1),
                currency="USD",
                amount_source=1,
                input_tokens=hour,
                tags={"team": "a"},
                error=StoredError(details=ErrorDetails(("m",))) if hour % 2 == 0 else None,
            )
            for hour in range(6)
        ]
        await seeded.put(calls)
        yield seeded


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(operation=OPERATIONS, role=st.sampled_from([Role.ADMIN, Role.VIEWER, Role.PARTNER, Role.AUDITOR]))
async def test_no_operation_breaks_the_service(seeded: SeededLedger, operation: str, role: Role) -> None:
    """Whatever is asked by whomever: no error is ours, every error has a code from the list."""
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(role, *([number] if role is Role.PARTNER else []))

    result = await seeded.ask(operation, scope)

    codes = {(error.extensions or {}).get("code") for error in result.errors or []}
    assert codes <= {code.value for code in Code} - {"INTERNAL", "NOT_FOUND", "UNAUTHENTICATED"}, [
        error.formatted for error in result.errors or []
    ]
