"""The questions of the cost benchmark: each as GraphQL, and as the scan of single calls that it replaces."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

ZONE: Final = "Asia/Kolkata"
MIDNIGHT: Final = timedelta(hours=18, minutes=30)
"""When a day of ZONE begins, by UTC."""

_SUMS: Final = "count(*) AS calls, sum(input_tokens) AS input, sum(output_tokens) AS output, sum(amount) AS amount"
_FIGURES: Final = "calls inputTokens outputTokens amount { amount currency }"
_PERCENTILES: Final = "calls latencyMs { p50 p95 p99 }"
_RANKS: Final = "percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms) AS latency"
TEAM: Final = "TEAM"
"""The tag `team`, by which calls are grouped as by a dimension."""
_DIMENSIONS: Final = {"MODEL": "model", "ACCOUNT": "account", "API_KEY": "apiKey"}


@dataclass(frozen=True, slots=True)
class Question:
    """`by`: a dimension of the schema, or None; `local`: by days of ZONE, else all 30 UTC days together."""

    label: str
    by: str | None = None
    local: bool = False
    latency: bool = False
    peers: bool = False

    @property
    def key(self) -> str | None:
        """What of a row's key it is grouped by."""
        return "tags { value }" if self.by == TEAM else None if self.by is None else _DIMENSIONS[self.by]

    def value(self, key: dict[str, Any]) -> str | None:
        """What a row is grouped by, of its key."""
        return key["tags"][0]["value"] if self.by == TEAM else key[self.key or ""]

    @property
    def graphql(self) -> str:
        grouped = "" if self.by is None else f", groupBy: [{self.by}]"
        if self.by == TEAM:
            grouped = ', groupByTags: ["team"]'
        bucket = f', bucket: DAY, timeZone: "{ZONE}"' if self.local else ""
        key = f"key {{ {self.key or 'currency'} bucketStart }}"
        return f"""query ($from: DateTime!, $to: DateTime!) {{
          costs(filter: {{startedAt: {{gte: $from, lt: $to}}}}{grouped}{bucket}, first: 10000) {{
            pageInfo {{ hasNextPage }} nodes {{ {key} {_PERCENTILES if self.latency else _FIGURES} }}
          }}
        }}"""

    @property
    def raw(self) -> str:
        """Columns: the key, the currency, the local day if it is by days, and the figures."""
        key = {None: "NULL", TEAM: "tags ->> 'team'", "MODEL": "model", "API_KEY": "api_key", "ACCOUNT": "account_id"}[
            self.by
        ]
        named = "(SELECT name FROM account WHERE account.id = account_id)" if self.by == "ACCOUNT" else key
        day = f", date_trunc('day', started_at, '{ZONE}') AS day" if self.local else ""
        figures = f"count(*) AS calls, {_RANKS}" if self.latency else _SUMS
        groups = ["currency", *(["day"] if self.local else []), *([key] if self.by else [])]
        return f"""
            SELECT {named} AS key, currency{day}, {figures} FROM call
            WHERE tier = 1 AND started_at >= $1 AND started_at < $2 GROUP BY {", ".join(groups)}
        """

    @property
    def clickhouse(self) -> str:
        """The same for what peers are asked too: cost by model."""
        day, group = (f", toDate(started_at, '{ZONE}') AS day", ", day") if self.local else ("", "")
        return f"""
            SELECT model, currency{day}, {_SUMS} FROM ledger.calls
            WHERE started_at >= '{{0}}' AND started_at < '{{1}}' GROUP BY model, currency{group}
        """


QUESTIONS: Final = {
    "days": Question("by model, UTC days", "MODEL", peers=True),
    "zone": Question("by model and local day", "MODEL", local=True, peers=True),
    "accounts": Question("by account and local day", "ACCOUNT", local=True),
    "keys": Question("by API key and local day", "API_KEY", local=True),
    "tags": Question("by tag, UTC days", TEAM),
    "tags-zone": Question("by tag and local day", TEAM, local=True),
    "latency": Question("percentiles, UTC days", latency=True),
    "latency-zone": Question("percentiles by local day", local=True, latency=True),
}
