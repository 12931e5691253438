"""What every kind of key-encryption key must do, and the same asked of the real services where one is named."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keks import KINDS, KekHome, kek_home

from service.keyring import AccountKeyName, KekError, KeyringUnavailableError, open_keyring
from service.keyring.kek.factory import open_kek
from service.keyring.kek.protocol import UnwrapError
from service.keyring.kek.remote import PAUSE_S, KekUnavailableError, RemoteKek

SALT = bytes(16)
KEY = bytes(range(32))
REAL = {
    "aws": "CALLEDGER_TEST_AWS_KEY",  # arn:aws:kms:...:key/...
    "vault": "CALLEDGER_TEST_VAULT_URL",  # https://vault:8200/KEY, the token in VAULT_TOKEN
    "gcp": "CALLEDGER_TEST_GCP_KEY",  # projects/P/locations/L/keyRings/R/cryptoKeys/K
}


@pytest.fixture(params=[*KINDS, *(f"real {kind}" for kind, name in REAL.items() if os.environ.get(name))])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KekHome]:
    kind = request.param.removeprefix("real ")
    if kind == request.param:
        with kek_home(kind, tmp_path, monkeypatch) as home:
            yield home
        return
    yield KekHome(lambda: f"{kind}:{os.environ[REAL[kind]]}", is_remote=True)


@pytest.fixture(params=["aws", "vault", "gcp"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KekHome]:
    with kek_home(request.param, tmp_path, monkeypatch) as home:
        yield home


class TestContract:
    async def test_round_trip(self, home: KekHome) -> None:
        """What was wrapped unwraps to the same, also by a client opened later, and is not in the wrapped bytes."""
        url = home.new()
        wrapped = await (await open_kek(url, salt=SALT)).wrap(KEY, context=b"here")

        again = await open_kek(url, salt=SALT)

        assert await again.unwrap(wrapped, context=b"here") == KEY
        assert KEY[:8] not in wrapped

    async def test_bound_to_context(self, home: KekHome) -> None:
        """A wrapped key unwraps for its own context only."""
        kek = await open_kek(home.new(), salt=SALT)
        wrapped = await kek.wrap(KEY, context=b"here")

        for context in (b"there", b"her", b"here\0"):
            with pytest.raises(UnwrapError):
                await kek.unwrap(wrapped, context=context)

    async def test_altered(self, home: KekHome) -> None:
        """A wrapped key that was cut, lengthened or changed anywhere does not unwrap."""
        kek = await open_kek(home.new(), salt=SALT)
        wrapped = await kek.wrap(KEY, context=b"here")
        changed = [wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :] for at in (-1, -20, len(wrapped) // 2)]

        for wrong in (b"", b"\xff", wrapped[:-1], wrapped[: len(wrapped) // 2], *changed):
            with pytest.raises(UnwrapError):
                await kek.unwrap(wrong, context=b"here")

    async def test_rewrap(self, home: KekHome) -> None:
        """What is wrapped anew differs, holds the same key, and is still bound to its context."""
        kek = await open_kek(home.new(), salt=SALT)
        wrapped = await kek.wrap(KEY, context=b"here")

        again = await kek.rewrap(wrapped, context=b"here")

        assert again != wrapped
        assert await kek.unwrap(again, context=b"here") == KEY
        with pytest.raises(UnwrapError):
            await kek.unwrap(again, context=b"there")
        with pytest.raises(UnwrapError):
            await kek.rewrap(wrapped, context=b"there")

    async def test_many_at_once(self, home: KekHome) -> None:
        """Keys are wrapped and unwrapped side by side without being mixed up, and never to the same bytes twice."""
        kek = await open_kek(home.new(), salt=SALT)
        keys = [bytes([number]) * 32 for number in range(24)]

        wrapped = await asyncio.gather(*(kek.wrap(key, context=key[:1]) for key in keys))
        unwrapped = await asyncio.gather(
            *(kek.unwrap(content, context=key[:1]) for key, content in zip(keys, wrapped, strict=True))
        )

        assert unwrapped == keys
        assert len(set(wrapped)) == len(keys)

    async def test_keyring(self, home: KekHome, tmp_path: Path) -> None:
        """A keyring made under it opens again and gives the same keys."""
        url = home.new()
        ring = await open_keyring(f"file:{tmp_path / 'ring'}", url, create=True)
        key = await ring.key(AccountKeyName(42), mint=True)

        again = await open_keyring(f"file:{tmp_path / 'ring'}", url, create=False)

        assert await again.key(AccountKeyName(42), mint=False) == key
        assert await again.secret("signer") == await ring.secret("signer")


class TestOtherKeys:
    @pytest.fixture(params=KINDS)
    def home(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[KekHome]:
        with kek_home(request.param, tmp_path, monkeypatch) as home:
            yield home

    async def test_another_key(self, home: KekHome) -> None:
        """Another key of the same home never unwraps it; AWS may answer that we may not ask."""
        one, other = await open_kek(home.new(), salt=SALT), await open_kek(home.new(), salt=SALT)
        wrapped = await one.wrap(KEY, context=b"here")

        with pytest.raises((UnwrapError, KeyringUnavailableError)):
            await other.unwrap(wrapped, context=b"here")

    async def test_missing(self, home: KekHome, tmp_path: Path) -> None:
        """A key that does not exist is the operator's error, and leaves no keyring behind."""
        with pytest.raises(KekError):
            await open_keyring(f"file:{tmp_path / 'ring'}", home.missing, create=True)

        assert not (tmp_path / "ring").exists()


class TestAway:
    async def test_away_and_back(self, remote: KekHome, tmp_path: Path, clock: "Clock") -> None:
        """While its home is away, keys cannot be had and none is made; when it is back they can, the same as before."""
        ring_url, kek_url = f"file:{tmp_path / 'ring'}", remote.new()
        ring = await open_keyring(ring_url, kek_url, create=True)
        key = await ring.key(AccountKeyName(1), mint=True)
        remote.stop()

        assert await ring.key(AccountKeyName(1), mint=True) == key  # still in memory
        ring.forget()
        for number in (1, 2):
            with pytest.raises(KeyringUnavailableError):
                await ring.key(AccountKeyName(number), mint=True)
        later = await open_keyring(ring_url, kek_url, create=False)
        with pytest.raises(KeyringUnavailableError):
            await later.secret("pepper")

        remote.start()
        clock.now += PAUSE_S
        assert await ring.key(AccountKeyName(1), mint=False) == key
        assert await later.key(AccountKeyName(1), mint=False) == key
        assert (await ring.counts()).accounts.live == 1

    async def test_destroyed_while_away(self, remote: KekHome, tmp_path: Path) -> None:
        """Keys are destroyed on time though what wraps them is away."""
        ring_url, kek_url = f"file:{tmp_path / 'ring'}", remote.new()
        await (await open_keyring(ring_url, kek_url, create=True)).key(AccountKeyName(1), mint=True)
        remote.stop()

        ring = await open_keyring(ring_url, kek_url, create=False)

        assert await ring.destroy([AccountKeyName(1)]) == 1
        remote.start()

    async def test_not_made_while_away(self, remote: KekHome, tmp_path: Path) -> None:
        """A keyring is not made under a key that cannot be reached, and nothing is left behind."""
        url = remote.new()
        remote.stop()

        with pytest.raises(KeyringUnavailableError):
            await open_keyring(f"file:{tmp_path / 'ring'}", url, create=True)

        assert not (tmp_path / "ring").exists()
        remote.start()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the pauses after a failure go by."""
    clock = Clock()
    monkeypatch.setattr(RemoteKek.__init__, "__kwdefaults__", {"clock": clock})
    return clock


class _Outage(RemoteKek):
    """Away as long as `away` is set; counts how often it was asked."""

    away = True
    asked = 0

    def _wrap(self, key: bytes, context: bytes) -> bytes:
        self.asked += 1
        if self.away:
            raise KekUnavailableError("nobody there")
        return context + key

    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self._wrap(wrapped, context)


async def test_outage_costs_one_wait() -> None:
    """After a failure nobody asks for a while; then one asks, and all goes on."""
    clock = Clock()
    kek = _Outage("a key", clock=clock)
    for _ in range(50):
        with pytest.raises(KeyringUnavailableError, match="nobody there"):
            await kek.wrap(KEY, context=b"")
    assert kek.asked == 1

    kek.away = False
    with pytest.raises(KeyringUnavailableError):
        await kek.wrap(KEY, context=b"")
    clock.now += PAUSE_S

    assert await kek.wrap(KEY, context=b"") == KEY


async def test_vault_key_that_binds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of Vault that is not derived ignores the context: it is refused before anything is wrapped by it."""
    from vault_server import TOKEN, TransitKey, VaultServer

    server = VaultServer()
    server.keys["plain"] = TransitKey(derived=False)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    try:
        with pytest.raises(KekError, match="derived=true"):
            await open_keyring(f"file:{tmp_path / 'ring'}", f"vault:{server.url}/plain", create=True)
    finally:
        server.stop()


async def test_vault_says_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A sealed Vault and a refused token are outages; a renewed token is taken up without a restart."""
    from vault_server import TOKEN, TransitKey, VaultServer

    server = VaultServer()
    server.keys["k"] = TransitKey()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    try:
        kek = await open_kek(f"vault:{server.url}/k", salt=SALT)
        server.sealed = True
        with pytest.raises(KeyringUnavailableError):
            await kek.wrap(KEY, context=b"c")
        server.sealed, server.token = False, "hvs.renewed"
        monkeypatch.setenv("VAULT_TOKEN", server.token)
        clock.now += PAUSE_S
        with pytest.raises(KeyringUnavailableError) as caught:
            await kek.wrap(KEY, context=b"c")
        clock.now += PAUSE_S
        assert await kek.unwrap(await kek.wrap(KEY, context=b"c"), context=b"c") == KEY
        assert TOKEN not in str(caught.value)
    finally:
        server.stop()


async def test_vault_newer_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewrapping moves a key to the newest version inside Vault, so that the old version can be trimmed."""
    from vault_server import TOKEN, TransitKey, VaultServer

    server = VaultServer()
    server.keys["k"] = TransitKey()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    try:
        kek = await open_kek(f"vault:{server.url}/k", salt=SALT)
        wrapped = await kek.wrap(KEY, context=b"c")
        server.keys["k"].versions.append(os.urandom(32))

        again = await kek.rewrap(wrapped, context=b"c")
        server.keys["k"].versions[0] = bytes(32)

        assert (wrapped[:9], again[:9]) == (b"vault:v1:", b"vault:v2:")
        assert await kek.unwrap(again, context=b"c") == KEY
    finally:
        server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "aws:",
        "aws:alias/calledger",
        "aws:arn:aws:kms:eu-west-1:123456789012:alias/calledger",
        "aws:arn:aws:s3:::bucket",
        "aws:arn:aws:kms:eu-west-1:123456789012:key/x\n",
        "vault:",
        "vault:vault.example/k",
        "vault:https://vault.example",
        "vault:https://token:secret@vault.example/k",
        "vault:https://vault.example/k?x=y",
        "vault:https://vault.example:port/k",
        "gcp:",
        "gcp:k",
        "gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
    ],
)
async def test_no_address(url: str) -> None:
    """What is no key's address is the operator's error, and a password in it is not repeated."""
    with pytest.raises(KekError) as caught:
        await open_kek(url, salt=SALT)

    assert "secret" not in str(caught.value)


async def test_unencrypted_elsewhere() -> None:
    """Vault and Google's KMS are asked without encryption on this host only: keys and token would be in the open."""
    with pytest.raises(KekError, match="this host only"):
        await open_kek("vault:http://vault.example:8200/k", salt=SALT)
    name = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    kek = await open_kek(f"gcp:http://kms.example:80/{name}", salt=SALT)

    with pytest.raises(KekError, match="this host only"):
        await kek.wrap(KEY, context=b"")


@pytest.mark.parametrize(
    ("package", "extra", "url"),
    [
        ("botocore", "aws", "aws:arn:aws:kms:eu-west-1:123456789012:key/1"),
        ("hvac", "vault", "vault:https://vault.example/k"),
        ("google", "gcp", "gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k"),
    ],
)
def test_package_missing(package: str, extra: str, url: str) -> None:
    """Without its package, a kind of key says which extra to install; the others work without it."""
    program = (
        f"import asyncio, sys; sys.modules[{package!r}] = None\n"
        "from service.keyring.kek.factory import open_kek\n"
        f"asyncio.run(open_kek({url!r}, salt=bytes(16)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)

    assert f"calledger[{extra}]" in done.stderr.splitlines()[-1]


def test_loaded_when_used() -> None:
    """A service whose keys are files loads none of the optional packages."""
    program = (
        "import sys, service.keyring\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('boto3', 'botocore', 'hvac', 'grpc')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"
