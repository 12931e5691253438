"""The checks at the start, which do not read every row: the tables against the ledger, and the catalogue."""

from typing import Final

from service.errors import CalledgerError
from service.logs import get_logger
from service.retention.audit.fsck_catalogue import (
    check_catalogue,
    check_definitions,
    check_history,
    check_ledger_columns,
)
from service.retention.audit.record_check import differences
from service.retention.context import RetentionContext
from service.retention.purge.detached import descriptions, detached_partitions

log = get_logger()

_CHECKS: Final = {
    "row security": check_catalogue,
    "catalogue": check_definitions,
    "history": check_history,
    "columns": check_ledger_columns,
}


async def log_differences(context: RetentionContext) -> None:
    """Log each difference once, as an error. It does not stop the service: the safer of both is in force anyway."""
    try:
        found = await differences_at_start(context)
    except Exception:  # the service starts anyway, and logs that the check could not be made
        log.exception("the database could not be held against the ledger")
        return
    for one in found:
        log.error("the database is not as the ledger has it", difference=one)


async def differences_at_start(context: RetentionContext) -> list[str]:
    """Every difference from the ledger and the code, in words. `calledger fsck` checks all the rest."""
    outside = await detached_partitions(context, await context.partitions.catalogue(sized=False))
    now = await context.owner.fetchval("SELECT clock_timestamp()")
    found = [f"partition {one}" for one in descriptions(one for one in outside if not one.planned)]
    for name, check in _CHECKS.items():
        try:
            found += (await check(context, now))[0]
        except CalledgerError as error:
            found.append(f"{name} was not looked at: {error}")
    try:
        found += [one async for one in differences(context)]
    except CalledgerError as error:
        found.append(f"the tables were not held against the ledger: {error}")
    return found
