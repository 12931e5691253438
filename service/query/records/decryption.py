"""Opening what is sealed of errors, for the rows that are shown and no others.

The masked view always, but for one error at a time that somebody has revealed (`reveal`), into the ledger.

Trouble with keys never costs more than the sealed values: the rest of the row is served, and `disclosure` says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from policies import envelope
from policies.admission.segments import (
    ErrorDetails,
    ParameterAction,
    SegmentsError,
    listed,
    masked,
    revealed,
    unpack_segments,
)
from policies.envelope import DataKey, OpenError, SealContext
from policies.policy.model import Action, DataClass, Store, View
from policies.retention import readable_cutoff
from service.keyring import AccountKeyName, PeriodKeyName
from service.keyring.errors import KeyDestroyedError, KeyGoneError, KeyringUnavailableError
from service.keyring.protocol import Keyring
from service.query.model.scope import Scope
from service.query.records.page import Row


@dataclass(frozen=True, slots=True)
class Details:
    """What a role sees of one error's sealed details. `parameters`: (name, canonical JSON or None, action)."""

    disclosure: str
    message: str | None = None
    parameters: tuple[tuple[str, str | None, str], ...] | None = None


SEALED = Details("SEALED")
_MESSAGE = "CallError.message"
_VALUE = "ErrorParameter.value"
_COMPLETE_WHEN_REVEALED = {ParameterAction.KEPT, ParameterAction.MASKED, ParameterAction.SEALED}


class Decryptor:
    """Opens rows of one request; a data key is derived once for all rows that it opens."""

    def __init__(self, keyring: Keyring, scope: Scope, now: datetime, *, reveal: bool = False) -> None:
        # What was sealed under an earlier policy is shown by the one in force: it may keep nothing personal any more.
        self._message_text = revealed if reveal and scope.policy.action(_MESSAGE) is Action.SEAL else masked
        self._value_text = revealed if reveal and scope.policy.action(_VALUE) is Action.SEAL else masked
        self._reveal = reveal and self._message_text is self._value_text is revealed
        self._keyring = keyring
        self._scope = scope
        self._now = now
        self._keys: dict[tuple[int, str, int], DataKey | Details] = {}

    async def open_all(self, rows: Sequence[Row]) -> list[Details]:
        """The details of each row, in order. Rows carry account_id, tier, occurred_at, id and sealed."""
        return [await self.open(row) for row in rows]

    async def open(self, row: Row) -> Details:
        """The details of one row as far as the keys allow; a row that cannot be opened says why in `disclosure`."""
        key = await self._key_of(row)
        if isinstance(key, Details):
            return key
        account, period = row["account_id"], _period(row)
        context = SealContext(account, Store.CALL_ERROR.value, UUID(row["id"]).bytes, period, DataClass.PERSONAL.value)
        try:
            return self._view(unpack_segments(envelope.open_sealed(row["sealed"], data_key=key, context=context)))
        except (OpenError, SegmentsError):
            return Details("KEY_LOST")

    async def sealed_state(self, row: Row) -> Details:
        """Why the row cannot be opened, or SEALED when it can; nothing is opened to find out."""
        key = await self._key_of(row)
        return key if isinstance(key, Details) else SEALED

    async def _key_of(self, row: Row) -> DataKey | Details:
        """The key of what the row has sealed, or why there is nothing to open."""
        if row["sealed"] is None:
            return Details("NOT_KEPT")
        if not self._may_read():
            return SEALED
        tier, moment = row["tier"], row["occurred_at"]
        cut = readable_cutoff(self._scope.policy, tier, DataClass.PERSONAL, Store.CALL_ERROR, self._now)
        if moment < cut:
            return Details("KEY_DESTROYED")
        return await self._key(tier, _period(row), row["account_id"])

    def _may_read(self) -> bool:
        return any(
            self._scope.views.get(field, View.DENIED) is not View.DENIED for field in (_MESSAGE, "CallError.parameters")
        )

    async def _key(self, tier: int, period: str, account: int) -> DataKey | Details:
        name = (tier, period, account)
        if name not in self._keys:
            self._keys[name] = await self._fetch_key(tier, period, account)
        return self._keys[name]

    async def _fetch_key(self, tier: int, period: str, account: int) -> DataKey | Details:
        try:
            period_key = await self._keyring.key(PeriodKeyName(tier, DataClass.PERSONAL, period), mint=False)
            account_key = await self._keyring.key(AccountKeyName(account), mint=False)
        except KeyDestroyedError:
            return Details("KEY_DESTROYED")
        except KeyGoneError:
            return Details("KEY_LOST")
        except KeyringUnavailableError:
            return SEALED
        return envelope.data_key(period_key, account_key)

    def _view(self, sealed: ErrorDetails) -> Details:
        details = listed(sealed, self._scope.policy.parameters)
        seen = self._scope.views
        message_seen = seen.get(_MESSAGE, View.DENIED) is not View.DENIED and self._keeps(_MESSAGE)
        parameters_seen = seen.get("CallError.parameters") is View.SEE and self._keeps("CallError.parameters")
        complete = message_seen and parameters_seen and _is_clear(details, revealed_too=self._reveal)
        message = self._message_text(details.message) if message_seen and details.message is not None else None
        return Details(
            "CLEAR" if complete else "MASKED" if message_seen or parameters_seen else "SEALED",
            message,
            self._parameters(details) if parameters_seen else None,
        )

    def _parameters(self, details: ErrorDetails) -> tuple[tuple[str, str | None, str], ...]:
        shown = self._scope.views.get(_VALUE, View.DENIED) is not View.DENIED and self._keeps(_VALUE)
        return tuple(
            (
                name,
                self._value_text(parameter.value) if shown and parameter.value is not None else None,
                parameter.action.value,
            )
            for name, parameter in details.parameters.items()
        )

    def _keeps(self, field: str) -> bool:
        return self._scope.policy.action(field) is not Action.DROP


def _period(row: Row) -> str:
    """The day whose key the row's details are sealed with."""
    return row["occurred_at"].strftime("%Y-%m-%d")


def _is_clear(details: ErrorDetails, *, revealed_too: bool) -> bool:
    """Whether nothing is hidden: no rule fired, or what it took out is shown; every parameter as it came."""
    texts = [details.message or (), *(parameter.value or () for parameter in details.parameters.values())]
    hidden = [part for text in texts for part in text if not isinstance(part, str)]
    shown = all(part[1] is not None for part in hidden) if revealed_too else not hidden
    as_it_came = _COMPLETE_WHEN_REVEALED if revealed_too else {ParameterAction.KEPT}
    return shown and all(parameter.action in as_it_came for parameter in details.parameters.values())
