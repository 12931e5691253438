"""The forms in which clients send the same page, each beside the hand-written page of the same content.

`scalars` is what the other programs ask for too. `object` has the whole filter in one variable. `relay` is what
relay-compiler's runtime sends: an input object with nulls for what is not set, `edges` with cursors, `__typename` on
every object. `status` and `model` filter further, and `later` is the page behind a cursor.
"""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_FIELDS: Final = "id startedAt model provider apiKey status inputTokens outputTokens latencyMs"
_NODE: Final = f"{_FIELDS} amount {{ amount currency }}"
_PAGE: Final = f"{{ nodes {{ {_NODE} }} pageInfo {{ hasNextPage endCursor }} }}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page: the newest 50 calls of an account before a moment; `model` is one that the account often calls."""

    account: str
    number: int
    before: str
    model: str = ""

    @property
    def filter(self) -> dict[str, Any]:
        """The page's filter, as a variable."""
        return {"account": {"eq": self.account}, "startedAt": {"lt": self.before}}


@dataclass(frozen=True, slots=True)
class Form:
    """A way to ask: the document, its variables and what the hand-written server is asked for the same page."""

    query: str
    variables: Any
    by_hand: Any


def _by_hand(page: Wanted, **more: object) -> dict[str, Any]:
    return {"account": page.number, "before": page.before, "first": 50, **more}


FORMS: Final[Mapping[str, Form]] = {
    "scalars": Form(
        f"""query Page($account: String!, $before: DateTime!) {{
          calls(first: 50, filter: {{account: {{eq: $account}}, startedAt: {{lt: $before}}}}) {_PAGE}
        }}""",
        lambda page: {"account": page.account, "before": page.before},
        _by_hand,
    ),
    "object": Form(
        f"query Page($filter: CallFilter!) {{ calls(first: 50, filter: $filter) {_PAGE} }}",
        lambda page: {"filter": page.filter},
        _by_hand,
    ),
    "relay": Form(
        f"""query CallsPaginationQuery($count: Int = 50, $cursor: String, $filter: CallFilter) {{
          calls(first: $count, after: $cursor, filter: $filter) {{
            edges {{
              node {{ {_FIELDS} amount {{ amount currency __typename }} __typename }}
              cursor __typename
            }}
            pageInfo {{ endCursor hasNextPage __typename }}
            __typename
          }}
        }}""",
        lambda page: {
            "count": 50,
            "cursor": None,
            "filter": {**page.filter, "model": None, "provider": None, "status": None, "tags": None},
        },
        lambda page: _by_hand(page, edges=True),
    ),
    "status": Form(
        f"query Page($filter: CallFilter!) {{ calls(first: 50, filter: $filter) {_PAGE} }}",
        lambda page: {"filter": {**page.filter, "status": {"eq": "SUCCEEDED"}}},
        lambda page: _by_hand(page, status="SUCCEEDED"),
    ),
    "model": Form(
        f"query Page($filter: CallFilter!) {{ calls(first: 50, filter: $filter) {_PAGE} }}",
        lambda page: {"filter": {**page.filter, "model": {"eq": page.model}}},
        lambda page: _by_hand(page, model=page.model),
    ),
    "later": Form(
        f"""query Page($filter: CallFilter!, $after: String) {{
          calls(first: 50, after: $after, filter: $filter) {_PAGE}
        }}""",
        lambda page: {"filter": page.filter},
        _by_hand,
    ),
}


def bodies(form: Form, wanted: Sequence[Wanted]) -> tuple[list[bytes], list[bytes]]:
    """What is sent to Calledger, and what to the hand-written server."""
    ours = [json.dumps({"query": form.query, "variables": form.variables(page)}).encode() for page in wanted]
    return ours, [json.dumps(form.by_hand(page)).encode() for page in wanted]


def behind(url: str, path: str, headers: Mapping[str, str], asked: Sequence[bytes]) -> list[bytes]:
    """The same requests for the pages behind those that they ask for: each first page is asked for its cursor."""
    later = []
    for body in asked:
        request = urllib.request.Request(url + path, body, {"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=60) as answer:
            page = next(iter(json.loads(answer.read())["data"].values()))
        again = json.loads(body)
        again.get("variables", again)["after"] = page["pageInfo"]["endCursor"]
        later.append(json.dumps(again).encode())
    return later
