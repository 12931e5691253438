"""Every setting of the service. Each is read from the environment as `CALLEDGER_<NAME>`."""

import re
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import platformdirs
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import OperatorError

PREFIX = "CALLEDGER_"
DEFAULT_PORT = 8790
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_PORT: Final = r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])" + _PORT)


def _default_data() -> Path:
    return Path(platformdirs.user_data_dir("calledger", appauthor=False))


def checked_origins(text: str | None) -> str | None:
    """A list of origins as it was given. Raises ValueError for whatever no browser sends as an `Origin` (RFC 6454)."""
    for origin in _listed(text or ""):
        if _ORIGIN.fullmatch(origin) is None or origin.endswith(_DEFAULT_PORTS[origin.partition(":")[0]]):
            shown = "what is given" if "@" in origin else f"`{origin[:200]}`"  # a user may come with a password
            advice = "a wildcard would let any page ask" if "*" in origin else "without `/`, path or default port"
            raise ValueError(
                f"{shown} is no origin: write scheme, host and port in lower case, as a browser sends them, such as "
                f"`https://app.example.com` or `http://localhost:5173`; {advice}"
            )
    return text


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def checked_networks(text: str | None) -> str | None:
    """A list of networks as it was given. Raises ValueError for what is none in CIDR notation (RFC 4632)."""
    for network in _listed(text or ""):
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"`{network[:60]}` is no network such as `10.1.0.0/16` or `fd00::/8` ({error})") from None
    return text


PRICE_SOURCES: Final = ("own", "shipped", "genai-prices")


def checked_price_sources(text: str) -> str:
    """Names of price lists as they were given. Raises ValueError for one that is none, or given twice."""
    names = _listed(text)
    wrong = [name for name in names if name not in PRICE_SOURCES or names.count(name) > 1]
    if wrong or not names:
        shown = f"`{wrong[0][:60]}`" if wrong else "nothing"
        raise ValueError(f"{shown} is no list of prices: write {', '.join(PRICE_SOURCES)}, or some of them, each once")
    return text


@dataclass(frozen=True, slots=True)
class NightlyTime:
    """A time of each day, by the clock of a time zone."""

    time: time
    zone: ZoneInfo


def nightly_time(text: str) -> NightlyTime:
    """`03:30`, or `03:30 Asia/Shanghai`. Raises ValueError."""
    clock, _, zone = text.strip().partition(" ")
    try:
        if len(clock) != len("03:30"):
            raise ValueError
        return NightlyTime(time.fromisoformat(clock), ZoneInfo(zone.strip() or "UTC"))
    except (ValueError, ZoneInfoNotFoundError, OSError):
        raise ValueError(f"`{text[:60]}` is no time of day such as `03:30` or `03:30 Asia/Shanghai`") from None


def checked_nightly_time(text: str | None) -> str | None:
    """A time of day as it was given. Raises ValueError for what is none."""
    if text:
        nightly_time(text)
    return text


class Settings(BaseSettings):
    """The settings of an operator. Units are last in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    data: Annotated[Path, Field(description="folder of the embedded database, the keyring and the admin key")] = Field(
        default_factory=_default_data
    )
    database_url: Annotated[
        str | None,
        Field(
            description="a PostgreSQL (15 or later) to use instead of our own; of several hosts, between commas, the "
            "first that answers when the service starts"
        ),
    ] = None
    replica_url: Annotated[
        str | None,
        Field(
            description="a streaming replica of CALLEDGER_DATABASE_URL that answers queries as far as it has caught up"
        ),
    ] = None
    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port to listen on; 0 takes a free one")] = DEFAULT_PORT
    workers: Annotated[int, Field(ge=1, le=64, description="processes that share the port")] = 1
    policy: Annotated[Path | None, Field(description="policy file; refused when it differs from the one applied")] = (
        None
    )
    prices: Annotated[
        Path | None,
        Field(description="price list of your own (`own`) for calls that come without an amount"),
    ] = None
    price_sources: Annotated[
        str,
        AfterValidator(checked_price_sources),
        Field(
            description="price lists in the order in which they are asked, by commas: `own`, `shipped`, and "
            "`genai-prices`, which wants the extra `prices`"
        ),
    ] = "own,shipped"

    @property
    def price_lists(self) -> tuple[str, ...]:
        """The names in CALLEDGER_PRICE_SOURCES."""
        return _listed(self.price_sources)

    reconcile_tolerance: Annotated[
        Decimal,
        Field(ge=0, lt=1, description="share of an amount by which `calledger reconcile` lets two sides differ"),
    ] = Decimal("0.001")
    reconcile_at: Annotated[
        str | None,
        AfterValidator(checked_nightly_time),
        Field(
            description="time of day at which `serve` compares sources with what is recorded, such as `03:30` (UTC) or "
            "`03:30 Asia/Shanghai`, whose days are then compared; by default never"
        ),
    ] = None

    @property
    def reconcile_time(self) -> NightlyTime | None:
        """What CALLEDGER_RECONCILE_AT says."""
        return None if self.reconcile_at is None else nightly_time(self.reconcile_at)

    keyring: Annotated[
        str | None, Field(description="where data keys live: `file:DIR` or `postgres:URL`; by default `DATA/keyring`")
    ] = None
    kek: Annotated[
        str | None,
        Field(
            description="what wraps the keyring: `file:PATH`, `aws:KEY_ARN`, `vault:ADDRESS/KEY` or `gcp:RESOURCE`; "
            "by default `DATA/kek`"
        ),
    ] = None
    start_without_kek: Annotated[
        bool,
        Field(
            description="start although CALLEDGER_KEK is not the key that the keyring was made with: what is sealed "
            "stays closed, and details of failed calls are lost meanwhile"
        ),
    ] = False
    keyring_backup_days: Annotated[
        int, Field(ge=0, description="days until a destroyed key has left the keyring's backups, as you declare")
    ] = 0
    purge_delay: Annotated[
        int, Field(ge=0, description="hours that destruction by a change of policy waits, unless its plan is named")
    ] = 72
    cold_days: Annotated[
        int,
        Field(
            ge=0,
            description="days after their end that partitions of calls move to files (35 or more, with the extra "
            "`parquet`); 0: never",
        ),
    ] = 0
    cold: Annotated[
        str | None,
        Field(
            description="where files of calls are kept, for services on several machines: a folder that they share, or "
            "`s3:BUCKET/PREFIX` with the extra `s3`; by default `DATA/cold`"
        ),
    ] = None
    cold_copies_mb: Annotated[
        int,
        Field(ge=64, description="megabytes of `DATA/cold/copies`, where files of a bucket are read, each as a whole"),
    ] = 4096
    export_hours: Annotated[
        int,
        Field(ge=1, le=720, description="hours that an exported file can be fetched before it is removed"),
    ] = 24
    exports: Annotated[
        str | None,
        Field(
            description="where exported files are kept, for services on several machines: a folder that they share, or "
            "`s3:BUCKET/PREFIX` with the extra `s3`; by default `DATA/exports`"
        ),
    ] = None
    max_body_bytes: Annotated[int, Field(ge=1024, description="largest body of a report, after gzip")] = 128 * 2**20
    queue_rows: Annotated[int, Field(ge=1, description="calls that may wait for the writer before 503")] = 20_000
    batch_rows: Annotated[int, Field(ge=1, le=20_000, description="calls that one commit takes at most")] = 2_000
    read_connections: Annotated[int, Field(ge=1, le=200, description="database connections for queries, each role")] = 8
    statement_timeout_ms: Annotated[int, Field(ge=100, description="longest that one read statement may take")] = 15_000
    max_query_cost: Annotated[int, Field(ge=100, description="largest cost of one GraphQL operation")] = 10_000
    rate_limit_per_minute: Annotated[
        int,
        Field(ge=0, le=2**31 - 1, description="GraphQL cost a key may spend a minute, of all workers together; 0: any"),
    ] = 600_000
    streams_per_key: Annotated[
        int, Field(ge=1, description="connections that may listen with one key, in each worker")
    ] = 100
    cors_origins: Annotated[
        str | None,
        AfterValidator(checked_origins),
        Field(description="origins of pages that may ask from a browser, such as `https://app.example.com`, by commas"),
    ] = None
    webhook_networks: Annotated[
        str | None,
        AfterValidator(checked_networks),
        Field(description="networks beside the public ones that webhooks may be in, such as `10.1.0.0/16`, by commas"),
    ] = None
    webhook_http: Annotated[bool, Field(description="webhooks without TLS: for `http` inside a network of yours")] = (
        False
    )
    trusted_documents: Annotated[
        Path | None,
        Field(description="JSON file of documents by id, which requests name by `documentId`; read at the start"),
    ] = None
    trusted_only: Annotated[
        bool, Field(description="answer documents of CALLEDGER_TRUSTED_DOCUMENTS and the console, and no others")
    ] = False
    graphiql: Annotated[
        bool, Field(description="a page to try queries, at `/graphql` in a browser; it signs in with a key")
    ] = True
    console: Annotated[
        bool, Field(description="the console, a page to see calls, costs and retention, at `/console/` in a browser")
    ] = True
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="least level logged")] = "info"
    log_format: Annotated[Literal["auto", "json", "console"], Field(description="auto: console on a terminal")] = "auto"

    @property
    def cold_folder(self) -> Path:
        """The folder of files of calls, `DATA/cold`."""
        return self.data / "cold"

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of pages that may ask from a browser."""
        return _listed(self.cors_origins or "")

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks beside the public ones that webhooks may be in."""
        return tuple(ip_network(one) for one in _listed(self.webhook_networks or ""))

    @property
    def keyring_url(self) -> str:
        """The keyring's address; by default `file:DATA/keyring`."""
        return self.keyring or f"file:{self.data / 'keyring'}"

    @property
    def kek_url(self) -> str:
        """The address of the key-encryption key; by default `file:DATA/kek`."""
        return self.kek or f"file:{self.default_kek_path}"

    @property
    def default_kek_path(self) -> Path:
        """The path of the key-encryption key that the first start makes."""
        return self.data / "kek"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with the command line's options on top.

    Raises OperatorError that names the first wrong setting.
    """
    try:
        # Of any type, because pydantic validates them.
        given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        ours = first.get("ctx", {}).get("error")
        raise OperatorError(f"`{name}` is wrong: {ours or first['msg'].lower()}") from None
