"""Webhooks, without a database: signatures as a receiver checks them, addresses that are refused, when to try again."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from yarl import URL

from service.delivery.attempts import GIVE_UP, LONGEST_S, failures_since, is_over, pause_before_next
from service.delivery.spikes import Counts, is_spike
from service.errors import RequestError
from service.settings import Settings
from service.webhooks.addresses import AddressGuard, AddressRefusedError, shown
from service.webhooks.signatures import SECRETS_MAX, SigningSecret, new_secret, rotated, signed_headers

NOW = datetime.now(UTC)
BODY = b'{"type":"calls.recorded","data":{}}'


def verified(secret: SigningSecret, headers: dict[str, str], body: bytes = BODY) -> bool:
    try:
        Webhook(secret.text).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_library_of_receivers_accepts_a_signature_and_nothing_that_was_changed() -> None:
    """The `standardwebhooks` package verifies what we sign; another body, id, moment or secret fails."""
    secret, now = new_secret(), datetime.now(UTC)  # receivers accept five minutes
    headers = dict(signed_headers("msg_1", now, BODY, [secret]))

    assert verified(secret, headers)
    assert not verified(secret, headers, BODY + b" ")
    assert not verified(secret, {**headers, "webhook-id": "msg_2"})
    assert not verified(secret, {**headers, "webhook-timestamp": str(int(now.timestamp()) + 1)})
    assert not verified(new_secret(), headers)


def test_a_replaced_secret_signs_along_until_its_overlap_ends() -> None:
    """During the overlap a receiver with either secret accepts; after it only the new one."""
    old, new, now = new_secret(), new_secret(), datetime.now(UTC)
    both = rotated([old], new, now, now + timedelta(hours=1))

    during, after = (dict(signed_headers("m", now + timedelta(minutes=late), BODY, both)) for late in (0, 61))
    assert len(during["webhook-signature"].split()) == 2
    assert verified(old, during)
    assert verified(new, during)
    assert len(after["webhook-signature"].split()) == 1
    assert not verified(old, {**after, "webhook-timestamp": during["webhook-timestamp"]})


def test_rotating_again_and_again_keeps_a_bounded_number_of_secrets() -> None:
    """However often it is rotated, few secrets sign, the newest first, and no overlap grows longer by it."""
    secrets = [new_secret()]
    for _ in range(10):
        secrets = rotated(secrets, new_secret(), NOW, NOW + timedelta(hours=5))
    assert len(secrets) == SECRETS_MAX
    assert [one.ends_at for one in secrets] == [None, *[NOW + timedelta(hours=5)] * (SECRETS_MAX - 1)]

    shorter = rotated(secrets, new_secret(), NOW, NOW + timedelta(hours=1))
    assert {one.ends_at for one in shorter[1:]} == {NOW + timedelta(hours=1)}
    assert len(rotated(secrets, new_secret(), NOW, NOW)) == 1


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.9.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3"),
        *("192.0.0.192", "198.18.0.1", "203.0.113.5", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::1"),
        *("100::1", "3fff::1", "5f00::1", "4000::1", "not an address", ""),
    ],
)
def test_addresses_that_are_not_public_are_refused_however_they_are_written(address: str) -> None:
    """Private, loopback, link-local, metadata and reserved addresses, of IPv4, IPv6, mapped, NAT64 and 6to4."""
    assert not AddressGuard().allows(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    """Also those that a NAT64 or 6to4 network writes otherwise."""
    assert AddressGuard().allows(address)


def test_a_setting_allows_a_network_and_nothing_beside_it() -> None:
    """10.1.0.0/16 says nothing of 10.2.0.0/16, and covers its addresses as they are mapped into IPv6."""
    guard = AddressGuard(Settings(webhook_networks="10.1.0.0/16, fd00::/8").networks)
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("fd00::1")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.com/", "ftp://hooks.example.com/", "https://", "https:///path", "hooks.example.com"),
        *("https://user:hunter2@hooks.example.com/", "https://hooks.example.com/#part", "https://hooks.example.com:0/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://hooks.example.com:99999/"),
        *("https://a b/", "https://hooks.example.com/\n", "https://hooks.example.com/\u00e9", "https://[::1", ""),
        "https://hooks.example.com/" + "a" * 2_000,
    ],
)
def test_urls_that_are_refused_are_not_repeated(url: str) -> None:
    """The answer says what is wrong and repeats no part of the address, which may be a credential."""
    with pytest.raises(RequestError) as raised:
        AddressGuard().checked_url(url)
    assert "hunter2" not in str(raised.value)
    assert "hooks.example.com/calledger" in str(raised.value) or "hooks.example.com" not in str(raised.value)


def test_http_is_for_who_allows_it() -> None:
    """Without TLS only where a setting says so; the address is checked all the same."""
    guard = AddressGuard(http=True)
    assert guard.checked_url("http://hooks.example.com/").host == "hooks.example.com"
    with pytest.raises(AddressRefusedError):
        guard.checked_url("http://127.0.0.1/")


def test_what_is_shown_of_a_url_leaves_out_its_path() -> None:
    """The path of a chat's webhook is a credential: only scheme, host and port are shown."""
    assert (
        shown(URL("https://hooks.example.com:8443/services/T0/B0/hunter2?key=1"))
        == "https://hooks.example.com:8443/..."
    )
    assert shown(URL("https://hooks.example.com")) == "https://hooks.example.com/"


def test_pauses_double_and_are_spread_up_to_three_days() -> None:
    """Each pause is about twice the one before, up to a longest one; after three days it is given up."""
    middle = [pause_before_next(number, 0.5).total_seconds() for number in range(1, 40)]
    assert middle[:4] == [5, 10, 20, 40]
    assert max(middle) == LONGEST_S
    assert pause_before_next(3, 0.0) < pause_before_next(3, 1.0)

    passed, attempts = timedelta(), 0
    while not is_over(NOW, NOW + passed):
        attempts += 1
        passed += pause_before_next(attempts, 0.5)
    assert GIVE_UP <= passed < GIVE_UP + timedelta(seconds=LONGEST_S)
    assert 15 < attempts < 40


def test_deaths_of_ours_are_hardly_failures_of_the_receiver() -> None:
    """An attempt without an end adds next to nothing to the pause; those from before a replay add nothing at all."""
    earlier, killed = {"at": (NOW - timedelta(hours=1)).isoformat()}, {"at": NOW.isoformat()}
    answered = {**killed, "ms": 3, "status": 500, "failure": "answered 500"}
    assert failures_since(NOW, [earlier] * 99) == failures_since(NOW, [killed] * 7) == 0
    assert failures_since(NOW, [killed] * 7 + [answered] * 2) == 2
    assert pause_before_next(failures_since(NOW, [killed] * 400), 0.5).total_seconds() == LONGEST_S


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (Counts(100, 30), Counts(700, 7), True),
        (Counts(100, 100), Counts(700, 0), True),
        (Counts(100, 9), Counts(700, 0), False),  # too few to say
        (Counts(100, 30), Counts(40, 0), False),  # nothing to compare with
        (Counts(100, 30), Counts(700, 140), False),  # less than twice the rate
        (Counts(40, 12), Counts(60, 9), False),  # twice the rate, by chance
        (Counts(0, 0), Counts(700, 7), False),
    ],
)
def test_a_spike_is_much_and_no_chance(now: Counts, before: Counts, expected: bool) -> None:
    """It takes many errors, twice the rate of before, and more than chance explains."""
    assert is_spike(now, before) is expected
