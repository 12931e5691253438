"""From a predicate to SQL: text from our own names, values as bound parameters.

A comparison is null where a value was not reported. `Not` and the negative operators therefore ask for "is not true",
which makes them complements. Text compares by code point, since every column is COLLATE "C" and UTF-8 keeps that order.
"""
# ruff: noqa: S608 - every piece is a constant of `fields.py` or a placeholder of `params.py`

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from policies import pseudonym
from policies.retention import period_bounds
from service.query.model.errors import BadInputError
from service.query.model.field import FieldKind, Filterable
from service.query.model.parameters import Params, storable
from service.query.model.predicate import And, Compare, Not, Operator, Or, Predicate, TagMatch, conjuncts, operands
from service.storage.ids import IdError, decode_call_id, decode_error_id

FALSE: Final = "false"
TRUE: Final = "true"
_ORDER: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@dataclass(frozen=True, slots=True)
class UserTokens:
    """The tokens of one user by tier: (from, to, accounts, tokens), the two lists in step. Made by `users.py`."""

    by_tier: Mapping[int, tuple[tuple[datetime, datetime, tuple[int, ...], tuple[int, ...]], ...]]


@dataclass(frozen=True, slots=True)
class Branch:
    """What a predicate means inside one tier.

    `readable` says what hashed values are older than that are not there any more; few predicates ask. `names`:
    accounts by name. `users`: the tokens of each plain id that the predicate names. `tag_keys`: the tags that may be
    asked about. `tag_value`: the column of the value where each row is of one tag; empty where rows are of calls that
    do not carry it.
    """

    tier: int
    readable: Callable[[], datetime]
    names: Mapping[str, int]
    users: Mapping[str, UserTokens]
    tag_keys: Collection[str]
    tag_value: str | None = None


class Where:
    """Renders predicates over one table's filters for one branch into one statement's parameters."""

    def __init__(self, filters: Mapping[str, Filterable], params: Params, branch: Branch) -> None:
        self._filters = filters
        self._params = params
        self._branch = branch

    def render(self, predicate: Predicate) -> str:
        """A boolean expression; null counts as false. BadInputError for a value that no field of its kind can have."""
        match predicate:
            case And(parts):
                return " AND ".join(f"({self.render(part)})" for part in parts) or TRUE
            case Or(parts):
                return " OR ".join(f"({self.render(part)})" for part in parts) or FALSE
            case Not(part):
                return f"({self.render(part)}) IS NOT TRUE"
            case TagMatch():
                return self._tag(predicate)
            case Compare():
                field = self._filters.get(predicate.field)
                if field is None:
                    raise BadInputError("there is no such field to filter by")
                return _RENDERERS[field.kind](self, field.sql, predicate)

    def _tag(self, match: TagMatch) -> str:
        # Older rows may hold a tag that is no longer listed: it matches no filter.
        if match.key not in self._branch.tag_keys or not storable(match.key):
            return FALSE
        if self._branch.tag_value is not None:
            of_value = [f"({self.text(self._branch.tag_value, one)})" for one in match.conditions]
            return " AND ".join(of_value) or TRUE if self._branch.tag_value else FALSE
        key = self._params.bind(match.key, "text")
        value = f'(tags ->> {key}) COLLATE "C"'
        conditions = [f"({self.text(value, condition)})" for condition in match.conditions]
        return " AND ".join([f"jsonb_exists(tags, {key})", *conditions])

    def text(self, sql: str, compare: Compare) -> str:
        """Also for the elements of a list and the values of tags."""
        value = compare.value
        match compare.operator:
            case "isNull":
                return _is_null(sql, value)
            case "in" | "notIn":
                values = tuple(item for item in cast("tuple[str, ...]", value) if storable(item))
                return self._one_of(sql, compare, values, "text")
            case "eq" | "ne":
                return self._equal(sql, compare, "text") if storable(str(value)) else _never(compare)
            case "contains":
                if not storable(str(value)):
                    return _never(compare)
                return f"strpos({sql}, {self._params.bind(value, 'text')}) > 0"
            case "startsWith":
                if not storable(str(value)):
                    return _never(compare)
                return f"starts_with({sql}, {self._params.bind(value, 'text')})"
            case _:
                raise BadInputError("text has no such comparison")

    def number(self, sql: str, compare: Compare, type_: str) -> str:
        """The comparison of a number or a moment of the SQL type `type_`; `sql` is what is compared."""
        match compare.operator:
            case "isNull":
                return _is_null(sql, compare.value)
            case "in" | "notIn":
                return self._one_of(sql, compare, cast("tuple[object, ...]", compare.value), type_)
            case "eq" | "ne":
                return self._equal(sql, compare, type_)
            case "lt" | "lte" | "gt" | "gte":
                return f"{sql} {_ORDER[compare.operator]} {self._params.bind(compare.value, type_)}"
            case _:
                raise BadInputError("numbers have no such comparison")

    def status(self, sql: str, compare: Compare) -> str:
        """The comparison of `CallStatus` with the boolean `sql`, which is true for a failed call."""
        flags = tuple(sorted({item == "FAILED" for item in operands(compare)}))
        # Most ask for one of the two, and an array takes the driver longer than all other parameters of a page.
        positive = (
            f"{sql} = {self._params.bind(flags[0], 'boolean')}"
            if len(flags) == 1
            else f"{sql} = ANY ({self._params.bind(flags, 'boolean[]')})"
        )
        return f"NOT ({positive})" if compare.operator in ("ne", "notIn") else positive

    def ids(self, compare: Compare, *, errors: bool) -> str:
        """The condition that the row is one of these calls or errors. Raises BadInputError for what is no id."""
        matches = [self._id(cast("str", value), errors=errors) for value in operands(compare)]
        return " OR ".join(f"({match})" for match in matches) or FALSE

    def _id(self, text: str, *, errors: bool) -> str:
        try:
            error = decode_error_id(text) if errors else None
            call = error.call if error is not None else decode_call_id(text)
        except (IdError, OverflowError):
            raise BadInputError(f"`{text[:60]}` is not an id of {'an error' if errors else 'a call'}") from None
        if call.account_id >= 2**31:
            return FALSE
        bind = self._params.bind
        time, moment = ("occurred_at", error.occurred_at) if error is not None else ("started_at", call.started_at)
        return (
            f"id = {bind(str(call.uuid), 'uuid')} AND account_id = {bind(call.account_id, 'integer')} "
            f"AND {time} = {bind(moment, 'timestamptz')}"
        )

    def fingerprint(self, sql: str, compare: Compare) -> str:
        """The condition that `sql`, a signed 64-bit integer, is one of these fingerprints."""
        numbers = tuple(parse_fingerprint(cast("str", value)) for value in operands(compare))
        return f"{sql} = ANY ({self._params.bind(numbers, 'bigint[]')})"

    def account(self, sql: str, compare: Compare) -> str:
        """The comparison of an account's name: names are compared here, and the database gets account ids."""
        positive = positive_of(compare)
        numbers = tuple(sorted(accounts_matching(self._branch.names, positive)))
        found = f"{sql} = ANY ({self._params.bind(numbers, 'integer[]')})"
        return found if positive.operator == compare.operator else f"NOT ({found})"

    def user(self, sql: str, compare: Compare) -> str:
        """The comparison of a user's token, true only while pseudonyms of the row can be read."""
        readable = f"started_at >= {self._params.bind(self._branch.readable(), 'timestamptz')} AND {sql} IS NOT NULL"
        match compare.operator:
            case "isNull":
                return f"NOT ({readable})" if compare.value else readable
            case "in":
                matches = [self._pseudonym(sql, text) for text in cast("tuple[str, ...]", compare.value)]
            case _:
                matches = self._plain_user(sql, cast("str", compare.value))
        return f"{readable} AND ({' OR '.join(f'({match})' for match in matches) or FALSE})"

    def _pseudonym(self, sql: str, text: str) -> str:
        try:
            token, period = pseudonym.parse(text)
            start, end = period_bounds(period)
        except (pseudonym.PseudonymError, ValueError, OverflowError):
            raise BadInputError(f"`{text[:40]}` is not a pseudonym that this ledger gave out") from None
        return f"{sql} = {self._params.bind(token, 'bigint')} AND {self._between(start, end)}"

    def _plain_user(self, sql: str, user: str) -> list[str]:
        periods = self._branch.users[user].by_tier.get(self._branch.tier, ())
        bind = self._params.bind
        return [
            f"{self._between(start, end)} AND (account_id, {sql}) IN "
            f"(SELECT * FROM unnest({bind(accounts, 'integer[]')}, {bind(tokens, 'bigint[]')}))"
            for start, end, accounts, tokens in periods
        ]

    def _between(self, start: datetime, end: datetime) -> str:
        bind = self._params.bind
        return f"started_at >= {bind(start, 'timestamptz')} AND started_at < {bind(end, 'timestamptz')}"

    def rules(self, sql: str, compare: Compare) -> str:
        """The condition that any of the redaction rules in the array `sql` compares; a negation: that none does."""
        if compare.operator == "isNull":
            return f"cardinality({sql}) = 0" if compare.value else f"cardinality({sql}) > 0"
        positive = positive_of(compare)
        some = f"EXISTS (SELECT 1 FROM unnest({sql}) AS rule WHERE {self.text('rule', positive)})"
        return some if positive.operator == compare.operator else f"NOT {some}"

    def flag(self, sql: str, compare: Compare) -> str:
        """The comparison of the boolean `sql`."""
        if compare.operator == "isNull":
            return _is_null(sql, compare.value)
        return self._equal(sql, compare, "boolean")

    def _equal(self, sql: str, compare: Compare, type_: str) -> str:
        operator = "=" if compare.operator == "eq" else "IS DISTINCT FROM"
        return f"{sql} {operator} {self._params.bind(compare.value, type_)}"

    def _one_of(self, sql: str, compare: Compare, values: tuple[object, ...], type_: str) -> str:
        found = f"{sql} = ANY ({self._params.bind(values, f'{type_}[]')})"
        return found if compare.operator == "in" else f"({found}) IS NOT TRUE"


def _never(compare: Compare) -> str:
    """What a text that nothing can equal is compared to."""
    return TRUE if compare.operator == "ne" else FALSE


def positive_of(compare: Compare) -> Compare:
    """The comparison that `ne` and `notIn` are the complement of; any other is its own."""
    positive: dict[str, Operator] = {"ne": "eq", "notIn": "in"}
    return Compare(compare.field, positive.get(compare.operator, compare.operator), compare.value)


def _is_null(sql: str, value: object) -> str:
    return f"{sql} IS NULL" if value else f"{sql} IS NOT NULL"


def parse_fingerprint(text: str) -> int:
    """The stored 64-bit integer of an outward fingerprint of 16 hexadecimal digits. Raises BadInputError."""
    if len(text) != 16 or any(character not in "0123456789abcdef" for character in text):
        raise BadInputError(f"`{text[:40]}` is not a fingerprint")
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)


def fingerprint_text(number: int) -> str:
    """A fingerprint as 16 hexadecimal digits, from a signed 64-bit integer."""
    return number.to_bytes(8, "big", signed=True).hex()


def accounts_matching(names: Mapping[str, int], compare: Compare) -> set[int]:
    """Ids of the accounts whose names satisfy a comparison of text."""
    match compare.operator:
        case "eq":
            return {names[name] for name in [cast("str", compare.value)] if name in names}
        case "in":
            return {names[name] for name in cast("tuple[str, ...]", compare.value) if name in names}
        case _:
            return {account_id for name, account_id in names.items() if text_matches(name, compare)}


def text_matches(text: str, compare: Compare) -> bool:
    """What `Where.text` means, for names that are known here."""
    value = cast("str", compare.value)
    match compare.operator:
        case "eq":
            return text == value
        case "ne":
            return text != value
        case "in":
            return text in cast("tuple[str, ...]", compare.value)
        case "notIn":
            return text not in cast("tuple[str, ...]", compare.value)
        case "contains":
            return value in text
        case "startsWith":
            return text.startswith(value)
        case "isNull":
            return not compare.value
        case _:
            raise BadInputError("text has no such comparison")


_Renderer = Callable[[Where, str, Compare], str]
_RENDERERS: Final[Mapping[FieldKind, _Renderer]] = {
    FieldKind.TEXT: Where.text,
    FieldKind.REASON: Where.text,
    FieldKind.AMOUNT_SOURCE: Where.text,
    FieldKind.INTEGER: lambda where, sql, compare: where.number(sql, compare, "bigint"),
    FieldKind.TOKEN_SUM: lambda where, sql, compare: where.number(sql, compare, "bigint"),
    FieldKind.DECIMAL: lambda where, sql, compare: where.number(sql, compare, "numeric"),
    FieldKind.REAL: lambda where, sql, compare: where.number(sql, compare, "double precision"),
    FieldKind.MOMENT: lambda where, sql, compare: where.number(sql, compare, "timestamptz"),
    FieldKind.FLAG: Where.flag,
    FieldKind.STATUS: Where.status,
    FieldKind.CALL_ID: lambda where, _, compare: where.ids(compare, errors=False),
    FieldKind.ERROR_ID: lambda where, _, compare: where.ids(compare, errors=True),
    FieldKind.FINGERPRINT: Where.fingerprint,
    FieldKind.ACCOUNT: Where.account,
    FieldKind.USER: Where.user,
    FieldKind.RULES: Where.rules,
}


_AS_GIVEN: Final = frozenset(
    (FieldKind.TEXT, FieldKind.INTEGER, FieldKind.TOKEN_SUM, FieldKind.DECIMAL, FieldKind.REAL, FieldKind.MOMENT)
)
_WITH_ONE_VALUE: Final = frozenset(("eq", "ne", "lt", "lte", "gt", "gte", "contains", "startsWith"))


def form_and_values(
    filters: Mapping[str, Filterable], predicate: Predicate
) -> tuple[Hashable, Sequence[object]] | None:
    """What the SQL of a predicate depends on, and what `Where` binds for it, in order. None where it is not as simple
    as that: for anything but comparisons with one value each, all of which hold.
    """
    form: list[tuple[str, Operator]] = []
    values: list[object] = []
    for part in conjuncts(predicate):
        if not isinstance(part, Compare) or part.operator not in _WITH_ONE_VALUE or part.field not in filters:
            return None
        kind, value = filters[part.field].kind, part.value
        if kind is FieldKind.STATUS:
            value = value == "FAILED"
        elif value is None or kind not in _AS_GIVEN or (isinstance(value, str) and not storable(value)):
            return None
        form.append((part.field, part.operator))
        values.append(value)
    return tuple(form), values


def check_amounts(predicate: Predicate, *, currency_given: bool = False) -> None:
    """Refuse to compare amounts unless one currency is given: two currencies are never compared."""
    match predicate:
        case Compare(field="amount", operator=operator) if operator != "isNull" and not currency_given:
            raise BadInputError("a filter by `amount` compares within one currency: add `currency: {eq: ...}`")
        case Not(part):
            check_amounts(part, currency_given=currency_given)
        case And(parts):
            given = currency_given or single_currency(predicate) is not None
            for part in parts:
                check_amounts(part, currency_given=given)
        case Or(parts):
            for part in parts:
                check_amounts(part, currency_given=currency_given)
        case _:
            pass


def single_currency(predicate: Predicate) -> str | None:
    """The currency that every match has, or None."""
    for part in conjuncts(predicate):
        if isinstance(part, Compare) and part.field == "currency" and part.operator == "eq":
            return cast("str", part.value)
    return None
