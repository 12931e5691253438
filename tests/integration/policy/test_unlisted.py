"""Tags and request parameters that were taken off the policy's lists: older rows keep them, and show them to nobody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from compiled_operations import COMPILED, ORDINARY, answer_bytes
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails, Parameter, ParameterAction
from policies.policy.model import ParameterRule, Policy, Role, View
from service.query.model.scope import Scope

LIST = """query ($tags: [TagFilter!], $not: [TagFilter!]) {
  all: calls(first: 9) { nodes { sourceId tags { key value } } }
  some: calls(filter: {tags: $tags}) { totalCount }
  others: calls(filter: {not: {tags: $not}}) { totalCount }
  costs(filter: {tags: $tags}) { totals { calls } }
}"""
ERRORS = "{ errors { nodes { disclosure message parameters { name value action } } } }"
DETAILS = ErrorDetails(
    ("failed",),
    {
        "temperature": Parameter(ParameterAction.KEPT, ("0.2",)),
        "top_p": Parameter(ParameterAction.KEPT, ("1",)),
        "messages": Parameter(ParameterAction.SHAPED, ('{"count":1}',)),
    },
)


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put(
            [
                StoredCall(now - timedelta(minutes=4), source_id="both", tags={"team": "search", "app": "web"}),
                StoredCall(now - timedelta(minutes=3), source_id="old", tags={"app": "web"}),
                StoredCall(now - timedelta(minutes=2), source_id="none"),
                StoredCall(
                    now - timedelta(minutes=1), source_id="failed", failed=True, error=StoredError(details=DETAILS)
                ),
            ]
        )
        yield seeded


async def answers(seeded: SeededLedger, scope: Scope, query: str, **variables: Any) -> dict[str, Any]:
    """What both paths answer."""
    found = [
        orjson.loads(await answer_bytes(seeded, schema, scope, query, variables)) for schema in (ORDINARY, COMPILED)
    ]
    assert found[0] == found[1]
    assert found[0][1] == []
    return found[0][0]


def without(policy: Policy, *keys: str) -> Policy:
    return replace(policy, tag_keys=policy.tag_keys - {*keys}, tag_dimensions=policy.tag_dimensions - {*keys})


async def test_a_tag_off_the_list_is_shown_to_nobody_and_asked_by_nobody(seeded: SeededLedger) -> None:
    """It stands in no call, matches no filter, and the other tags are as they were."""
    asked = {"tags": [{"key": "app", "value": {"eq": "web"}}], "not": [{"key": "app"}]}
    listed = await answers(seeded, seeded.scope(Role.ADMIN), LIST, **asked)
    unlisted = await answers(seeded, seeded.scope(Role.ADMIN, policy=without(seeded.policy, "app")), LIST, **asked)

    web, search = {"key": "app", "value": "web"}, {"key": "team", "value": "search"}
    assert [node["tags"] for node in listed["all"]["nodes"]] == [None, None, [web], [web, search]]
    assert (listed["some"]["totalCount"], listed["others"]["totalCount"]) == (2, 2)
    assert [node["tags"] for node in unlisted["all"]["nodes"]] == [None, None, None, [search]]
    assert (unlisted["some"]["totalCount"], unlisted["others"]["totalCount"]) == (0, 4)
    assert [total["calls"] for total in listed["costs"]["totals"]] == ["2"]
    assert [total["calls"] for total in unlisted["costs"]["totals"]] in ([], ["0"])


async def test_its_key_is_hidden_where_values_are_masked_too(seeded: SeededLedger) -> None:
    """A role that sees tags masked sees the keys of the list alone."""
    policy = without(seeded.policy, "app")
    rule = policy.roles[Role.VIEWER]
    roles = {**policy.roles, Role.VIEWER: replace(rule, fields={**rule.fields, "Tag.value": View.MASKED})}
    scope = seeded.scope(Role.VIEWER, policy=replace(policy, roles=MappingProxyType(roles)))

    found = await answers(seeded, scope, "{ calls { nodes { tags { key } } } }")

    assert [node["tags"] for node in found["calls"]["nodes"]] == [None, None, None, [{"key": "team"}]]


async def test_a_parameter_off_the_list_is_not_shown(seeded: SeededLedger) -> None:
    """Nor its name; of one that is listed by its shape only from now on, no value is."""
    rules = {**seeded.policy.parameters, "top_p": ParameterRule("top_p", shape=True)}
    del rules["temperature"]
    policy = replace(seeded.policy, parameters=MappingProxyType(rules))

    [before] = (await answers(seeded, seeded.scope(Role.ADMIN), ERRORS))["errors"]["nodes"]
    [after] = (await answers(seeded, seeded.scope(Role.ADMIN, policy=policy), ERRORS))["errors"]["nodes"]

    shape = {"name": "messages", "value": '{"count":1}', "action": "SHAPED"}
    assert {parameter["name"] for parameter in before["parameters"]} == {"messages", "temperature", "top_p"}
    assert sorted(after["parameters"], key=lambda parameter: parameter["name"]) == [
        shape,
        {"name": "top_p", "value": None, "action": "DROPPED"},
    ]
    assert (after["message"], after["disclosure"]) == ("failed", "MASKED")
