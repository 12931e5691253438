"""Compiled operations over HTTP: the same bytes, the same status and the same limits as on the ordinary path."""

from typing import Any

import orjson
import pytest
from http_server import Served, serve
from rows import SeededLedger, StoredCall

from policies.policy.model import Role
from service.api.compiled.operations import DOCUMENT_CHARACTERS_MAX, DOCUMENTS_MAX
from service.api.execution.limits import Bucket
from service.api.schema import build_schema

QUERY = """query Page($account: String!, $size: Int) { calls(first: $size, filter: {account: {eq: $account}}) {
  nodes { id startedAt model amount { amount } error { message } } pageInfo { hasNextPage endCursor } totalCount } }"""


def _compiled() -> Any:
    compiled = build_schema().compiled
    assert compiled is not None
    return compiled


async def _post(served: Served, key: str, accept: str = "application/json", **body: Any) -> tuple[int, dict, bytes]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": accept}
    headers["X-Request-Id"] = "the-same"
    async with served.session.post(served.url, data=orjson.dumps(body), headers=headers) as answer:
        names = ("Content-Type", "Cache-Control", "Retry-After")
        return answer.status, {name: answer.headers.get(name) for name in names}, await answer.read()


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize(
    "variables", [{"account": "acme", "size": 2}, {"account": "acme"}, {"account": "acme", "size": 0}, {}, None]
)
async def test_the_second_answer_is_the_first(
    seeded: SeededLedger, accept: str, variables: dict[str, Any] | None
) -> None:
    """A document's second answer, which is compiled, has status, headers and bytes of its first, mistakes included."""
    query = QUERY + f" # {accept} {variables}"
    async with serve(seeded, rate_limit_per_minute=0) as served:
        key = await served.key(Role.VIEWER)
        await _post(served, key, accept, query=query, variables={"account": "acme"})
        before = _compiled().answered
        compiled = await _post(served, key, accept, query=query, variables=variables)
        used = _compiled().answered > before
        # A field more than usual, and Strawberry's view has the request; an own comment, and the document is new.
        ordinary = await _post(served, key, accept, query=query + "#", variables=variables, extensions={})
    assert compiled == ordinary
    assert used is bool(variables)


async def test_a_revoked_view_ends_at_once(seeded: SeededLedger) -> None:
    """What one role may ask is not remembered for another: the same document is refused to the role that may not."""
    async with serve(seeded, rate_limit_per_minute=0) as served:
        viewer, auditor = await served.key(Role.VIEWER), await served.key(Role.AUDITOR)
        body = {"query": QUERY, "variables": {"account": "acme"}}
        for _ in range(3):
            assert b'"data"' in (await _post(served, viewer, **body))[2]
            assert b"FORBIDDEN" in (await _post(served, auditor, **body))[2]


async def test_another_account_stays_out_of_reach(seeded: SeededLedger) -> None:
    """A compiled document asked by keys of different accounts answers each its own rows, and no others."""
    await seeded.put([StoredCall(await seeded.now(), account="globex", source_id="theirs")])
    numbers = [await seeded.accounts.find(name) for name in ("acme", "globex")]
    query = "{ calls { nodes { account sourceId } } }"
    async with serve(seeded, rate_limit_per_minute=0) as served:
        keys = [await served.key(Role.PARTNER, number or 0) for number in numbers]
        for _ in range(3):
            for key, name in zip(keys, ("acme", "globex"), strict=True):
                _, _, answer = await _post(served, key, query=query)
                nodes = orjson.loads(answer)["data"]["calls"]["nodes"]
                assert {node["account"] for node in nodes} == {name}


async def test_cost_is_charged_as_ever(seeded: SeededLedger) -> None:
    """A key that has spent its cost is refused on the compiled path too, with the time to wait."""
    async with serve(seeded, rate_limit_per_minute=1000) as served:
        key = await served.key(Role.VIEWER)
        answers = [await _post(served, key, query=QUERY, variables={"account": "acme"}) for _ in range(40)]
    assert b"THROTTLED" in answers[-1][2]
    assert answers[-1][1]["Retry-After"] is not None
    spent = [orjson.loads(body)["extensions"]["cost"] for _, _, body in answers if b'"data"' in body]
    assert len({(cost["requestedQueryCost"], cost["actualQueryCost"]) for cost in spent}) == 1


async def test_nothing_is_charged_twice(seeded: SeededLedger) -> None:
    """A value that only the ordinary path may answer (none where one is promised) costs what it costs there."""
    parts: list[Any] = [{"meter": None, "amount": "1"}]
    await seeded.put([StoredCall(await seeded.now(), source_id="odd", amount_parts=parts)])
    query = "{ calls(first: 20) { nodes { sourceId amountParts { meter } } } }"
    left, answers = [], []
    for schema in (build_schema(compiled=False), build_schema(), build_schema()):
        bucket = Bucket(1000)
        bucket.per_second = 0
        context = seeded.context(bucket=bucket)
        result = await schema.execute(query, context_value=context)
        left.append(bucket.available)
        answers.append((result.data, result.extensions, [error.path for error in result.errors or []]))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][2] == [["calls", "nodes", 0, "amountParts", 0, "meter"]]
    assert left[0] == left[1] == left[2] < 1000


async def test_what_is_remembered_is_bounded(seeded: SeededLedger) -> None:
    """However many documents are sent, and however long, no more than a fixed number of bounded ones is kept."""
    for index in range(DOCUMENTS_MAX + 20):
        await seeded.data(f"{{ calls(first: 1) {{ a{index}: totalCount }} }}")
    await seeded.data("{ calls(first: 1) { totalCount } }" + " " * DOCUMENT_CHARACTERS_MAX)
    documents = _compiled()._documents
    assert len(documents) == DOCUMENTS_MAX
    assert max(map(len, documents)) <= DOCUMENT_CHARACTERS_MAX
