"""Charges as FOCUS 1.2: sums that are exactly those of the calls, and columns that a validator accepts."""

import csv
import io
import json
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest
from environments import environment
from evidence import Auditor
from http_server import Served, serve
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import Role
from service.storage.ids import decode_call_id

REQUIREMENTS = ("focus-validator==1.0.0", "multimethod<2")
"""The newest that PyPI has; of its pins it leaves out one."""
OVERRIDES = Path(__file__).with_name("focus_overrides.yaml")
RULES = "1.0"
"""The newest rules of the package. What 1.2 adds is checked below, by the columns that it calls mandatory."""
MANDATORY = frozenset(
    [
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodStart",
        "BillingPeriodEnd",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    ]
)
NULLABLE = {"ChargeClass", "PricingQuantity", "PricingUnit"}
DAY = datetime(2026, 10, 5, tzinfo=UTC)


def part(meter: str, quantity: str, amount: str) -> dict[str, str]:
    return {"meter": meter, "quantity": quantity, "amount": amount}


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


@pytest.fixture
async def served(seeded: SeededLedger) -> AsyncIterator[Served]:
    """Calls with parts and without, in two currencies; a correction in the month of its call, and one in the next."""
    usd: dict[str, Any] = {"currency": "USD", "amount_source": 1, "provider": "openai", "model": "gpt-4o"}
    calls = [
        StoredCall(DAY + timedelta(hours=n), source_id=f"s{n}", amount=Decimal("0.31"), input_tokens=100,
                   output_tokens=10, amount_parts=[part("input", "100", "0.1"), part("output", "10", "0.2")], **usd)
        for n in range(5)
    ]  # fmt: skip
    calls += [
        StoredCall(DAY, source_id="whole", amount=Decimal("0.000000000001"), input_tokens=7, output_tokens=3, **usd),
        StoredCall(DAY, source_id="eur", account="globex", amount=Decimal(2), **(usd | {"currency": "EUR"})),
        StoredCall(DAY, source_id="unknown", amount_unknown=1, input_tokens=5),
        StoredCall(DAY, source_id="free", amount=Decimal(0), failed=True, **usd),
        StoredCall(DAY + timedelta(days=1), source_id="late", amount=Decimal(1), **(usd | {"provider": None})),
        StoredCall(DAY, source_id="guess", amount=Decimal("0.5"), **(usd | {"amount_source": 3})),
    ]
    ids = await seeded.put(calls)
    key = decode_call_id(ids[0])
    await correct(seeded, key.account_id, key.uuid, DAY + timedelta(days=3), Decimal("-0.1"))
    await correct(seeded, key.account_id, key.uuid, DAY + timedelta(days=40), Decimal("0.04"))
    async with serve(seeded) as served:
        yield served


async def correct(seeded: SeededLedger, account: int, call: UUID, made: datetime, amount: Decimal) -> None:
    """A correction, in both places that have it."""
    await seeded.put(
        [
            StoredCall(
                DAY, source_id=f"c{made:%d}", amount=amount, currency="USD", amount_source=1, provider="openai",
                correction_of=call, corrected_at=made,
            )
        ]
    )  # fmt: skip
    await seeded.database.owner.execute(
        "INSERT INTO correction (key, bucket_at, own_bucket_at, digest, call_id, account_id, tier, own_tier, failed, "
        "amount, model, provider, api_key, currency) VALUES ($1, $2, $3, 1, $4, $5, 1, 1, false, $6, 'gpt-4o', "
        "'openai', '', 'USD')",
        uuid4(), DAY, made, call, account, amount,
    )  # fmt: skip


async def exported(served: Served, form: str = "CSV", **wanted: Any) -> bytes:
    return (await Auditor(served, await served.key(Role.VIEWER)).exported("FOCUS", form, **wanted))[1]


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


async def test_charges_add_up_to_what_the_calls_cost(served: Served) -> None:
    """By day, account and currency: split as far as parts say, the rest by itself, nothing lost and nothing guessed."""
    rows = table(await exported(served))
    sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row["ChargePeriodStart"], row["BillingAccountId"], row["BillingCurrency"]] += Decimal(row["BilledCost"])
    assert sums == {
        ("2026-10-05T00:00:00Z", "acme", "USD"): 5 * Decimal("0.31") + Decimal("0.5") + Decimal("1E-12")
        - Decimal("0.1") + Decimal("0.04"),
        ("2026-10-05T00:00:00Z", "globex", "EUR"): Decimal(2),
        ("2026-10-06T00:00:00Z", "acme", "USD"): Decimal(1),
    }  # fmt: skip
    found = {
        (row["x_TokenType"], row["x_Estimated"]): row
        for row in rows
        if row["ProviderName"] == "openai" and row["BillingCurrency"] == "USD" and row["ConsumedUnit"]
    }
    tokens = {name: (row["ConsumedQuantity"], row["BilledCost"], row["x_CallCount"]) for name, row in found.items()}
    assert tokens == {
        ("input", "false"): ("500", "0.5", "5"),
        ("output", "false"): ("50", "1", "5"),
        ("", "false"): ("10", "0.050000000001", "7"),
        ("", "true"): ("0", "0.5", "1"),
    }
    assert (found["input", "false"]["SkuMeter"], found["", "false"]["SkuMeter"]) == ("Input Tokens", "")
    assert {row["ProviderName"] for row in rows} == {"openai", "unknown"}


async def test_a_correction_is_billed_when_it_was_made(served: Served) -> None:
    """Of the same month it is no ChargeClass; of an earlier one it is a Correction of the day of the calls."""
    rows = [row for row in table(await exported(served)) if row["ChargeDescription"].startswith("Correction")]
    assert [
        (row["BilledCost"], row["ChargeClass"], row["BillingPeriodStart"][:7], row["ChargePeriodStart"][:10])
        for row in rows
    ] == [("-0.1", "", "2026-10", "2026-10-05"), ("0.04", "Correction", "2026-11", "2026-10-05")]
    within = {"startedAt": {"gte": "2026-11-01T00:00:00Z", "lt": "2026-12-01T00:00:00Z"}}
    [only] = table(await exported(served, filter=within))
    assert only["ChargeClass"] == "Correction"


async def test_it_has_what_focus_1_2_calls_mandatory(served: Served, tmp_path: Path) -> None:
    """Every mandatory column, with a value where it may not be null, of the type that it must have."""
    path = tmp_path / "focus.parquet"
    path.write_bytes(await exported(served, "PARQUET"))
    frame = pq.read_table(path)
    assert set(frame.schema.names) >= MANDATORY
    assert all(name in MANDATORY or name[0].isupper() or name.startswith("x_") for name in frame.schema.names)
    for name in MANDATORY - NULLABLE:
        assert frame[name].null_count == 0, name
    types = {field.name: str(field.type) for field in frame.schema}
    assert {types[name] for name in ("BilledCost", "ListCost", "EffectiveCost")} == {"decimal128(38, 12)"}
    assert {types[f"{which}Period{end}"] for which in ("Billing", "Charge") for end in ("Start", "End")} == {
        "timestamp[us, tz=UTC]"
    }
    lines = [json.loads(line) for line in (await exported(served, "NDJSON")).splitlines()]
    assert [line["BilledCost"] for line in lines] == [
        format(row["BilledCost"].normalize(), "f") for row in frame.to_pylist()
    ]


@pytest.fixture(scope="module")
def validator() -> Path:
    """The FinOps Foundation's own, in an environment of its own: its pins are not ours."""
    return environment("focus", *REQUIREMENTS)


async def test_the_validator_of_the_finops_foundation_accepts_it(
    served: Served, validator: Path, tmp_path: Path
) -> None:
    """`focus-validator` finds nothing in a CSV with usage, corrections and two currencies; and it does find things."""
    path = tmp_path / "focus.csv"
    path.write_bytes(await exported(served))
    done = validated(validator, path)
    assert (done.returncode, "Validation succeeded" in done.stdout) == (0, True), done.stdout + done.stderr
    path.write_bytes(path.read_bytes().replace(b"Usage-Based", b"Sometimes"))
    assert "Validation failed" in validated(validator, path).stdout


def validated(validator: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    [packages] = validator.glob("lib/python3*/site-packages")  # where it looks for its list of currencies
    return subprocess.run(
        [
            *(validator / "bin" / "focus-validator", "--data-file", path),
            *("--validate-version", RULES, "--override-file", OVERRIDES),
        ],
        check=False, capture_output=True, text=True, cwd=packages,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"filter": {"startedAt": {"gte": "2026-10-05T01:00:00Z"}}}, "midnight, UTC"),
        ({"filter": {"inputTokens": {"gt": 5}}}, "FOCUS is filtered by"),
        ({"filter": {"isCorrection": {"eq": True}}}, "FOCUS is filtered by"),
        ({"fields": ["BilledCost"]}, "leave `fields` out"),
        ({"groupBy": ["MODEL"]}, "of costs alone"),
    ],
)
async def test_what_focus_cannot_say_is_refused_at_once(served: Served, wanted: dict[str, Any], said: str) -> None:
    """The caller is told what is wrong before anything is started."""
    code, message = await Auditor(served, await served.key(Role.VIEWER)).refused("FOCUS", "CSV", **wanted)
    assert (code, said in message) == ("BAD_USER_INPUT", True), message


async def test_who_does_not_see_all_of_it_gets_none(served: Served, seeded: SeededLedger) -> None:
    """Only accounts of the key; and nothing for roles that are denied calls, or a field that charges tell."""
    globex = await seeded.accounts.find("globex")
    of_globex = Auditor(served, await served.key(Role.PARTNER, globex))
    assert {row["BillingAccountId"] for row in table((await of_globex.exported("FOCUS", "CSV"))[1])} == {"globex"}
    for role in (Role.AUDITOR, Role.COMPLIANCE, Role.INGEST):
        assert (await Auditor(served, await served.key(role)).refused("FOCUS", "CSV"))[0] == "FORBIDDEN"
