"""What an expert writes by hand for exactly this page: aiohttp, asyncpg, orjson. No GraphQL, no policy, no scope."""

import base64
from datetime import datetime

import asyncpg
import orjson
from aiohttp import web

from benchmarks.peers.serving import serve

POOL = web.AppKey("pool", asyncpg.Pool)
_PAGE = """
    SELECT id, started_at, model, provider, api_key, status, input_tokens, output_tokens, latency_ms, amount, currency
    FROM peers.calls WHERE account_id = $1 AND started_at < $2
    ORDER BY started_at DESC, id DESC LIMIT $3
"""


async def _connect(connection: asyncpg.Connection) -> None:
    for name in ("uuid", "numeric"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _keep(_: object) -> None:
    """Nothing to reset between requests: the round trip is saved."""


async def calls(request: web.Request) -> web.Response:
    asked = orjson.loads(await request.read())
    first = min(asked["first"], 200)
    before = datetime.fromisoformat(asked["before"])
    async with request.app[POOL].acquire() as connection:
        rows = await connection.fetch(_PAGE, asked["account"], before, first + 1)
    nodes = [
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
        ) in rows[:first]
    ]  # fmt: skip
    cursor = None
    if nodes:
        cursor = base64.b64encode(orjson.dumps([nodes[-1]["startedAt"], nodes[-1]["id"]])).decode()
    page = {"nodes": nodes, "pageInfo": {"hasNextPage": len(rows) > first, "endCursor": cursor}}
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
