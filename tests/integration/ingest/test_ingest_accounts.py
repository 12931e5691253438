"""Which account a reported call is of."""

from ingesting import ACCEPTED, REJECTED, Ingest, call, statuses

from policies import Role
from service.access.principal import Principal


async def bound(ingest: Ingest, *names: str) -> Principal:
    numbers = await ingest.accounts.ensure(names)
    return Principal("boundkey", Role.INGEST, tuple(numbers[name] for name in names))


async def account_names(ingest: Ingest) -> dict[str, str]:
    return dict(await ingest.fetch("SELECT source_id, name FROM call JOIN account ON account.id = account_id"))


async def test_account_comes_from_a_key_that_is_bound_to_one(ingest: Ingest) -> None:
    """A key bound to one account needs no account in the report, takes its own name, and no other."""
    key = await bound(ingest, "acme")
    await ingest.accounts.ensure(["umbrella"])

    verdicts = await ingest.report(
        call("a"), call("b", account="acme"), call("c", account="umbrella"), call("d", account="new"), principal=key
    )

    assert statuses(verdicts) == [ACCEPTED, ACCEPTED, REJECTED, REJECTED]
    assert verdicts[2].reason == verdicts[3].reason
    assert await account_names(ingest) == {"a": "acme", "b": "acme"}
    assert await ingest.accounts.find("new") is None


async def test_key_bound_to_several_accounts_must_name_one(ingest: Ingest) -> None:
    """With several accounts the report says which."""
    key = await bound(ingest, "acme", "umbrella")

    verdicts = await ingest.report(call("a"), call("b", account="umbrella"), principal=key)

    assert statuses(verdicts) == [REJECTED, ACCEPTED]
    assert await account_names(ingest) == {"b": "umbrella"}


async def test_unbound_key_makes_accounts(ingest: Ingest) -> None:
    """Without an account the report belongs to `default`; a new name becomes a new account."""
    await ingest.report(call("a"), call("b", account="brand-new"))

    assert await account_names(ingest) == {"a": "default", "b": "brand-new"}


async def test_account_that_looks_like_personal_data_is_no_account(ingest: Ingest) -> None:
    """Two accounts whose names would be masked alike must never become one."""
    verdicts = await ingest.report(call("a", account="bob@example.com"), call("b", account="eve@example.com"))

    assert statuses(verdicts) == [REJECTED, REJECTED]
    assert await ingest.value("SELECT count(*) FROM account WHERE name LIKE '%@%' OR name LIKE '%redacted%'") == 0
