"""The formats that can be imported. One more is one entry of `FORMATS`: what reads a row, and where rows may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

from policies import Source
from service.imports.sources.databases.table import SourceTable
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.newapi.adapter import read_log_row
from service.ingest.formats.newapi.log_row import LogSettings
from service.ingest.formats.opened import Reader


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What an operator says of a source's rows, beside their format; None: nothing. Each format names those it takes.

    `quota_per_unit` of quota is one unit of `currency`; `account_by` is the column that names the account of a call.
    """

    quota_per_unit: Decimal | None = None
    currency: str | None = None
    account_by: str | None = None


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A format of rows: whose it is, what reads a row, which options it takes (fields of `ImportOptions`), and the
    table that has them in the gateway's database; None: it is not read from one.
    """

    source: Source
    help: str
    reader: Callable[[ImportOptions], Reader]
    options: frozenset[str] = frozenset()
    table: SourceTable | None = None


_LOGS: Final = SourceTable(
    "logs",
    key="id",
    needed=("user_id", "created_at", "type", "content", "model_name", "quota", "prompt_tokens", "completion_tokens"),
    others=(
        *("username", "token_name", "token_id", "channel_id", "use_time", "elapsed_time", "is_stream", "group", "ip"),
        *("request_id", "upstream_request_id", "other"),
    ),
    long=frozenset(("content", "other")),
)
_LOG_OPTIONS: Final = frozenset(("quota_per_unit", "currency", "account_by"))


def _log_reader(source: Literal["new-api", "one-api"], options: ImportOptions) -> Reader:
    given = {name: value for name in _LOG_OPTIONS if (value := getattr(options, name)) is not None}
    return partial(read_log_row, settings=LogSettings(source, **given))


FORMATS: Final[Mapping[str, ImportFormat]] = MappingProxyType(
    {
        "native": ImportFormat("native", "calls as `POST /v1/calls` takes them", lambda _: read_row),
        "litellm": ImportFormat("litellm", "LiteLLM's callback payloads, as `POST /v1/litellm`", lambda _: read_entry),
        "new-api": ImportFormat(
            "new-api", "new-api's table `logs`", partial(_log_reader, "new-api"), _LOG_OPTIONS, _LOGS
        ),
        "one-api": ImportFormat(
            "one-api", "One API's table `logs`", partial(_log_reader, "one-api"), _LOG_OPTIONS, _LOGS
        ),
    }
)
"""By the name that `calledger import` takes."""
