"""Putting a policy in force: judge the change, apply it, or let it wait for a second admin."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import policies
from policies import Difference, Policy, Role
from service.access.authenticate import UnauthenticatedError
from service.access.keys import prefix_of
from service.commands.common import quiet_runtime, say, table
from service.errors import OperatorError, RequestError
from service.runtime.bootstrap import ADMIN_KEY_FILE
from service.runtime.runtime import Runtime
from service.storage.control.policies import AppliedPolicy, PolicyTransaction, agrees, policy_transaction

SHELL: Final = "cli"
"""The actor when no key is named: the user of the operator's shell, who counts as one person."""

_KEY_BYTES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class _PolicyChange:
    """One command that changes the policy: the runtime, the locked policy, and who acts."""

    runtime: Runtime
    transaction: PolicyTransaction
    applied: AppliedPolicy
    actor: str


async def apply(data: Path | None, policy: Policy, *, key: str | None, dry_run: bool) -> None:
    """Put `policy` in force, or let it wait. Prints what changes, and what was done."""
    async with _open_change(data, key) as change:
        if policies.digest(policy) == change.applied.digest and agrees(
            change.applied, await change.runtime.ledgered_policy()
        ):
            say(f"in force already: {change.applied.policy.name}, version {change.applied.version}")
            say(change.applied.digest)
            return
        difference = await _check_and_say(change, policy)
        if dry_run:
            say("nothing was changed: " + ("it would wait for a second admin" if difference.keeps_more else "dry run"))
        elif difference.keeps_more:
            proposal = await change.transaction.propose(
                policy, replaces=change.applied.version, proposed_by=change.actor
            )
            say(f"waits for a second admin: it keeps more, or longer; version {change.applied.version} stays in force")
            say(f"another admin approves it with: calledger policy approve {proposal.digest} --key FILE")
        else:
            await _put_in_force(change, policy, difference, applied_by=change.actor, approved_by=None)


async def approve(data: Path | None, digest: str, *, key: str | None) -> None:
    """Put a waiting policy in force, as a second admin."""
    async with _open_change(data, key) as change:
        waiting = [one for one in await change.transaction.proposals() if one.digest == digest]
        if not waiting:
            raise RequestError("no policy of that digest waits: `calledger policy list` shows what does")
        proposal = waiting[-1]
        if proposal.replaces != change.applied.version:
            raise RequestError(
                f"it was to replace version {proposal.replaces}, and version {change.applied.version} is in force by "
                "now: apply it again"
            )
        if change.actor == SHELL:
            raise RequestError("only an admin's key approves: name the file that holds yours with --key FILE")
        if change.actor in {one.proposed_by for one in waiting} or await _is_own_key_of_shell(
            change, proposal.proposed_by
        ):
            raise RequestError("who asked for it cannot approve it: that takes the key of another admin")
        policy = proposal.read()
        difference = await _check_and_say(change, policy)
        await _put_in_force(change, policy, difference, applied_by=proposal.proposed_by, approved_by=change.actor)


async def list_versions(data: Path | None) -> None:
    """Print what was ever in force, newest first, after what waits."""
    async with quiet_runtime(data) as runtime, policy_transaction(runtime.database.owner) as transaction:
        waiting, versions = await transaction.proposals(), await transaction.versions()
        in_force = versions[0].version if versions else None
    rows: list[tuple[object, ...]] = [
        ("-", "waits" if one.replaces == in_force else "void", one.digest, one.proposed_at, one.proposed_by, None)
        for one in waiting
    ]
    for one in versions:
        state = "in force" if one.version == in_force else "replaced"
        rows.append((one.version, state, one.digest, one.applied_at, one.applied_by, one.approved_by))
    table(("version", "state", "digest", "when", "by", "approved by"), rows)


@asynccontextmanager
async def _open_change(data: Path | None, key: str | None) -> AsyncIterator[_PolicyChange]:
    text = None if key is None else _key_text(key)
    async with quiet_runtime(data) as runtime:
        # Before the transaction, so that a refused caller does not hold its lock.
        actor = await _actor(runtime, text)
        async with policy_transaction(runtime.database.owner) as transaction:
            applied = await transaction.in_force()
            assert applied is not None, "a ledger that is open has a policy"
            yield _PolicyChange(runtime, transaction, applied, actor)


async def _check_and_say(change: _PolicyChange, policy: Policy) -> Difference:
    """Print and return what the change does. Raises PolicyError when the policy can never replace this one."""
    in_use, ever_used = await change.transaction.tiers()
    policies.check_change(
        change.applied.policy,
        policy,
        in_use=in_use,
        ever_used=ever_used,
    )
    difference = policies.diff(change.applied.policy, policy)
    for line in (one.line() for one in difference.changes):
        say(line)
    if not difference.changes:
        say("no difference but in how it is written")
    return difference


async def _put_in_force(
    change: _PolicyChange, policy: Policy, difference: Difference, *, applied_by: str, approved_by: str | None
) -> None:
    applied = await change.transaction.put_in_force(
        policy, applied_by=applied_by, approved_by=approved_by, ledger=change.runtime.ledger
    )
    if difference.purges:
        say(
            "reads end with the new windows at once; what is to be destroyed waits "
            f"{change.runtime.settings.purge_delay} hours (CALLEDGER_PURGE_DELAY), or `calledger purge --plan DIGEST`"
        )
    say(f"in force: {applied.policy.name}, version {applied.version}")
    say(applied.digest)


async def _actor(runtime: Runtime, text: str | None) -> str:
    """The id of an admin's key, or SHELL. Raises RequestError for a key that may not do this."""
    if text is None:
        return SHELL
    try:
        principal = await runtime.authenticator.authenticate(f"Bearer {text}")
    except UnauthenticatedError:
        raise RequestError("the key is not valid here, or not any more") from None
    if principal.role is not Role.ADMIN or principal.accounts is not None or principal.session is not None:
        raise RequestError("the key's role may not do this: it takes the key of an admin of every account")
    return principal.key_id


async def _is_own_key_of_shell(change: _PolicyChange, proposed_by: str) -> bool:
    """Whether the shell proposed it, and the key is the one in the shell's own data directory."""
    if proposed_by != SHELL:
        return False
    try:
        text = (change.runtime.settings.data / ADMIN_KEY_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return prefix_of(text) == change.actor


def _key_text(key: str) -> str:
    if prefix_of(key.strip()) is not None:
        raise RequestError(
            "give the file that holds the key, or `-` for standard input: what stands on a command line is seen by "
            "others, so revoke that key"
        )
    try:
        if key == "-":
            return sys.stdin.read(_KEY_BYTES_MAX).strip()
        with Path(key).open(encoding="ascii") as file:
            return file.read(_KEY_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError):
        raise OperatorError("the file of --key cannot be read: name one that holds the key in a line") from None


__all__ = ["apply", "approve", "list_versions"]
