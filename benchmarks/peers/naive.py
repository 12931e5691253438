"""The page as the two libraries' tutorials build it: Strawberry types, resolvers over Tortoise models, no caches."""

import base64
import os
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import strawberry
from aiohttp import web
from strawberry.aiohttp.views import GraphQLView
from tortoise import Tortoise, fields
from tortoise.models import Model

from benchmarks.peers.serving import serve


class CallModel(Model):
    id = fields.UUIDField(primary_key=True)
    account_id = fields.IntField()
    started_at = fields.DatetimeField()
    model = fields.TextField()
    provider = fields.TextField(null=True)
    api_key = fields.TextField(null=True)
    status = fields.TextField()
    input_tokens = fields.IntField(null=True)
    output_tokens = fields.IntField(null=True)
    latency_ms = fields.IntField(null=True)
    amount = fields.DecimalField(max_digits=30, decimal_places=12, null=True)
    currency = fields.TextField(null=True)

    class Meta(Model.Meta):
        table = "calls"
        schema = "peers"


@strawberry.type
class Amount:
    amount: Decimal
    currency: str


@strawberry.type
class Call:
    id: strawberry.ID
    started_at: datetime
    model: str
    provider: str | None
    api_key: str | None
    status: str
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: int | None
    amount: Amount | None


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class CallConnection:
    nodes: list[Call]
    page_info: PageInfo


def _call(row: CallModel) -> Call:
    return Call(
        id=strawberry.ID(str(row.id)),
        started_at=row.started_at,
        model=row.model,
        provider=row.provider,
        api_key=row.api_key,
        status=row.status,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        latency_ms=row.latency_ms,
        amount=None if row.amount is None else Amount(amount=row.amount, currency=row.currency or ""),
    )


@strawberry.type
class Query:
    @strawberry.field
    async def calls(self, account: int, before: datetime, first: int = 50) -> CallConnection:
        query = CallModel.filter(account_id=account, started_at__lt=before)
        rows = await query.order_by("-started_at", "-id").limit(first + 1)
        nodes = [_call(row) for row in rows[:first]]
        cursor = base64.b64encode(f"{nodes[-1].started_at},{nodes[-1].id}".encode()).decode() if nodes else None
        return CallConnection(nodes=nodes, page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=cursor))


async def build() -> web.Application:
    place = {name: os.environ[f"PG{name.upper()}"] for name in ("user", "password", "database", "host")}
    login = f"{quote(place['user'])}:{quote(place['password'])}"
    url = f"asyncpg://{login}@/{place['database']}?host={quote(place['host'])}&minsize=8&maxsize=8"
    await Tortoise.init(db_url=url, modules={"models": [__name__]}, _enable_global_fallback=True)
    app = web.Application()
    app.router.add_route("*", "/graphql", GraphQLView(schema=strawberry.Schema(Query)))
    return app


if __name__ == "__main__":
    serve(build)
