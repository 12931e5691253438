"""The formats that can be imported. One more is one entry of `FORMATS`: what reads a row, and where rows may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

from policies import Source
from service.errors import OperatorError
from service.imports.sources.databases.table import SourceTable
from service.imports.sources.log_api import LogApiSource
from service.imports.sources.spend_log_api import SpendLogApiSource
from service.ingest.formats.gateways.agentgateway import read_request_log
from service.ingest.formats.gateways.bifrost import read_log as read_bifrost
from service.ingest.formats.gateways.cloudflare import read_event
from service.ingest.formats.gateways.helicone import read_request
from service.ingest.formats.gateways.langfuse import read_observation
from service.ingest.formats.gateways.openrouter import read_generation
from service.ingest.formats.gateways.portkey import read_log as read_portkey
from service.ingest.formats.litellm.spend_log import read_history
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.native.reader import read_row
from service.ingest.formats.newapi.adapter import read_log_row
from service.ingest.formats.newapi.log_row import LogSettings
from service.ingest.formats.opened import Reader


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What an operator says of a source's rows, beside their format; None: nothing. Each format names those it takes.

    `quota_per_unit` of quota is one unit of `currency`; `account_by` is the column that names the account of a call;
    `map` reads rows by a column map.
    """

    quota_per_unit: Decimal | None = None
    currency: str | None = None
    account_by: str | None = None
    map: MappedReader | None = None


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A format of rows: whose it is, what reads a row, which options it takes (fields of `ImportOptions`), the table
    that has them in the gateway's database, and the gateway's HTTP API; None: it is not read from there. `is_dear`:
    reading a row takes longer than to hand it to another process and to take over what it is.
    """

    source: Source
    help: str
    reader: Callable[[ImportOptions], Reader]
    options: frozenset[str] = frozenset()
    table: SourceTable | None = None
    api: type[LogApiSource | SpendLogApiSource] | None = None
    is_dear: bool = False


_LOGS: Final = SourceTable(
    "logs",
    key="id",
    moment="created_at",
    needed=("user_id", "created_at", "type", "content", "model_name", "quota", "prompt_tokens", "completion_tokens"),
    others=(
        *("username", "token_name", "token_id", "channel_id", "use_time", "elapsed_time", "is_stream", "group", "ip"),
        *("request_id", "upstream_request_id", "other"),
    ),
    long=frozenset(("content", "other")),
)
_SPEND_LOGS: Final = SourceTable(
    "LiteLLM_SpendLogs",
    key="request_id",
    moment="startTime",
    needed=(
        *("startTime", "endTime", "call_type", "api_key", "spend", "prompt_tokens", "completion_tokens", "model"),
        "metadata",
    ),
    others=(
        *("completionStartTime", "model_id", "model_group", "custom_llm_provider", "api_base", "user", "cache_hit"),
        *("request_tags", "team_id", "organization_id", "end_user", "session_id", "status", "litellm_call_id"),
        *("requester_ip_address", "mcp_namespaced_tool_name", "agent_id", "billing_agent_id"),
    ),
    long=frozenset(("metadata", "request_tags")),
    of_failed=("messages", "response", "proxy_server_request"),
    failed=("status", "failure"),
    by_time=True,
)
_LOG_OPTIONS: Final = frozenset(("quota_per_unit", "currency", "account_by"))


def _log_reader(source: Literal["new-api", "one-api"], options: ImportOptions) -> Reader:
    given = {name: value for name in _LOG_OPTIONS if (value := getattr(options, name)) is not None}
    return partial(read_log_row, settings=LogSettings(source, **given))


def mapped_reader(options: ImportOptions) -> Reader:
    """What reads rows by the operator's column map. Raises OperatorError where there is none."""
    if options.map is None:
        raise OperatorError("a column map is needed: `--suggest-map` prints one to begin with, `--map FILE` takes it")
    return options.map


FORMATS: Final[Mapping[str, ImportFormat]] = MappingProxyType(
    {
        "native": ImportFormat("native", "calls as `POST /v1/calls` takes them", lambda _: read_row),
        "litellm": ImportFormat(
            "litellm",
            "rows of LiteLLM's table `LiteLLM_SpendLogs`, or its callback's payloads",
            lambda _: read_history,
            table=_SPEND_LOGS,
            api=SpendLogApiSource,
            is_dear=True,
        ),
        "langfuse": ImportFormat(
            "langfuse", "observations of Langfuse's exports and API", lambda _: read_observation, is_dear=True
        ),
        "openrouter": ImportFormat("openrouter", "OpenRouter's activity by generation", lambda _: read_generation),
        "helicone": ImportFormat("helicone", "rows of Helicone's export tool and API", lambda _: read_request),
        "cloudflare": ImportFormat("cloudflare", "AI Gateway's events of Logpush, or its logs", lambda _: read_event),
        "portkey": ImportFormat("portkey", "rows of Portkey's log exports", lambda _: read_portkey),
        "bifrost": ImportFormat(
            "bifrost", "rows of Bifrost's table `logs`, or of its API", lambda _: read_bifrost, is_dear=True
        ),
        "agentgateway": ImportFormat(
            "agentgateway", "rows of agentgateway's table `request_logs`, or of its API", lambda _: read_request_log
        ),
        "csv": ImportFormat(
            "csv", "any table, by a column map (--map)", mapped_reader, frozenset({"map"}), is_dear=True
        ),
        "ndjson": ImportFormat(
            "csv", "any JSON lines, by a column map (--map)", mapped_reader, frozenset({"map"}), is_dear=True
        ),
        "new-api": ImportFormat(
            "new-api",
            "new-api's table `logs`",
            partial(_log_reader, "new-api"),
            _LOG_OPTIONS,
            _LOGS,
            LogApiSource,
        ),
        "one-api": ImportFormat(
            "one-api",
            "One API's table `logs`",
            partial(_log_reader, "one-api"),
            _LOG_OPTIONS,
            _LOGS,
            LogApiSource,
        ),
    }
)
"""By the name that `calledger import` takes."""
