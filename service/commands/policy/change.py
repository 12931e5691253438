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
from service.api.schema import build_schema
from service.commands.common import quiet_runtime, say, table
from service.errors import OperatorError, RequestError
from service.query.authorization.enforcement import check_schema
from service.runtime.bootstrap import ADMIN_KEY_FILE
from service.runtime.runtime import Runtime
from service.storage.control.policies import AppliedPolicy, PolicyTransaction, agrees, policy_transaction

SHELL: Final = "cli"
"""Who acts when no key is named: whoever has the operator's shell, one person as far as anybody can tell."""

_KEY_BYTES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class _Desk:
    """One command at work: the runtime, the desk with its policy held still, and who is at it."""

    runtime: Runtime
    desk: PolicyTransaction
    applied: AppliedPolicy
    actor: str


async def apply(data: Path | None, policy: Policy, *, key: str | None, dry_run: bool) -> None:
    """Put `policy` in force, or let it wait. Prints what changes, and what has become of it."""
    async with _at_desk(data, key) as at:
        if policies.digest(policy) == at.applied.digest and agrees(at.applied, await at.runtime.ledgered_policy()):
            say(f"in force already: {at.applied.policy.name}, version {at.applied.version}")
            say(at.applied.digest)
            return
        difference = await _judged(at, policy)
        if dry_run:
            say("nothing was changed: " + ("it would wait for a second admin" if difference.keeps_more else "dry run"))
        elif difference.keeps_more:
            proposal = await at.desk.propose(policy, replaces=at.applied.version, proposed_by=at.actor)
            say(f"waits for a second admin: it keeps more, or longer; version {at.applied.version} stays in force")
            say(f"another admin approves it with: calledger policy approve {proposal.digest} --key FILE")
        else:
            await _put_in_force(at, policy, difference, applied_by=at.actor, approved_by=None)


async def approve(data: Path | None, digest: str, *, key: str | None) -> None:
    """Put in force what waits, as a second admin."""
    async with _at_desk(data, key) as at:
        waiting = [one for one in await at.desk.proposals() if one.digest == digest]
        if not waiting:
            raise RequestError("no policy of that digest waits: `calledger policy list` shows what does")
        proposal = waiting[-1]
        if proposal.replaces != at.applied.version:
            raise RequestError(
                f"it was to replace version {proposal.replaces}, and version {at.applied.version} is in force by now: "
                "apply it again"
            )
        if at.actor == SHELL:
            raise RequestError("only an admin's key approves: name the file that holds yours with --key FILE")
        if at.actor in {one.proposed_by for one in waiting} or await _is_shells_own(at, proposal.proposed_by):
            raise RequestError("who asked for it cannot approve it: that takes the key of another admin")
        policy = proposal.read()
        difference = await _judged(at, policy)
        await _put_in_force(at, policy, difference, applied_by=proposal.proposed_by, approved_by=at.actor)


async def list_versions(data: Path | None) -> None:
    """What was ever in force, newest first, after what waits."""
    async with quiet_runtime(data) as runtime, policy_transaction(runtime.database.owner) as desk:
        waiting, versions = await desk.proposals(), await desk.versions()
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
async def _at_desk(data: Path | None, key: str | None) -> AsyncIterator[_Desk]:
    text = None if key is None else _key_text(key)
    async with quiet_runtime(data) as runtime:
        # Before the desk: who is not let in holds nobody up.
        actor = await _actor(runtime, text)
        async with policy_transaction(runtime.database.owner) as desk:
            applied = await desk.in_force()
            assert applied is not None, "a ledger that is open has a policy"
            yield _Desk(runtime, desk, applied, actor)


async def _judged(at: _Desk, policy: Policy) -> Difference:
    """What the change does, printed. Raises PolicyError when the policy can never take this one's place."""
    check_schema(policy, build_schema()._schema)  # graphql-core's schema has no public name
    in_use, ever_used = await at.desk.tiers()
    policies.check_change(
        at.applied.policy,
        policy,
        in_use=in_use,
        ever_used=ever_used,
    )
    difference = policies.diff(at.applied.policy, policy)
    for change in difference.changes:
        say(change.line())
    if not difference.changes:
        say("no difference but in how it is written")
    return difference


async def _put_in_force(
    at: _Desk, policy: Policy, difference: Difference, *, applied_by: str, approved_by: str | None
) -> None:
    applied = await at.desk.put_in_force(
        policy, applied_by=applied_by, approved_by=approved_by, ledger=at.runtime.ledger
    )
    if difference.purges:
        say(
            f"reads end with the new windows at once; what is to be destroyed waits {at.runtime.settings.purge_delay} "
            "hours (CALLEDGER_PURGE_DELAY), or `calledger purge --plan DIGEST`"
        )
    say(f"in force: {applied.policy.name}, version {applied.version}")
    say(applied.digest)


async def _actor(runtime: Runtime, text: str | None) -> str:
    """The id of an admin's key, or SHELL."""
    if text is None:
        return SHELL
    try:
        principal = await runtime.authenticator.authenticate(f"Bearer {text}")
    except UnauthenticatedError:
        raise RequestError("the key is not valid here, or not any more") from None
    if principal.role is not Role.ADMIN or principal.accounts is not None:
        raise RequestError("the key's role may not do this: it takes the key of an admin of every account")
    return principal.key_id


async def _is_shells_own(at: _Desk, proposed_by: str) -> bool:
    """Whether the shell asked, and the key is the one that lies in the shell's own folder."""
    if proposed_by != SHELL:
        return False
    try:
        text = (at.runtime.settings.data / ADMIN_KEY_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return prefix_of(text) == at.actor


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
        raise OperatorError("the file of --key cannot be read") from None


__all__ = ["apply", "approve", "list_versions"]
