"""What ariadne-codegen has made of the schema and of the documents of docs/frontends.md, run against a service."""

import asyncio
import json
import os

from ledger_client import CallFilter, Ledger
from ledger_client.base_model import UNSET
from ledger_client.exceptions import GraphQLClientGraphQLMultiError


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['CALLEDGER_KEY']}"}
    async with Ledger(f"{os.environ['CALLEDGER_URL']}/graphql", headers) as ledger:
        chosen = CallFilter.model_validate({"account": {"eq": "acme"}})
        ids, after = [], UNSET
        for _ in range(3):
            page = (await ledger.page(filter_=chosen, first=5, after=after)).calls
            assert page is not None
            ids += [call.id for call in page.nodes]
            after = page.page_info.end_cursor
        totals = (await ledger.totals(filter_=chosen)).costs
        old = CallFilter.model_validate(
            {"startedAt": {"gte": "2000-01-01T00:00:00Z", "lt": "2001-01-01T00:00:00Z"}, "tags": [{"key": "team"}]}
        )
        codes = []
        try:
            await ledger.costs(now=chosen, before=old)
        except GraphQLClientGraphQLMultiError as error:
            codes = [one.extensions["code"] for one in error.errors]
            assert error.data and error.data["now"]["totals"]
        first = (await ledger.one_call(id=ids[0])).call
        assert totals is not None and first is not None
        amounts = [type(one.amount.amount).__name__ for one in totals.totals if one.amount]
        moment = type(first.started_at).__name__
    print(json.dumps({"ids": ids, "amounts": amounts, "moment": moment, "codes": codes}))


asyncio.run(main())
