"""The attestation as a page: one HTML file that loads nothing, prints well, and has all that the JSON has."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #1b1b1b }
table { border-collapse: collapse; width: 100%; margin: 1em 0 1.5em; font-size: 13px }
th, td { text-align: left; vertical-align: top; padding: .35em .6em; border-bottom: 1px solid #ccc }
time { white-space: nowrap } code, pre { font-size: 12px; overflow-wrap: anywhere; white-space: pre-wrap }
.met { color: #1b6b2f; font-weight: 600 } .fails { color: #a40000; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #e6e6e6 } .fails { color: #ff8a80 } .met { color: #8fd19e }
}
@media print { body { margin: 0; max-width: none; color: #000; background: #fff } tr { break-inside: avoid } }
"""
_CLASSES: Final = (
    *("class", "tier", "store", "window_days", "kept_at_most_days", "unreadable_days"),
    *("oldest", "oldest_served", "overdue", "hidden", "held"),
)
_TIMES: Final = frozenset({"oldest", "oldest_served"})
_STORES: Final = """
<p>Stores: <b>call</b> has one row per call, <b>call_error</b> the sealed details of failed calls, <b>usage_quarter</b>
sums by quarter of an hour and <b>usage_day</b> by day, which name no person.
<b>Window</b>: the days for which rows are shown to anybody; <b>kept at most</b>: the days after which they are gone
from the disk, or of what is hashed or sealed the key; <b>unreadable</b>: the days after which no copy of what is sealed
can be opened, backups included. <b>Overdue</b> rows should have been gone by now; <b>hidden</b> ones are past their
window, shown to nobody, and wait for their partition to end; <b>held</b> ones are copies that a legal hold keeps.
&ldquo;-&rdquo;: there is none.</p>
"""


def page(attestation: Mapping[str, Any]) -> str:
    """The attestation as HTML, for people. Everything in it is escaped, because anybody may open it."""
    facts, evidence = attestation["statement"], attestation["evidence"]
    policy, period = facts["policy"], facts["period"]
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Statement of retention</title><style>{_STYLE}</style></head>
<body>
<h1>Statement of retention</h1>
<p>Of the ledger <code>{escape(evidence["checkpoint"].partition(chr(10))[0])}</code>, as of {_time(facts["as_of"])},
for the {period["days"]} days from {_time(period["from"])} on.
Policy <b>{escape(policy["name"])}</b>, version {policy["version"]}, <code>{escape(policy["digest"])}</code>,
applied by {escape(policy["applied_by"])} and in force since {_time(policy["applied_at"])}.</p>
<p>{_verdict(facts["checks"])}</p>
<h2>Findings</h2>
{_table(("requirement", "met", "finding"), (_finding(one) for one in facts["checks"]))}
<h2>What is kept, and for how long</h2>
{_table(_CLASSES, ([_cell(name, one[name]) for name in _CLASSES] for one in facts["classes"]))}
{_STORES}
<p>{_backups(facts["keyring_backup_days"])} Legal holds in force: {facts["active_holds"]}; who placed them, and why, the
query <code>holds</code> says.</p>
{_missing(facts["missing"])}
<h2>What was done in the period</h2>
<p>The population to sample from (SOC 2): all {len(facts["entries"])} entries of the ledger in the period but those of
starts and of statements like this one. The JSON file with the same name has the proof of each.</p>
{_table(("entry", "kind", "when", "by", "facts"), (_entry(one) for one in facts["entries"]))}
<h2>Check it</h2>
<p>This statement is entry {evidence["statement"]["index"]} of the ledger.
<code>calledger verify FILE.json --key VKEY</code> checks it, and the proof of every entry above, with neither server
nor database. Compare the verifier key below with the one that you were given by another way.</p>
<pre>{escape(evidence["checkpoint"])}</pre>
<p><code>{escape(evidence["key"])}</code></p>
</body>
</html>
"""


def _verdict(checks: Iterable[Mapping[str, Any]]) -> str:
    failed = [one["title"] for one in checks if not one["holds"]]
    if not failed:
        return '<span class="met">Every requirement below is met.</span>'
    return f'<span class="fails">NOT met: {escape("; ".join(failed))}.</span>'


def _backups(days: int) -> str:
    if days == 0:
        return "The operator declares no backups of the keyring: a destroyed key is gone at once."
    return f"A destroyed key leaves the keyring's backups within {days} days, as the operator declares."


def _finding(one: Mapping[str, Any]) -> list[str]:
    met = "yes" if one["holds"] else '<span class="fails">NO</span>'
    return [escape(one["title"]), met, escape(one["finding"])]


def _entry(one: Mapping[str, Any]) -> list[str]:
    facts = f"<code>{escape(json.dumps(one['facts'], sort_keys=True))}</code>"
    return [_text(one["index"]), _text(one["kind"]), _time(one["recorded_at"]), _text(one["actor"]), facts]


def _missing(missing: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(protection)}</li>" for protection in missing)
    return f"<h2>What is missing here</h2><ul>{items}</ul>" if items else ""


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, value: Any) -> str:  # noqa: ANN401 - JSON
    return _time(value) if name in _TIMES and value is not None else _text(value)


def _time(moment: str) -> str:
    """A time to the second for people, with the exact one for programs."""
    return f'<time datetime="{escape(moment)}">{escape(moment[:19].replace("T", " "))} UTC</time>'


def _text(value: object) -> str:
    return "-" if value is None else escape(str(value))
