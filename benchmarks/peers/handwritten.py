"""The page as an expert writes it by hand: aiohttp, asyncpg, orjson. No GraphQL, no policy, no scope."""

import base64
from datetime import datetime

import asyncpg
import orjson
from aiohttp import web

from benchmarks.peers.serving import serve

POOL = web.AppKey("pool", asyncpg.Pool)
_COLUMNS = "id, started_at, model, provider, api_key, status, input_tokens, output_tokens, latency_ms, amount, currency"
_WHERE = {
    "plain": "started_at < $2",
    "after": "(started_at, id) < ($2, $4)",
    "status": "started_at < $2 AND status = $4",
    "model": "started_at < $2 AND model = $4",
}
_PAGES = {
    form: f"""
    SELECT {_COLUMNS} FROM peers.calls WHERE account_id = $1 AND {where}
    ORDER BY started_at DESC, id DESC LIMIT $3
"""
    for form, where in _WHERE.items()
}


async def _connect(connection: asyncpg.Connection) -> None:
    for name in ("uuid", "numeric"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _keep(_: object) -> None:
    """Nothing to reset between requests: the round trip is saved."""


def _asked(asked: dict) -> tuple[str, list[object]]:
    """The statement of a request and its values."""
    first = min(asked["first"], 200)
    if asked.get("after") is not None:
        moment, identity = orjson.loads(base64.b64decode(asked["after"]))
        return _PAGES["after"], [asked["account"], datetime.fromisoformat(moment), first + 1, identity]
    values = [asked["account"], datetime.fromisoformat(asked["before"]), first + 1]
    for form in ("status", "model"):
        if form in asked:
            return _PAGES[form], [*values, asked[form]]
    return _PAGES["plain"], values


def _nodes(rows: list[asyncpg.Record]) -> list[dict]:
    return [
        {
            "id": identity,
            "startedAt": started_at,
            "model": model,
            "provider": provider,
            "apiKey": api_key,
            "status": status,
            "inputTokens": input_tokens,
            "outputTokens": output_tokens,
            "latencyMs": latency_ms,
            "amount": {"amount": amount, "currency": currency},
        }
        for (
            identity, started_at, model, provider, api_key, status, input_tokens, output_tokens, latency_ms, amount,
            currency,
        ) in rows
    ]  # fmt: skip


def _edges(rows: list[asyncpg.Record]) -> list[dict]:
    """The same with a cursor each, and the types that Relay asks for."""
    return [
        {
            "node": {
                "id": identity,
                "startedAt": started_at,
                "model": model,
                "provider": provider,
                "apiKey": api_key,
                "status": status,
                "inputTokens": input_tokens,
                "outputTokens": output_tokens,
                "latencyMs": latency_ms,
                "amount": {"amount": amount, "currency": currency, "__typename": "Amount"},
                "__typename": "Call",
            },
            "cursor": _cursor(started_at, identity),
            "__typename": "CallEdge",
        }
        for (
            identity, started_at, model, provider, api_key, status, input_tokens, output_tokens, latency_ms, amount,
            currency,
        ) in rows
    ]  # fmt: skip


def _cursor(moment: datetime, identity: str) -> str:
    return base64.b64encode(orjson.dumps([moment, identity])).decode()


async def calls(request: web.Request) -> web.Response:
    asked = orjson.loads(await request.read())
    text, values = _asked(asked)
    async with request.app[POOL].acquire() as connection:
        rows = await connection.fetch(text, *values)
    size = values[2] - 1
    shown = rows[:size]
    info = {"hasNextPage": len(rows) > size, "endCursor": None}
    if shown:
        info["endCursor"] = _cursor(shown[-1]["started_at"], shown[-1]["id"])
    if asked.get("edges"):
        info["__typename"] = "PageInfo"
        page = {"edges": _edges(shown), "pageInfo": info, "__typename": "CallConnection"}
    else:
        page = {"nodes": _nodes(shown), "pageInfo": info}
    body = orjson.dumps({"data": {"calls": page}}, option=orjson.OPT_UTC_Z)
    return web.Response(body=body, content_type="application/json")


async def build() -> web.Application:
    app = web.Application()
    app[POOL] = await asyncpg.create_pool(
        min_size=8, max_size=8, init=_connect, reset=_keep, server_settings={"jit": "off", "timezone": "UTC"}
    )
    app.add_routes([web.post("/calls", calls)])
    return app


if __name__ == "__main__":
    serve(build)
