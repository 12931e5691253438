"""Accounts by name and number, and the tier that each had when: one cached look-up for writing and reading."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from service.storage.models import Account, AccountTier

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_ACCOUNT = "default"
_SCOPES_MAX = 256


class Accounts:
    """Cache of `account` and `account_tier`. A miss asks the database once; `refresh` reads everything anew.

    Rows are never changed or removed except by erasure, so what is cached stays true; tiers change only for the future.
    """

    def __init__(self, default_tier: int) -> None:
        self.default_tier = default_tier
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._numbers: dict[tuple[int, ...] | None, dict[str, int]] = {}
        self._tiers: dict[int, tuple[list[datetime], list[int]]] = {}

    async def refresh(self) -> None:
        ids = {account.name: account.id for account in await Account.all()}
        tiers: dict[int, tuple[list[datetime], list[int]]] = {}
        for row in await AccountTier.all().order_by("account_id", "from_at").values("account_id", "from_at", "tier"):
            starts, numbers = tiers.setdefault(row["account_id"], ([], []))
            starts.append(row["from_at"].astimezone(UTC))  # moments of one zone object compare ten times faster
            numbers.append(row["tier"])
        # All at once: whoever knows an account may ask for its tier.
        self._ids = ids
        self._names = {number: name for name, number in ids.items()}
        self._numbers = {}
        self._tiers = tiers

    async def ensure(self, names: Iterable[str]) -> dict[str, int]:
        """Numbers of `names`; accounts that are new are made, in the default tier."""
        names = set(names)
        if not names <= self._ids.keys():
            await self.refresh()
            for name in sorted(names - self._ids.keys()):
                await self._create(name)
            await self.refresh()
        return {name: self._ids[name] for name in names}

    async def _create(self, name: str) -> None:
        try:
            async with in_transaction():
                account = await Account.create(name=name, created_at=datetime.now(UTC))
                await AccountTier.create(account_id=account.id, tier=self.default_tier, from_at=EPOCH)
        except IntegrityError:
            return  # another process made it first

    def known(self, name: str) -> int | None:
        """The number of `name`, if it was asked for before."""
        return self._ids.get(name)

    async def find(self, name: str) -> int | None:
        """The number of `name`, or None when no such account exists."""
        if name not in self._ids:
            await self.refresh()
        return self._ids.get(name)

    async def name(self, number: int) -> str:
        if number not in self._names:
            await self.refresh()
        return self._names[number]

    @property
    def version(self) -> object:
        """Another object each time that everything was read anew."""
        return self._tiers

    def names(self) -> dict[int, str]:
        """Every account that is known now, name by number; do not change it."""
        return self._names

    def numbers(self, among: tuple[int, ...] | None) -> dict[str, int]:
        """Numbers by name of the accounts that are known now, of these only (None: all); do not change it."""
        found = self._numbers.get(among)
        if found is None:
            if len(self._numbers) >= _SCOPES_MAX:
                self._numbers.clear()
            wanted = self._names.keys() if among is None else among
            found = {self._names[number]: number for number in wanted if number in self._names}
            self._numbers[among] = found
        return found

    def tier(self, number: int, moment: datetime) -> int:
        """The tier of a call of account `number` that started at `moment`."""
        starts, tiers = self._tiers[number]
        if moment >= starts[-1]:  # nearly always
            return tiers[-1]
        return tiers[bisect_right(starts, moment) - 1]

    def tiers(self, numbers: Iterable[int] | None = None) -> tuple[int, ...]:
        """Every tier that these accounts (None: all) ever had or will have, in order."""
        chosen = self._tiers.values() if numbers is None else (self._tiers[n] for n in numbers if n in self._tiers)
        return tuple(sorted({tier for _, tiers in chosen for tier in tiers}))

    def tier_spans(self, numbers: Iterable[int] | None = None) -> frozenset[tuple[int, datetime, datetime | None]]:
        """Every (tier, from, to) that these accounts (None: all) had, have or will have; `to` None: for good."""
        chosen = self._tiers.values() if numbers is None else (self._tiers[n] for n in numbers if n in self._tiers)
        return frozenset(
            span for starts, tiers in chosen for span in zip(tiers, starts, [*starts[1:], None], strict=True)
        )
