"""What each model cost in some days, beside the days before, with gql (pip install "gql[aiohttp]>=4.4").

    CALLEDGER_KEY=cl_... python examples/cost_report.py https://ledger.example --days 7 --zone Europe/Vienna

Amounts are exact: they come as texts and are added up as decimals. Currencies are never added up with each other.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError

COSTS = gql("""
query Costs($now: CallFilter!, $before: CallFilter!) {
  now: costs(filter: $now, groupBy: [MODEL], first: 10000) { ...figures }
  before: costs(filter: $before, groupBy: [MODEL], first: 10000) { ...figures }
}

fragment figures on CostReport {
  nodes { key { model currency } calls amount { amount } }
}
""")


def period(days: int, zone: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Filters: the last whole days of this zone's clocks, and as many before these."""
    today = datetime.now(ZoneInfo(zone)).date()
    ends = [today - timedelta(days=days * number) for number in range(3)]
    moments = [datetime.combine(end, time(), ZoneInfo(zone)).astimezone(UTC).isoformat() for end in ends]
    return (
        {"startedAt": {"gte": moments[1], "lt": moments[0]}},
        {"startedAt": {"gte": moments[2], "lt": moments[1]}},
    )


def amounts(nodes: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Money by model and currency. Calls whose amount is not known are left out."""
    return {
        (node["key"]["model"], node["key"]["currency"]): Decimal(node["amount"]["amount"])
        for node in nodes
        if node["amount"]
    }


def main() -> None:
    """Ask once, and print a line a model and currency, the dearest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--zone", default="UTC")
    chosen = parser.parse_args()
    headers = {"Authorization": f"Bearer {os.environ['CALLEDGER_KEY']}"}
    client = Client(transport=AIOHTTPTransport(f"{chosen.url.rstrip('/')}/graphql", headers=headers, timeout=60))
    COSTS.variable_values = dict(zip(("now", "before"), period(chosen.days, chosen.zone), strict=True))
    try:
        answer = client.execute(COSTS)
    except TransportQueryError as error:
        first = (error.errors or [{}])[0]
        raise SystemExit(f"{first['extensions']['code']}: {first['message']}") from None
    now, before = amounts(answer["now"]["nodes"]), amounts(answer["before"]["nodes"])
    for key in sorted(now.keys() | before.keys(), key=lambda key: now.get(key, Decimal(0)), reverse=True):
        model, currency = key
        print(f"{model}\t{now.get(key, Decimal(0))}\t{before.get(key, Decimal(0))}\t{currency}")


if __name__ == "__main__":
    main()
