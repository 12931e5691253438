"""A comparison as JSON, as CSV and as a page that stands alone, without scripts."""

import csv
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html import escape
from typing import Any, Final

import orjson

from service.reconcile.comparison import DifferenceKind, Found, FoundKey
from service.reconcile.run import Reconciliation

COLUMNS: Final = ("kind", "day", "model", "currency", "calls", "theirs", "ours", "difference", "examples")
MEANINGS: Final[Mapping[DifferenceKind, str]] = {
    DifferenceKind.MISSING_HERE: "they bill it, and it is not recorded here",
    DifferenceKind.MISSING_THERE: "it is recorded here with an amount, and they do not bill it",
    DifferenceKind.DOUBLED_HERE: "they bill it once, and it is recorded twice",
    DifferenceKind.DOUBLED_THERE: "it is recorded once, and they bill it twice",
    DifferenceKind.PRICED_DIFFERENTLY: "both have it, with other amounts or currencies",
    DifferenceKind.UNPRICED: "it is recorded here without an amount",
    DifferenceKind.REFUSED: "they bill it, and on that day reports were refused here",
}
_STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{padding:.3rem .6rem;text-align:left;"
    "border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}th,td{border-color:#444}}"
)


def as_json(result: Reconciliation) -> dict[str, Any]:
    """All of it; money as strings."""
    request = result.request
    return {
        "source": request.name,
        "layout": result.layout,
        "from": result.days[0].isoformat(),
        "to": result.days[1].isoformat(),
        "time_zone": request.zone.key,
        "accounts": list(request.accounts),
        "tolerance": f"{request.tolerance:f}",
        "made_at": result.made_at.isoformat(timespec="seconds"),
        "by_ids": result.by_ids,
        "rows": result.rows,
        "calls": result.calls,
        "unread": dict(result.unread),
        "theirs": _money(result.theirs),
        "ours": _money(result.ours),
        "differences": [dict(zip(COLUMNS, row, strict=True)) for row in _rows(result)],
        "not_listed": result.differences.beyond,
    }


def json_text(result: Reconciliation) -> str:
    """The report as a JSON document."""
    return orjson.dumps(as_json(result), option=orjson.OPT_INDENT_2).decode() + "\n"


def csv_text(result: Reconciliation) -> str:
    """A line for each kind, day, model and currency that differs (RFC 4180)."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for row in _rows(result):
        lines.writerow([_cell(" ".join(value) if isinstance(value, list) else str(value)) for value in row])
    return text.getvalue()


def html_text(result: Reconciliation) -> str:
    """A page without scripts, and without anything from elsewhere."""
    said = as_json(result)
    facts = [
        ("Source", f"{said['source']} ({said['layout']})"),
        ("Days", f"{said['from']} to {said['to']}, {said['time_zone']}"),
        ("Accounts", ", ".join(said["accounts"]) or "all"),
        ("Compared", "single calls, by their ids" if said["by_ids"] else "sums by day, model and currency"),
        ("Rows of theirs, calls of ours", f"{said['rows']}, {said['calls']}"),
        ("Tolerance", said["tolerance"]),
        ("Rows that could not be read", "; ".join(f"{n}: {why}" for why, n in said["unread"].items()) or "none"),
    ]
    currencies = sorted(said["theirs"].keys() | said["ours"].keys())
    totals = [(one, said["theirs"].get(one, "0"), said["ours"].get(one, "0")) for one in currencies]
    kinds = dict.fromkeys(DifferenceKind, 0)
    for key, found in result.differences.found.items():
        kinds[key.kind] += found.calls
    counted = [(kind.value, str(count), MEANINGS[kind]) for kind, count in kinds.items()]
    rows = [[", ".join(value) if isinstance(value, list) else str(value) for value in row] for row in _rows(result)]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Reconciliation</title><style>{_STYLE}</style><h1>Reconciliation</h1>"
        f"{_table((), facts)}<h2>Totals</h2>{_table(('currency', 'theirs', 'ours'), totals)}"
        f"<h2>Differences by kind</h2>{_table(('kind', 'calls', 'meaning'), counted)}"
        f"<h2>Differences</h2>{_table(COLUMNS, rows) if rows else '<p>None.</p>'}"
        f"<p>{said['not_listed']} more are not listed. Made at {escape(said['made_at'])}.</p></html>\n"
    )


def _rows(result: Reconciliation) -> Iterator[tuple[Any, ...]]:
    def order(item: tuple[FoundKey, Found]) -> tuple[str, ...]:
        """The key to sort by day, kind, model and currency."""
        key = item[0]
        return key.day.isoformat(), key.kind, key.model, key.currency

    for key, found in sorted(result.differences.found.items(), key=order):
        off = found.theirs - found.ours
        yield (
            *(key.kind.value, key.day.isoformat(), key.model, key.currency, found.calls),
            *(f"{found.theirs:f}", f"{found.ours:f}", f"{off:f}", found.examples),
        )


def _money(totals: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in totals.items()}


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula; a number below zero stays one."""
    if text[:1] in "=+@\t\r" or (text[:1] == "-" and not text[1:].replace(".", "", 1).isdigit()):
        return "'" + text
    return text


def _table(headings: tuple[str, ...], rows: list[Any]) -> str:
    head = "".join(f"<th>{escape(one)}" for one in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row) for row in rows)
    return f"<table>{f'<thead><tr>{head}</thead>' if head else ''}<tbody>{body}</tbody></table>"
