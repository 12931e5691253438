"""One run of fsck: what it has to check of the parts, and what it found out about them before."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from policies.policy.model import Store
from policies.retention import Partition
from service.keyring import KeyringError
from service.retention.audit.incremental.results import Results
from service.retention.audit.incremental.states import States, is_counted
from service.retention.context import RetentionContext


@dataclass(slots=True)
class FsckRun:
    """A run: what it works with, the database's time at its start, and the results of earlier runs."""

    context: RetentionContext
    now: datetime
    results: Results
    _partitions: Sequence[Partition] = field(default_factory=list[Partition])
    _states: States | None = None

    @classmethod
    async def open(cls, context: RetentionContext, *, again: bool = False, full: bool = False) -> "FsckRun":
        """A run that stores its results, and (unless `full`) rests on those of earlier ones, if `again` is True.

        Otherwise, and where states cannot be compared or the keyring's secret is not there, everything is checked.
        """
        now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
        secret = None
        if again and await is_counted(context.owner):
            try:
                secret = await context.keyring.secret("pepper")
            except KeyringError:
                secret = None
        return cls(context, now, Results(context.owner, now, secret, full=full))

    async def states(self) -> States:
        """The states at the first use in this run, which is before anything is checked that rests on them."""
        if self._states is None:
            # The states first: rows of a partition that is made in between are counted the next time.
            self._states = await States.read(self.context.owner, self.results.seed)
            self._partitions = (await self.context.partitions.catalogue(sized=False)).partitions
        return self._states

    async def partitions(self, *stores: Store) -> list[Partition]:
        """The partitions of these stores that can have a row."""
        states = await self.states()
        return [part for part in self._partitions if part.store in stores and states.filled(part)]

    async def each(
        self,
        check: str,
        parts: Iterable[Partition],
        look: Callable[[Partition], Awaitable[bool | None]],
        state_of: Callable[[Partition], str] = lambda _: "",
    ) -> str:
        """Have `look` check the partitions that have to be; in words, which these were.

        `look` returns True for a partition that need not be checked again while it is in its state, which is its own
        and that of what `state_of` adds.
        """
        states = await self.states()
        for part in parts:
            state = f"{states.of(part)}; {state_of(part)}"
            if await self.results.recall(check, part.name, state) is None:
                if await look(part):
                    await self.results.keep(check, part.name, state)
                else:
                    self.results.checked(check)
        await self.results.end(check)
        return self.results.said(check, "partitions")
