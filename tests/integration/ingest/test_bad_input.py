"""Bad input of every format: what is wrong costs itself or its row, in words, and never its neighbours; what is stored
is stored once, and can be read back.
"""

import asyncio
import gzip
import io
import json
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from bad_rows import FORMS, NOW, Form, spoilt
from gateway import MAX_BODY_BYTES, Gateway, gateway_to
from ingesting import ANYONE, Ingest, ingesting
from litellm_entry import ENTRY
from tracing import as_json, chat, export

from policies import Report, Role
from service.access.principal import Principal
from service.ingest.formats.split import Rejection
from service.ingest.pipeline.writer import as_read
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult, Status

PATHS: Final = ("/v1/calls", "/v1/litellm", "/v1/traces", "/api/public/otel/v1/traces")


@pytest.fixture
async def ingest(database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(database_url, tmp_path) as ingest:
        yield ingest


@pytest.fixture
async def gateway(ingest: Ingest) -> AsyncIterator[Gateway]:
    async with gateway_to(ingest) as gateway:
        yield gateway


async def submitted(
    ingest: Ingest, form: Form, rows: list[bytes], principal: Principal = ANYONE
) -> list[tuple[Report | Rejection, RowResult]]:
    """Each row as it was read, with what became of it."""
    reports = [form.read(row) for row in rows]
    results = await ingest.writer.submit(reports, as_read, principal, source=form.source, wait_for_room=True)
    return list(zip(reports, results, strict=True))


async def test_each_value_of_each_format_may_be_anything(ingest: Ingest) -> None:
    """Every field of every format by every odd value, between good rows: all good ones are stored, each bad one is or
    says why not, amounts that are stored add up, and all that is stored is a duplicate when it comes again.
    """
    sums: Counter[str] = Counter()
    for name, form in FORMS.items():
        rows = list(spoilt(name))
        good = [json.dumps(form.row(f"{name}-good-{number}")).encode() for number in range(3)]
        mixed = [good[0], *rows[: len(rows) // 2], good[1], *rows[len(rows) // 2 :], good[2]]
        first = await submitted(ingest, form, mixed)
        ends = {row: result for row, (_, result) in zip(mixed, first, strict=True)}
        assert [ends[row].status for row in good] == [Status.ACCEPTED] * 3, (name, ends[good[0]])
        for row, (report, result) in zip(mixed, first, strict=True):
            assert result.code is not Refusal.NOT_STORED, (name, row[:500])
            assert result.code is not Refusal.DATABASE_REFUSED, (name, row[:500])
            if result.code is not None:
                assert result.reason or result.status is Status.CONFLICT, (name, row[:500])
            if result.status is Status.ACCEPTED and isinstance(report, Report) and report.amount is not None:
                assert report.amount.is_finite() and report.currency
                sums[report.currency] += report.amount
        known = {Status.ACCEPTED, Status.DUPLICATE, Status.COMPLETED, Status.CONFLICT, Status.SKIPPED, Status.REJECTED}
        again = await submitted(ingest, form, mixed)
        for row, (_, before), (_, result) in zip(mixed, first, again, strict=True):
            assert before.status in known
            if before.status is Status.ACCEPTED:
                assert result.status is Status.DUPLICATE, (name, row[:500], result)
    stored = await ingest.fetch("SELECT currency, sum(amount) AS sum FROM call WHERE amount_source = 2 GROUP BY 1")
    assert stored and all(isinstance(row["sum"], Decimal) and row["sum"].is_finite() for row in stored)


@pytest.mark.parametrize("name", FORMS)
async def test_ten_megabytes_in_one_value_cost_no_more_than_that(name: str) -> None:
    """Each field as a text of ten megabytes: a report that holds no more of it than may be stored, or a rejection."""
    form, text = FORMS[name], "y" * 10_000_000
    for field in list(form.rows[0]):
        row = json.dumps(form.row("long") | {field: text}).encode()
        tracemalloc.start()
        outcome = form.read(row)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * len(row), (field, peak)
        said = outcome.reason if isinstance(outcome, Rejection) else repr(outcome.tags) + repr(outcome.warnings)
        assert len(said) < 100_000, field


async def test_rows_of_other_accounts_are_refused_beside_one_s_own(ingest: Ingest) -> None:
    """A key of one account: rows of ours that name another are refused, and what another gateway calls its owner is no
    account then; those between are stored there, and nothing anywhere else.
    """
    accounts = await ingest.accounts.ensure(["acme", "other"])
    principal = Principal("testkey3", Role.INGEST, (accounts["acme"],))
    mine, other = ({"user_api_key_org_id": one} for one in ("acme", "other"))
    pairs = {
        "native": ({"account": "acme"}, {"account": "other"}),
        "litellm callback": ({"metadata": mine}, {"metadata": other}),
        "litellm": ({"organization_id": "acme"}, {"organization_id": "other"}),
        "bifrost": ({"customer_id": "acme"}, {"customer_id": "other"}),
        "agentgateway": ({"agentgateway_group": "acme"}, {"agentgateway_group": "other"}),
        "csv": ({"Customer": "acme"}, {"Customer": "other"}),
    }
    for name, (own, foreign) in pairs.items():
        form = FORMS[name]
        rows = [form.row(f"mixed-{name}-{number}") | (foreign if number % 2 else own) for number in range(4)]
        found = await submitted(ingest, form, [json.dumps(row).encode() for row in rows], principal)
        foreign_code = Refusal.ACCOUNT_NOT_ALLOWED if name in ("native", "csv") else None
        assert [result.code for _, result in found] == [None, foreign_code] * 2, name
    assert await ingest.value("SELECT count(*) FROM call WHERE account_id <> $1", accounts["acme"]) == 0


async def test_one_id_twice_in_a_body(ingest: Ingest) -> None:
    """In one body: the same call again is a duplicate, another one of its id a conflict, and both are told."""
    for name, form in FORMS.items():
        row = form.row(f"twice-{name}")
        changed = {"new-api": {"quota": 99_999}, "one-api": {"quota": 99_999}}.get(name, {})
        body = [json.dumps(one).encode() for one in (row, row, row | changed)]
        ends = [result.status for _, result in await submitted(ingest, form, body)]
        assert ends[:2] == [Status.ACCEPTED, Status.DUPLICATE], name
        assert ends[2] is (Status.CONFLICT if changed else Status.DUPLICATE), name


def rows_of(path: str) -> bytes:
    """One call as a body of this path."""
    if path.endswith("traces"):
        return as_json(export(chat(at=NOW)))
    start = NOW.timestamp()
    if path == "/v1/litellm":
        return json.dumps([ENTRY | {"startTime": start, "endTime": start + 1, "completionStartTime": start}]).encode()
    return json.dumps([FORMS["native"].rows[0]]).encode()


BODIES: Final = {
    "gzip cut short": (lambda body: gzip.compress(body)[:-9], "gzip", 400),
    "gzip damaged": (lambda body: gzip.compress(body)[:20] + b"\0" * 40, "gzip", 400),
    "gzip that is none": (lambda body: body, "gzip", 400),
    "members": (lambda body: gzip.compress(body) + gzip.compress(body), "gzip", 400),
    "many members": (lambda body: gzip.compress(body) + gzip.compress(b"") * 20_000, "gzip", 400),
    "bomb": (lambda _: gzip.compress(b" " * MAX_BODY_BYTES), "gzip", 413),
    "bomb in a bomb": (lambda _: gzip.compress(gzip.compress(b" " * 2**26)), "gzip", 400),
    "too large": (lambda _: b" " * (MAX_BODY_BYTES + 1), None, 413),
    "other encoding": (lambda body: body, "br", 415),
    "garbage": (lambda _: b"\x00\xff\xfe garbage", None, 400),
    "cut short": (lambda body: body[: len(body) // 2], None, 400),
    "deep": (lambda _: b"[" * 200_000, None, 400),
}


@pytest.mark.parametrize("path", PATHS)
async def test_bodies_that_are_none_are_refused_whole(gateway: Gateway, path: str) -> None:
    """On each path, by each way to be none, with a status that says not to send it again, and a reason without a word
    of it; nothing of it is stored, and the call is taken when it comes as it should.
    """
    good, media = rows_of(path), {"Content_Type": "application/json"}
    for kind, (make, encoding, status) in BODIES.items():
        sent = media if encoding is None else media | {"Content_Encoding": encoding}
        got, answer, _ = await gateway.post(io.BytesIO(make(good)), path, **sent)
        assert (kind, got) == (kind, status)
        assert "message" in answer or answer["error"]["message"]
        assert "garbage" not in json.dumps(answer)
    assert await gateway.ingest.value("SELECT count(*) FROM call") == 0
    status, answer, _ = await gateway.post(gzip.compress(good), path, **media, Content_Encoding="gzip")
    assert status == 200 and await gateway.ingest.value("SELECT count(*) FROM call") == 1, answer


async def test_a_body_that_breaks_off_is_sent_again(gateway: Gateway) -> None:
    """A connection that is reset in the middle of a body stores nothing of it; whole, it is stored once."""
    for path in PATHS:
        body = rows_of(path)
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nContent-Length: {len(body)}\r\n"
        )
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body[:-5])
        await writer.drain()
        writer.transport.abort()
        assert (await gateway.post(body, path, Content_Type="application/json"))[0] == 200
    # The alias of the traces is the same way, so that its span is known.
    assert await gateway.ingest.value("SELECT count(*) FROM call") == 3
