"""Errors of a filled ledger: admitted by the policy and sealed by the keyring, as the writer would have stored them."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks.data import sample
from policies import Admission, ErrorReport, Report
from policies.redaction import Redactor
from service.ingest.preparation.batch_context import Sealer
from service.runtime.runtime import Runtime
from service.storage.ids import Identities

_SEED: Final = 31

_FAILED: Final = """
SELECT account_id, tier, started_at, error_at, id, user_token, api_key, model, provider, error_type, error_code
FROM call WHERE error_at IS NOT NULL AND tier = $1 AND started_at >= $2 AND started_at < $3
"""
_ERROR_COLUMNS: Final = (
    "account_id", "tier", "started_at", "occurred_at", "id", "user_token", "api_key", "model", "provider",
    "error_type", "error_code", "fingerprint", "rules", "rule_counts", "sealed",
)  # fmt: skip


def admitted_errors(runtime: Runtime) -> list[Any]:
    """Some two dozen errors, as admission lets them be kept: days of a filled ledger choose among them."""
    admission, dice = Admission(runtime.applied.policy, Redactor()), random.Random(_SEED)
    return [_admitted(admission, dice) for _ in range(24)]


async def add_errors(runtime: Runtime, errors: Sequence[Any], tier: int, day: datetime) -> None:
    """Store an error for every failed call of a tier and a UTC day, each one of `errors`, sealed by itself."""
    identities = Identities(await runtime.keyring.secret("pepper"))
    dice = random.Random(day.toordinal())
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
