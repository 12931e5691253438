"""A gateway's `/api/log/` and `/api/log/self` as new-api's and One API's controllers answer, and as they should not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

TOKEN: Final = "newapi-access-token-5519"
USER: Final = "1"


@dataclass
class LogServer:
    """The gateway: its rows, which family it is of, and how it misbehaves. `before` is called before each answer, with
    how many there were, and may answer in its place.
    """

    log: list[dict[str, Any]]
    family: str = "new-api"
    url: str = ""
    before: Callable[[int], web.Response | None] = lambda _: None
    asked: list[dict[str, str]] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/log/", self.all_logs), web.get("/api/log/self", self.own_logs)]

    async def all_logs(self, request: web.Request) -> web.Response:
        return self._answer(request, own=False)

    async def own_logs(self, request: web.Request) -> web.Response:
        return self._answer(request, own=True)

    def _answer(self, request: web.Request, *, own: bool) -> web.Response:
        self.asked.append(dict(request.query))
        instead = self.before(len(self.asked))
        if instead is not None:
            return instead
        if request.headers.get("Authorization") != TOKEN:
            return web.json_response({"success": False, "message": "无权进行此操作, access token 无效"})
        if self.family == "new-api" and request.headers.get("New-Api-User") != USER:
            return web.json_response({"success": False, "message": "无权进行此操作, 与登录用户不匹配"})
        start, end = int(request.query["start_timestamp"]), int(request.query["end_timestamp"])
        found = [row for row in self.log if start <= row["created_at"] <= end]
        found.sort(key=lambda row: -row["id"])
        page = int(request.query["p"])
        if self.family == "one-api":
            return self._list(found[page * 10 : page * 10 + 10], own)
        size = min(int(request.query["page_size"]), 100)
        page = max(page, 1)
        items = [self._shown(row, number, own) for number, row in enumerate(found)][(page - 1) * size : page * size]
        data = {"page": page, "page_size": size, "total": len(found), "items": items}
        return web.json_response({"success": True, "message": "", "data": data})

    def _list(self, rows: list[dict[str, Any]], own: bool) -> web.Response:
        shown = [self._shown(row, 0, own) for row in rows]
        return web.json_response({"success": True, "message": "", "data": shown})

    def _shown(self, row: dict[str, Any], number: int, own: bool) -> dict[str, Any]:
        shown = {("channel" if name == "channel_id" else name): value for name, value in row.items()}
        shown["channel_name"] = "" if own else "upstream-a"
        if own:
            shown["id"] = number + 1
            if self.family == "one-api":
                del shown["id"]
        return shown
