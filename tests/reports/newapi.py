"""new-api's and One API's table `logs`, as their versions make it, and rows as they write them."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

CANARY: Final = "zebra-quartz-8841"
NOW: Final = int(time.time())

_COMMON: Final = {
    "id": "integer PRIMARY KEY",
    "user_id": "bigint",
    "created_at": "bigint",
    "type": "bigint",
    "content": "text",
    "username": "text DEFAULT ''",
    "token_name": "text DEFAULT ''",
    "model_name": "text DEFAULT ''",
    "quota": "bigint DEFAULT 0",
    "prompt_tokens": "bigint DEFAULT 0",
    "completion_tokens": "bigint DEFAULT 0",
    "channel_id": "bigint",
}
_LATER: Final = {
    "use_time": "bigint DEFAULT 0",
    "is_stream": "boolean",
    "channel_name": "text",
    "token_id": "bigint DEFAULT 0",
    "group": "text",
    "ip": "text DEFAULT ''",
    "other": "text",
}
_IDS: Final = {"request_id": "varchar(64) DEFAULT ''", "upstream_request_id": "varchar(128) DEFAULT ''"}
_ONE_API: Final = {
    "request_id": "text DEFAULT ''",
    "elapsed_time": "bigint DEFAULT 0",
    "is_stream": "boolean DEFAULT false",
    "system_prompt_reset": "boolean DEFAULT false",
}
SCHEMAS: Final = {
    "new-api 0.6": _COMMON | _LATER,
    "new-api 1.0": _COMMON | _LATER | _IDS,
    "new-api of tomorrow": _COMMON | _LATER | _IDS | {"prompt_text": "text", "something_new": "bigint"},
    "one-api 0.5": _COMMON,
    "one-api 0.6.10": _COMMON | _ONE_API,
}


def consumed(id_: int, **more: Any) -> dict[str, Any]:
    """A call of new-api: 966 tokens, 234 from a cache at half the price, and 80 answered at four times, at 1.25."""
    other = {
        "model_ratio": 1.25,
        "group_ratio": 1,
        "completion_ratio": 4,
        "cache_tokens": 234,
        "cache_ratio": 0.5,
        "model_price": -1,
        "user_group_ratio": -1,
        "frt": 812,
        "request_path": "/v1/chat/completions",
        "admin_info": {"use_channel": ["3", "12"]},
    } | more.pop("other", {})
    return {
        "id": id_,
        "user_id": 3,
        "created_at": NOW - 86_400 + id_ % 80_000,
        "type": 2,
        "content": f"模型倍率 1.25\uff0c补全倍率 4\uff0c分组倍率 1 {CANARY}",
        "username": "jane-of-acme",
        "token_name": "prod-web",
        "token_id": 5,
        "model_name": "gpt-4o",
        "quota": 1_754,
        "prompt_tokens": 1_200,
        "completion_tokens": 80,
        "use_time": 3,
        "is_stream": True,
        "channel_id": 12,
        "group": "vip",
        "ip": "203.0.113.77",
        "request_id": f"20261130102030{id_:09d}aB3xY9zQ",
        "upstream_request_id": f"req_{id_:08d}",
        "other": json.dumps(other),
    } | more


def failed(id_: int, **more: Any) -> dict[str, Any]:
    """An attempt of new-api that failed, with its text in Chinese."""
    other = {
        "error_type": "openai_error",
        "error_code": "insufficient_user_quota",
        "status_code": 403,
        "channel_name": "upstream-a",
        "channel_type": 1,
        "request_path": "/v1/chat/completions",
    }
    return (
        consumed(id_)
        | {
            "type": 5,
            "content": f"status_code=403, 用户额度不足, 剩余额度: \uff040.12, key sk-proj-{'Ab3' * 16} of 203.0.113.77",
            "quota": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "other": json.dumps(other),
        }
        | more
    )


def rows(count: int, first: int = 1) -> Iterator[dict[str, Any]]:
    """Rows as a log has them: mostly calls, some failed, and what is none."""
    for id_ in range(first, first + count):
        match id_ % 20:
            case 7:
                yield failed(id_)
            case 11:
                yield consumed(id_, type=1, content="通过在线充值 10", quota=5_000_000, model_name="", other={})
            case 13:
                yield consumed(id_, type=4, content="新用户注册赠送", quota=0, model_name="", other={})
            case _:
                yield consumed(id_, quota=1_754 + id_ % 2)


def sqlite_of(path: Path, schema: str, log: Sequence[dict[str, Any]]) -> str:
    """Make SQLite's file of one version with these rows; its address."""
    columns = SCHEMAS[schema]
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(_create(columns))
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    connection.executemany(
        f"INSERT INTO logs ({names}) VALUES ({marks})", [[row.get(name) for name in columns] for row in log]
    )
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


async def postgres_of(url: str, schema: str, log: Sequence[dict[str, Any]]) -> None:
    """Make the table of one version in a PostgreSQL, with these rows."""
    columns = SCHEMAS[schema]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP TABLE IF EXISTS logs")
        await connection.execute(_create(columns))
        records = [[row.get(name) for name in columns] for row in log]
        await connection.copy_records_to_table("logs", records=records, columns=list(columns))
    finally:
        await connection.close()


def _create(columns: dict[str, str]) -> str:
    made = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    return f"CREATE TABLE logs ({made})"
