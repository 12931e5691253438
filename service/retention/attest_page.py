"""The periodic statement as a page: one HTML file that loads nothing, prints well, and holds what the JSON holds."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #1b1b1b }
table { border-collapse: collapse; width: 100%; margin: 1em 0 2em; font-size: 13px }
th, td { text-align: left; vertical-align: top; padding: .35em .6em; border-bottom: 1px solid #ccc }
code { font-size: 12px; overflow-wrap: anywhere } .fails { color: #a40000; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #e6e6e6 } .fails { color: #ff8a80 } }
"""
_CLASSES: Final = ("class", "tier", "store", "window_days", "kept_at_most_days", "oldest", "overdue", "hidden", "held")


def page(attestation: Mapping[str, Any]) -> str:
    """The attestation for people. Everything in it is escaped: it may be opened by anybody."""
    said, evidence = attestation["statement"], attestation["evidence"]
    policy, period = said["policy"], said["period"]
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Statement of retention</title><style>{_STYLE}</style></head>
<body>
<h1>Statement of retention</h1>
<p>As of {escape(said["as_of"])}, for the {period["days"]} days from {escape(period["from"])} on.
Policy <b>{escape(policy["name"])}</b>, version {policy["version"]}, <code>{escape(policy["digest"])}</code>,
in force since {escape(policy["applied_at"])}.</p>
<h2>Findings</h2>
{_table(("requirement", "holds", "finding"), (_finding(one) for one in said["checks"]))}
<h2>What is kept, and for how long</h2>
{_table(_CLASSES, ([_text(one[name]) for name in _CLASSES] for one in said["classes"]))}
<p>A destroyed key leaves the keyring's backups within {said["keyring_backup_days"]} days, as the operator declares.
Legal holds in force: {said["active_holds"]}.</p>
{_missing(said["missing"])}
<h2>What was done in the period</h2>
<p>The population to sample from; the JSON file beside this page proves each entry.</p>
{_table(("entry", "kind", "when", "by", "facts"), (_entry(one) for one in said["entries"]))}
<h2>Check it</h2>
<p>This statement is entry {evidence["statement"]["index"]} of the ledger.
<code>calledger verify FILE.json --key VKEY</code> checks it with neither server nor database.</p>
<pre><code>{escape(evidence["checkpoint"])}</code></pre>
<p><code>{escape(evidence["key"])}</code></p>
</body>
</html>
"""


def _finding(one: Mapping[str, Any]) -> list[str]:
    holds = "yes" if one["holds"] else '<span class="fails">NO</span>'
    return [escape(one["title"]), holds, escape(one["finding"])]


def _entry(one: Mapping[str, Any]) -> list[str]:
    facts = f"<code>{escape(json.dumps(one['facts'], sort_keys=True))}</code>"
    return [_text(one["index"]), _text(one["kind"]), _text(one["recorded_at"]), _text(one["actor"]), facts]


def _missing(missing: Iterable[str]) -> str:
    walls = "".join(f"<li>{escape(wall)}</li>" for wall in missing)
    return f"<h2>What is missing here</h2><ul>{walls}</ul>" if walls else ""


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return "-" if value is None else escape(str(value))
