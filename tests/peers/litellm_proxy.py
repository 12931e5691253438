"""LiteLLM's proxy as others read it: its table `LiteLLM_SpendLogs`, and the answers of its spend logs' two addresses.

By LiteLLM 1.106.2: schema.prisma, and `ui_view_spend_logs` and `view_spend_logs` of its proxy. The rows of
`histories/litellm_proxy_1.106.2.ndjson` are what such a proxy wrote.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import asyncpg
from aiohttp import web
from gateway_rows import FOLDER

KEY: Final = "sk-litellm-master-7714"
TABLE: Final = "LiteLLM_SpendLogs"
COLUMNS: Final = {
    "request_id": "text PRIMARY KEY",
    "call_type": "text NOT NULL",
    "api_key": "text NOT NULL DEFAULT ''",
    "spend": "double precision NOT NULL DEFAULT 0",
    "total_tokens": "integer NOT NULL DEFAULT 0",
    "prompt_tokens": "integer NOT NULL DEFAULT 0",
    "completion_tokens": "integer NOT NULL DEFAULT 0",
    "startTime": "timestamp(3) NOT NULL",
    "endTime": "timestamp(3) NOT NULL",
    "request_duration_ms": "integer",
    "completionStartTime": "timestamp(3)",
    "model": "text NOT NULL DEFAULT ''",
    "model_id": "text",
    "model_group": "text",
    "custom_llm_provider": "text",
    "api_base": "text",
    "user": "text",
    "metadata": "jsonb DEFAULT '{}'",
    "cache_hit": "text",
    "cache_key": "text",
    "request_tags": "jsonb DEFAULT '[]'",
    "team_id": "text",
    "organization_id": "text",
    "end_user": "text",
    "requester_ip_address": "text",
    "messages": "jsonb DEFAULT '{}'",
    "response": "jsonb DEFAULT '{}'",
    "session_id": "text",
    "status": "text",
    "mcp_namespaced_tool_name": "text",
    "billing_agent_id": "text",
    "agent_id": "text",
    "proxy_server_request": "jsonb DEFAULT '{}'",
    "litellm_call_id": "text",
    "created_at": "timestamp(3) NOT NULL DEFAULT now()",
    "updated_at": "timestamp(3) NOT NULL DEFAULT now()",
}
LATER: Final = frozenset(("litellm_call_id", "created_at", "updated_at", "request_duration_ms", "billing_agent_id"))
"""Columns that tables of 2025 have not."""
_TIMES: Final = ("startTime", "endTime", "completionStartTime", "created_at", "updated_at")
_HEAVY: Final = frozenset(("messages", "response", "proxy_server_request"))
_TOTAL_MAX: Final = 10_000
_NOISELESS: Final = Context(15, ROUND_HALF_EVEN)

Row = dict[str, Any]


def recorded(moved_to: datetime) -> list[Row]:
    """The rows that a proxy wrote, the first of them begun at `moved_to`."""
    rows = [json.loads(line) for line in (FOLDER / "litellm_proxy_1.106.2.ndjson").read_bytes().splitlines()]
    shift = moved_to - min(moment_of(row) for row in rows)
    for row in rows:
        for name in _TIMES:
            if row.get(name):
                row[name] = text_of(datetime.fromisoformat(row[name]) + shift)
    return rows


def spent(id_: str, moment: datetime, **more: Any) -> Row:
    """A call that cost 0.000225."""
    return {
        "request_id": id_,
        "litellm_call_id": f"call-{id_}",
        "call_type": "acompletion",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "spend": 0.00022500000000000002,
        "total_tokens": 30,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "startTime": text_of(moment),
        "endTime": text_of(moment + timedelta(seconds=1)),
        "model": "gpt-4o",
        "status": "success",
        "metadata": {"user_api_key_alias": "batch-jobs", "usage_object": {"prompt_tokens": 10}},
    } | more


def total_of(rows: Sequence[Row]) -> Decimal:
    """What rows come to, without the noise of binary floats."""
    return sum((_NOISELESS.create_decimal(row["spend"]) for row in rows), Decimal(0))


def moment_of(row: Row) -> datetime:
    """When the call of a row began."""
    return datetime.fromisoformat(row["startTime"])


def text_of(moment: datetime) -> str:
    """A time as the proxy's answers have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


async def table_of(url: str, rows: Sequence[Row], *, without: frozenset[str] = frozenset()) -> None:
    """Make the table anew in a PostgreSQL, with these rows, without some columns."""
    columns = {name: kind for name, kind in COLUMNS.items() if name not in without}
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP TABLE IF EXISTS "{TABLE}"')
        made = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        await connection.execute(f'CREATE TABLE "{TABLE}" ({made})')
        await connection.execute(f'CREATE INDEX ON "{TABLE}" ("startTime", request_id)')
        await add_rows(connection, rows)
    finally:
        await connection.close()


async def add_rows(connection: "asyncpg.Connection", rows: Sequence[Row]) -> None:
    """Add rows to the table; what they don't say has the column's default."""
    by_columns: dict[tuple[str, ...], list[list[Any]]] = {}
    for row in rows:
        named = {name: _stored(name, value) for name, value in row.items() if value is not None}
        by_columns.setdefault(tuple(named), []).append(list(named.values()))
    for columns, records in by_columns.items():
        await connection.copy_records_to_table(TABLE, records=records, columns=columns)


def _stored(name: str, value: Any) -> Any:
    if name in _TIMES:
        return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
    return json.dumps(value) if COLUMNS[name].startswith("jsonb") else value


@dataclass
class SpendServer:
    """The proxy: its rows, the most that it gives of a page, and how it misbehaves. `before` is called before each
    answer, with how many there were, and may answer in its place.
    """

    rows: list[Row]
    url: str = ""
    page_rows_max: int = 1_000
    before: Callable[[int], web.Response | None] = lambda _: None
    asked: list[dict[str, str]] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/spend/logs/v2", self.paged), web.get("/spend/logs", self.whole)]

    def _refused(self, request: web.Request) -> web.Response | None:
        self.asked.append(dict(request.query))
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            said = "Authentication Error, Invalid proxy server token passed"
            return web.json_response({"error": {"message": said, "type": "auth_error", "code": "401"}}, status=401)
        return self.before(len(self.asked))

    async def paged(self, request: web.Request) -> web.Response:
        """`/spend/logs/v2`: in the order of time, and rows of one time in any."""
        if (instead := self._refused(request)) is not None:
            return instead
        page, size = int(request.query["page"]), int(request.query["page_size"])
        if size > self.page_rows_max:
            return web.json_response(
                {"detail": [{"type": "less_than_equal", "loc": ["query", "page_size"]}]}, status=422
            )
        start, end = _asked(request, "%Y-%m-%d %H:%M:%S")
        found = [row for row in self.rows if start <= moment_of(row) <= end]
        random.shuffle(found)
        found.sort(key=moment_of, reverse=request.query.get("sort_order") != "asc")
        total = min(len(found), _TOTAL_MAX)
        shown = [_shown(row) for row in found[(page - 1) * size : page * size]]
        return web.json_response(
            {
                "data": shown,
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
                "total_is_capped": len(found) > _TOTAL_MAX,
            }
        )

    async def whole(self, request: web.Request) -> web.Response:
        """`/spend/logs` with `summarize=false`: the newest rows of some days."""
        if (instead := self._refused(request)) is not None:
            return instead
        start, end = _asked(request, "%Y-%m-%d")
        if request.query.get("summarize") != "false":
            return web.json_response([{"startTime": f"{start:%Y-%m-%d}", "spend": 1.5, "users": {}, "models": {}}])
        found = sorted((row for row in self.rows if start <= moment_of(row) <= end), key=moment_of, reverse=True)
        return web.json_response([dict.fromkeys(COLUMNS) | row for row in found[:_TOTAL_MAX]])


def _asked(request: web.Request, form: str) -> list[datetime]:
    names = ("start_date", "end_date")
    return [datetime.strptime(request.query[name], form).replace(tzinfo=UTC) for name in names]


def _shown(row: Row) -> Row:
    """A row as v2 lists it: without what is long, and nested columns but the metadata as text."""
    shown = {name: row.get(name) for name in COLUMNS if name not in _HEAVY}
    return shown | {"request_tags": json.dumps(row.get("request_tags") or [])}
