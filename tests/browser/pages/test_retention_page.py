"""The console's page of retention, as an auditor sees it; the ledger is verified in the browser, a tampered one too."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from console import assert_accessible_everywhere, signed_in
from playwright.async_api import Browser, Page, Route, expect
from running import RunningService

from policies.evidence.attestation import statement_digest


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("retention") / "data")
    begun = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="milliseconds")
    call = {"id": "c1", "started_at": begun, "account": "acme", "model": "m", "status": "succeeded"}
    running.report(running.admin_key, call)
    running.ask(
        running.admin_key,
        'mutation { placeHold(input: {name: "case 7", owner: "legal", reason: "a claim", classes: [OPERATIONAL],'
        ' scope: {account: "acme"}}) { hold { id } } }',
    )
    assert running.command("ledger", "checkpoint").returncode == 0
    yield running
    running.stop()


@pytest.fixture(scope="module")
def auditor(service: RunningService) -> str:
    return service.new_key("auditor")


@pytest.fixture(scope="module")
def checkpoint(service: RunningService, auditor: str) -> str:
    """A signed checkpoint that covers the auditor's own key too, as an auditor would keep it."""
    done = service.command("ledger", "checkpoint")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def verifier_key(service: RunningService) -> str:
    return service.command("ledger", "key").stdout.strip()


async def verify(page: Page, key: str, kept: str = "") -> None:
    await expect(page.get_by_role("table", name="Entries of the ledger")).to_be_visible()
    await page.get_by_label("Verifier key").fill(key)
    await page.get_by_label("A checkpoint that you kept").fill(kept)
    await page.get_by_role("button", name=re.compile("Verify .* entries")).click()


async def test_the_browser_verifies_the_ledger(
    service: RunningService, auditor: str, checkpoint: str, verifier_key: str, browser: Browser
) -> None:
    """Each entry is proved by the newest checkpoint, which the key signed and which continues the one that was kept."""
    async with signed_in(browser, service.url, auditor, "retention?part=ledger&range=24h") as page:
        await verify(page, verifier_key, checkpoint)
        verdict = page.locator(".verdict")
        await expect(verdict).to_have_class(re.compile("verdict-good"))
        await expect(verdict).to_contain_text("Nothing was changed or removed that your checkpoint covers.")
        table = page.get_by_role("table", name="Entries of the ledger")
        await expect(table.get_by_text("verified", exact=True).nth(3)).to_be_visible()
        await expect(table.locator("tr", has_text="HOLD_PLACED")).to_contain_text("case 7")
        origin, size, root, *rest = checkpoint.split("\n")
        another = ("B" if root.startswith("A") else "A") + root[1:]
        await page.get_by_label("A checkpoint that you kept").fill(f"{origin}\r\n" + "\n".join([size, another, *rest]))
        await page.get_by_role("button", name=re.compile("Verify .* entries")).click()
        await expect(verdict).to_have_class(re.compile("verdict-bad"))


@pytest.mark.parametrize("tampered", ["leaf", "checkpoint", "proof", "key"])
async def test_what_was_tampered_with_is_not_verified(
    service: RunningService, auditor: str, checkpoint: str, verifier_key: str, browser: Browser, tampered: str
) -> None:
    """An entry, a checkpoint or a proof that is changed on its way, and a key of somebody else, are each told."""
    assert checkpoint

    async def change(route: Route) -> None:
        answer = await route.fetch()
        text = await answer.text()
        body: dict[str, Any] = json.loads(text)
        data = body.get("data") or {}
        if tampered == "leaf" and "ledger" in data:
            for node in data["ledger"]["nodes"]:
                leaf = base64.b64decode(node["leaf"]).replace(b'"actor":"', b'"actor":"x')
                node["leaf"] = base64.b64encode(leaf).decode()
        if tampered == "checkpoint" and "checkpoint" in data:
            size = data["checkpoint"]["size"]
            data["checkpoint"]["note"] = data["checkpoint"]["note"].replace(f"\n{size}\n", f"\n{int(size) + 1}\n")
        if tampered == "proof" and "inclusionProof" in data:
            data["inclusionProof"]["hashes"] = data["inclusionProof"]["hashes"][::-1]
        await route.fulfill(response=answer, body=json.dumps(body))

    async with signed_in(browser, service.url, auditor, "retention?part=kept&range=24h") as page:
        await page.route("**/graphql", change)
        await page.get_by_text("Ledger", exact=True).click()
        other = verifier_key[:-6] + ("AAAA" if verifier_key[-6:-2] != "AAAA" else "BBBB") + verifier_key[-2:]
        await verify(page, other if tampered == "key" else verifier_key)
        verdict = page.locator(".verdict")
        await expect(verdict).to_contain_text("NOT verified")
        await expect(verdict).to_have_class(re.compile("verdict-bad"))


async def test_an_auditor_finds_what_is_kept_destroyed_and_held(
    service: RunningService, auditor: str, browser: Browser
) -> None:
    """Classes with their windows, a hold with its entry, the policy with what each role gets, and a bundle."""
    async with signed_in(browser, service.url, auditor, "retention") as page:
        classes = page.get_by_role("table", name="Classes of data")
        await expect(classes.locator("tr", has_text="Billing").first).to_contain_text("400 d")
        await expect(page.locator(".figure", has_text="Overdue rows")).to_contain_text("OK")
        await page.get_by_text("Purges, holds, erasures").click()
        await expect(page.get_by_role("table", name="Legal holds")).to_contain_text("case 7")
        await expect(page.get_by_text("Nobody asked for an erasure.")).to_be_visible()
        await page.get_by_text("Policy", exact=True).click()
        await page.get_by_placeholder("Find a field").fill("call.user")
        rows = page.get_by_role("table", name="Fields, and what each role gets").locator("tbody tr")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("pseudonym")
        await page.get_by_text("Evidence", exact=True).click()
        await page.get_by_role("button", name="Make a bundle").click()
        async with page.expect_download() as waiting:
            await page.get_by_role("link", name=re.compile("Download")).click()
        path = await (await waiting.value).path()
        assert json.loads(path.read_text().splitlines()[0])["format"] == "calledger-evidence/1"


async def test_entries_are_in_words_and_whole_where_that_is_asked(
    service: RunningService, auditor: str, browser: Browser
) -> None:
    """What happened is said in the reader's language beside the entry's own name; values that are cut can be had whole;
    the time is that of the ledger, and of no other part of the page.
    """
    english = ("en", "Hold placed", "Whole values", "Time", "What is kept")
    chinese = ("zh-CN", "设置保全", "完整的值", "时间", "保留情况")
    for language, kind, whole, time, other in (english, chinese):
        path = "retention?part=ledger&range=24h"
        async with signed_in(browser, service.url, auditor, path, language=language) as page:
            entry = page.locator("tbody tr", has_text="HOLD_PLACED")
            await expect(entry).to_contain_text(kind)
            cut = page.locator("tbody tr", has_text="POLICY_APPLIED").locator("code", has_text="sha256:").first
            await expect(cut).to_contain_text("…")
            await page.get_by_role("button", name=whole).click()
            await expect(cut).to_have_text(re.compile("^sha256:[0-9a-f]{64}$"))
            ranges = page.locator(".range-text")
            await expect(ranges).to_have_count(1)
            await page.get_by_text(other, exact=True).click()
            await expect(page.locator(".plain-table")).to_be_visible()
            await expect(ranges, f"{time} is of the ledger alone").to_have_count(0)


async def downloaded(page: Page, name: str) -> Path:
    """The file behind a link of this name, as the browser has saved it."""
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name=re.compile(name)).first.click()
    return await (await waiting.value).path()


async def verified_alone(service: RunningService, folder: Path, file: Path, *given: str) -> tuple[int, str]:
    """Exit code and words of the verifier that is one file, which has nothing of ours but what is in it."""
    program = folder / "verify.py"
    if not program.exists():
        program.write_text((await asyncio.to_thread(service.command, "ledger", "verifier")).stdout)
    command = [sys.executable, "-I", str(program), str(file), *given]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_what_an_auditor_takes_away_verifies_without_us(
    service: RunningService, auditor: str, verifier_key: str, browser: Browser, tmp_path: Path
) -> None:
    """A bundle and a statement, asked for and downloaded in the browser, are accepted by the verifier of one file with
    the auditor's key, and by no other; a byte that is changed is found.
    """
    other = verifier_key[:-8] + ("AAAA" if verifier_key[-8:-4] != "AAAA" else "BBBB") + verifier_key[-4:]
    async with signed_in(browser, service.url, auditor, "retention?part=evidence") as page:
        await page.get_by_role("button", name="Make a bundle").click()
        files = [await downloaded(page, r"Download \(")]
        await page.get_by_role("button", name="Make a statement").click()
        await expect(page.get_by_role("table", name="Statements of retention")).to_be_visible()
        await expect(page.get_by_role("link", name="Download the statement")).to_have_count(1, timeout=240_000)
        files.append(await downloaded(page, "Download the statement"))
        # Links end after an hour: older ones are asked for anew.
        await page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3_600_000 }")
        for name in (r"Download \(", "Download the statement"):
            link = page.get_by_role("link", name=re.compile(name)).first
            before = await link.get_attribute("href")
            files.append(await downloaded(page, name))
            await expect(link).not_to_have_attribute("href", before or "")
        for file in files:
            code, said = await verified_alone(service, tmp_path, file, "--key", verifier_key)
            assert (code, said.splitlines()[0]) == (0, "verified: signed by the key you gave"), said
            assert (await verified_alone(service, tmp_path, file, "--key", other))[0] == 1
            altered = tmp_path / "altered"
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            altered.write_bytes(data)
            assert (await verified_alone(service, tmp_path, altered))[0] == 1


async def test_the_page_says_what_came_of_statements(
    service: RunningService, auditor: str, browser: Browser, tmp_path: Path
) -> None:
    """The newest first: who made it, what of it is not met, its entry and digest; and that it is what somebody kept."""
    file = tmp_path / "statement.json"
    await asyncio.to_thread(service.command, "attest", str(file))
    statement = json.loads(file.read_text())
    unmet = sum(not one["holds"] for one in statement["statement"]["checks"])
    async with signed_in(browser, service.url, auditor, "retention?part=evidence") as page:
        row = page.get_by_role("table", name="Statements of retention").locator("tbody tr").first
        await expect(row).to_contain_text("cli")
        await expect(row.locator(".badge")).to_have_text(
            "all requirements met" if unmet == 0 else re.compile(f"{unmet} requirements? NOT met")
        )
        await expect(row).to_contain_text(f"#{statement['evidence']['statement']['index']}")
        await expect(row.locator("code[title]")).to_have_attribute("title", statement_digest(statement["statement"]))
        await expect(page.get_by_text("What is listed is what the operator made and kept.")).to_be_visible()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": "FAILED", "unmet": None, "failure": "the disk is full"}, "Failed the disk is full"),
        ({"unmet": 2}, "2 requirements NOT met"),
        ({"state": "RUNNING", "checks": 38, "checksDone": 7}, "7 of 38 checks"),
        ({"state": "QUEUED"}, "Waits for the service"),
        ({"unmet": 0}, "all requirements met"),
    ],
    ids=["failed", "not met", "running", "queued", "met"],
)
async def test_each_outcome_is_told_apart(
    service: RunningService, auditor: str, browser: Browser, changed: dict[str, Any], said: str
) -> None:
    """What failed and what finds something wrong is red, and only what meets everything is green."""
    node = {
        "id": "att_a", "state": "DONE", "requestedAt": "2026-11-30T10:00:00Z", "requestedBy": "cli", "days": 92,
        "checks": None, "checksDone": None, "unmet": None, "digest": None, "ledgerIndex": None, "checkpointSize": None,
        "signedUrl": None, "failure": None, "__typename": "Attestation",
    }  # fmt: skip

    async def change(route: Route) -> None:
        if "query Statements" not in (route.request.post_data or ""):
            await route.fallback()
            return
        page_info = {"hasNextPage": False, "endCursor": None, "__typename": "PageInfo"}
        listed = {"nodes": [node | changed], "pageInfo": page_info, "__typename": "AttestationConnection"}
        await route.fulfill(json={"data": {"attestations": listed}})

    async with signed_in(browser, service.url, auditor, "retention?part=kept") as page:
        await page.route("**/graphql", change)
        await page.get_by_text("Evidence", exact=True).click()
        row = page.get_by_role("table", name="Statements of retention").locator("tbody tr")
        await expect(row).to_contain_text(said)
        is_red, is_green = "NOT met" in said or "Failed" in said, said == "all requirements met"
        await expect(row.locator(".badge-bad")).to_have_count(int(is_red))
        await expect(row.locator(".badge-good")).to_have_count(int(is_green))


async def test_a_viewer_sees_of_it_what_a_viewer_may(service: RunningService, browser: Browser) -> None:
    """A viewer has retention and the policy, no ledger and no holds; one that reports has no such page."""
    viewer = await asyncio.to_thread(service.new_key, "viewer")
    async with signed_in(browser, service.url, viewer, "retention?part=ledger") as page:
        await expect(page.get_by_role("table", name="Classes of data")).to_be_visible()
        await expect(page.locator(".choice-option").filter(has_text="Ledger")).to_have_count(0)
    ingest = await asyncio.to_thread(service.new_key, "ingest")
    async with signed_in(browser, service.url, ingest, "retention") as page:
        await expect(page.get_by_text("The role Ingest may not see this page.")).to_be_visible()


@pytest.mark.parametrize("part", ["kept", "gone", "ledger", "evidence", "policy"])
async def test_retention_is_accessible(service: RunningService, auditor: str, browser: Browser, part: str) -> None:
    """axe-core finds nothing in any part, in both themes and languages, and on a phone."""
    ready = ".statements" if part == "evidence" else ".plain-table"  # there may be no statement yet
    await assert_accessible_everywhere(browser, service.url, auditor, f"retention?part={part}", ready)
