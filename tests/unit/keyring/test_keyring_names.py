"""Names of keys."""

import pytest

from service.keyring.names import AccountKeyName, PeriodKeyName, parse_name


@pytest.mark.parametrize(
    "name",
    [
        PeriodKeyName(0, "personal", "2026-11-22"),
        PeriodKeyName(32767, "personal_2", "2026-11"),
        AccountKeyName(0),
        AccountKeyName(2**31 - 1),
    ],
)
def test_round_trip(name: PeriodKeyName | AccountKeyName) -> None:
    """A name reads back as it prints."""
    assert parse_name(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "period",
        "period/1/personal",
        "period/-1/personal/2026-11-22",
        "period/01/personal/2026-11-22",
        "period/1/../2026-11-22",
        "period/1/personal/..",
        "period/1/personal/2026-11-22/..",
        "period/1/personal/2026-11-22\n",
        "period/1/Personal/2026-11-22",
        "period/1/personal/٢٠٢٦-11-22",
        "period/1/personal/2026-11-00",  # would lie where the month's key does
        "period/1/personal/2026-11-32",
        "period/1/personal/2026-13",
        "account/",
        "account/-1",
        "account/007",
        "account/1/../../secrets/signer",
        "account/1 2026",
        "secret/pepper",
        "../account/1",
        "/account/1",
    ],
)
def test_refuses(text: str) -> None:
    """What is no key's name, a way out of the directory above all, is refused."""
    with pytest.raises(ValueError, match="no key is named"):
        parse_name(text)
