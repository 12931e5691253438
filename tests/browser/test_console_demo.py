"""The Logs page over the demo's data: what it shows is what the service says, to the last call and digit."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from console import PHONE, Console, Demo, console, has_parameters, texts
from playwright.async_api import Locator, expect

ROWS_MAX = 60
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
SINCE, UNTIL = (f"{MIDNIGHT + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-29, 2))
DAYS = f"from={SINCE}&to={UNTIL}"  # the demo's calls, but for those that are about to be older than 30 days
# A page further, and two frames, by which the rows of it are in the page.
_SCROLL = """async (grid) => {
  grid.scrollBy(0, grid.clientHeight - 64);
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
}"""
# The rows that are in the page, each by its place and its last cell, once all of them have come.
_ROWS = """async grid => {
  for (;;) {
    const rows = [...grid.querySelectorAll('.calls-row')]
      .map(row => [Number(row.getAttribute('aria-rowindex')), row.lastElementChild.innerText.trim()]);
    if (rows.every(([, id]) => id.startsWith('call_'))) return rows;
    await new Promise(requestAnimationFrame);
  }
}"""
GRID = "[role=grid]"
_TURNS = """async grid => {
  let made = 0;
  const rows = (nodes) => [...nodes].filter((node) => node.matches?.('.calls-row, .calls-cell')).length;
  const count = (one) => { made += rows(one.addedNodes) + rows(one.removedNodes); };
  const watched = new MutationObserver((all) => all.forEach(count));
  watched.observe(grid, { childList: true, subtree: true });
  for (let step = 0; step < 8; step++) {
    grid.scrollTop += 64;
    for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame);
  }
  return [made, grid.querySelector('[aria-owns]').getAttribute('aria-owns').split(' ')];
}"""
ROW = "[role=grid] .calls-row"


async def shown(page: Console) -> None:
    """The list is there, and complete."""
    await expect(page.page.locator(ROW).first).to_be_visible()
    await page.settled()


async def column(page: Console, name: str) -> list[str]:
    """The texts of a column, of the rows that are in the page."""
    titles = texts(await page.page.locator(f"{GRID} [role=columnheader]").all_inner_texts())
    index = titles.index(name) + 1
    return texts(await page.page.locator(f"{ROW} > [role=gridcell]:nth-child({index})").all_inner_texts())


def cell(page: Console, title: str) -> Locator:
    """The first cell that filters by what its title says."""
    return page.page.locator(f"{ROW} [role=button][title^='Filter by {title}']").first


def counted(demo: Demo, role: str, condition: str) -> int:
    """How many calls the service counts with a condition, in the days of `DAYS`."""
    time = f'startedAt: {{gte: "{SINCE}", lt: "{UNTIL}"}}'
    query = f"{{ calls(filter: {{{time}, {condition}}}) {{ totalCount }} }}"
    return demo.service.ask(demo.keys[role], query)["data"]["calls"]["totalCount"]


async def total(page: Console) -> int:
    """How many calls the page says that there are."""
    text = await page.page.locator(".summary strong").inner_text()
    return int(re.sub(r"[^0-9]", "", text))


async def test_a_cell_filters_and_the_address_says_so(demo: Demo) -> None:
    """A press on a model's cell leaves that model alone, in rows, total, chip and address; a reload and the way back
    have what was there, and a chip takes its filter back.
    """
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?{DAYS}", keep=True)
        await shown(page)
        every = await total(page)
        assert every > 10_000
        await cell(page, "Model = gpt-4o").click()
        await expect(page.page.locator(".chips .chip")).to_have_count(1)
        await expect(page.page.locator(".summary strong")).not_to_have_text(re.compile(f"^{every:,} "))
        await shown(page)
        model = (await column(page, "Model"))[0]
        assert set(await column(page, "Model")) == {model}
        await has_parameters(page.page, {"model": [model]})
        assert await total(page) == counted(demo, "viewer", f'model: {{eq: "{model}"}}')

        address = page.page.url
        await page.page.reload()
        await shown(page)
        await expect(page.page).to_have_url(address)
        assert set(await column(page, "Model")) == {model}
        await page.page.locator(".chips .chip").click()
        await expect(page.page.locator(".chips .chip")).to_have_count(0)
        await page.page.go_back()
        await expect(page.page.locator(".chips .chip")).to_have_count(1)
        await has_parameters(page.page, {"model": [model]})

        # Fields of figures follow the address, too.
        await page.page.get_by_role("button", name="Figures").click()
        least = page.page.get_by_label("Latency, at least")
        await least.fill("5")
        await least.press("Enter")
        await page.page.get_by_role("button", name="Remove the filter Latency ≥ 5").click()
        await expect(least).to_have_value("")
        await page.page.go_back()
        await expect(least).to_have_value("5")


async def test_an_alt_press_leaves_a_value_out(demo: Demo) -> None:
    """With Alt, the value is what is not wanted."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=7d")
        await shown(page)
        await cell(page, "Account = acme").click(modifiers=["Alt"])
        await expect(page.page.locator(".chips .chip")).to_have_count(1)
        await shown(page)
        await has_parameters(page.page, {"not.account": ["acme"]})
        assert "acme" not in await column(page, "Account")


async def test_an_address_opens_its_call(demo: Demo) -> None:
    """An address with a call opens it beside the list, after signing in, with what the service says of it."""
    key = demo.keys["viewer"]
    query = '{ calls(first: 1, filter: {errorType: {eq: "InternalServerError"}}) { nodes { id model } } }'
    call = demo.service.ask(key, query)["data"]["calls"]["nodes"][0]
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={quote(call['id'])}")
        drawer = page.page.locator("aside.call")
        await expect(drawer).to_contain_text(call["id"])
        await expect(drawer).to_contain_text(call["model"])
        await expect(drawer.locator("mark")).to_contain_text(["ip-address", "payment-card", "iban"])
        await page.picture("call-of-an-address")
        assert await page.barriers() == []


async def test_times_are_of_the_zone_that_is_chosen(demo: Demo) -> None:
    """UTC and the browser's zone differ by its offset, for the same calls; the choice stays for the next time."""
    async with console(demo, zone="Asia/Kolkata") as page:
        await page.sign_in("viewer", "logs?range=24h", keep=True)
        await shown(page)

        async def clocks() -> list[int]:
            """Minutes since midnight."""
            found = [re.search(r"(\d\d):(\d\d)", text) for text in await column(page, "Time")]
            return [60 * int(one[1]) + int(one[2]) for one in found if one]

        zones = page.page.get_by_role("group", name="Time zone")
        await zones.get_by_text("UTC").click()
        utc = await clocks()
        await zones.get_by_text("Local").click()
        local = await clocks()
        assert len(utc) == len(local) > 5
        assert {(after - before) % 1440 for before, after in zip(utc, local, strict=True)} == {5 * 60 + 30}
        await page.page.reload()
        await shown(page)
        assert (await clocks())[0] == local[0]


async def test_a_long_list_is_some_rows_of_the_page(demo: Demo) -> None:
    """Scrolling through thousands of calls, older ones come by their place in the list, none is there twice or left
    out, and no more than sixty rows are ever in the page.
    """
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=30d&columns=startedAt,status,model,id")
        await shown(page)
        grid = page.page.locator(GRID)
        seen: dict[int, str] = {}
        for _ in range(40):
            rows: list[list[Any]] = await grid.evaluate(_ROWS)
            assert len(rows) < ROWS_MAX
            seen.update(rows)
            await grid.evaluate(_SCROLL)
            await page.settled()
        assert len(seen) > 500
        assert sorted(seen) == list(range(2, len(seen) + 2)), "no row was left out"
        assert len(set(seen.values())) == len(seen), "no call is there twice"
        query = "{ calls(first: 200) { nodes { id } } }"
        newest = [one["id"] for one in demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"]]
        listed = [seen[index] for index in sorted(seen)]
        assert listed[:150] == newest[:150], "in the service's order"


async def test_scrolling_writes_rows_anew(demo: Demo) -> None:
    """While it scrolls, rows take turns: no element of a row is made or removed, and they are owned in their order."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=30d")
        await shown(page)
        grid = page.page.locator(GRID)
        await grid.evaluate("grid => { grid.scrollTop = 320 }")
        await page.settled()
        await page.painted()
        made, owned = await grid.evaluate(_TURNS)
        assert made == 0
        assert len(owned) > 10
        assert owned == [f"call-row-{index}" for index in range(int(owned[0][9:]), int(owned[0][9:]) + len(owned))]


async def test_the_menu_of_a_phone_closes_by_any_link(demo: Demo) -> None:
    """The link of the page that is open closes it too, and leaves the page as it is."""
    async with console(demo, size=PHONE) as page:
        await page.sign_in("viewer", "logs?range=7d&status=FAILED")
        await page.settled()
        await page.page.locator(".page-menu button").click()
        await expect(page.page.locator(".layout")).to_have_attribute("data-menu", "true")
        await page.page.locator("nav.navigation a[aria-current=page]").click()
        await expect(page.page.locator(".layout")).to_have_attribute("data-menu", "false")


async def test_a_finger_opens_calls_and_leaves_values_out(demo: Demo) -> None:
    """On a phone a press on any value opens its call: what it would filter by is said to a pointer alone. The buttons
    that leave values out are seen without one.
    """
    async with console(demo, size=PHONE) as page:
        await page.sign_in("viewer", "logs?range=7d")
        await shown(page)
        await page.page.locator(f"{ROW} [role=button]").first.tap()
        await expect(page.page.locator("aside.call .call-title")).to_be_visible()
        await expect(page.page.locator(".chips .chip")).to_have_count(0)
        await page.page.get_by_role("button", name="Close (Esc)").tap()
        await page.page.get_by_role("button", name="Filters", exact=True).tap()
        out = page.page.get_by_role("button", name="Leave out Account: acme")
        await expect(out).to_have_css("opacity", "1")
        await out.tap()
        await has_parameters(page.page, {"not.account": ["acme"]})


async def test_a_call_is_told_whole_and_its_link_copied(demo: Demo) -> None:
    """Who reported it and the gateway's own word for its error are among its details; a press copies the address."""
    query = """{ calls(first: 1, filter: {status: {eq: FAILED}}) { nodes { id source normalizedError } } }"""
    call = demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"][0]
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={call['id']}")
        facts = page.page.locator("aside.call .facts")
        reported = facts.locator("div", has=page.page.locator("dt", has_text="Reported by"))
        await expect(reported.locator("dd")).to_have_text(call["source"])
        await page.page.get_by_role("button", name="Copy a link to this call").click()
        await expect(page.page.get_by_text("Link copied")).to_be_attached()
        assert await page.page.evaluate("navigator.clipboard.readText()") == page.page.url


async def test_the_way_to_graphiql_is_a_tab_of_its_own(demo: Demo) -> None:
    """The console stays as it is, and so does who is signed in."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=24h")
        async with page.page.expect_popup() as opening:
            await page.page.get_by_role("link", name="GraphiQL").click()
        explorer = await opening.value
        await expect(explorer.locator("#key")).to_be_visible()
        await expect(page.navigation).to_be_visible()


async def test_a_partner_sees_its_account_alone(demo: Demo) -> None:
    """No row, menu or total of another account, whatever the address asks for."""
    async with console(demo, may_say="400|403|404|422") as page:
        await page.sign_in("partner", f"logs?{DAYS}")
        await shown(page)
        assert await total(page) == counted(demo, "partner", "")
        text = await page.page.locator("body").inner_text()
        for other in ("globex", "huaxing", "initech", "hooli"):
            assert other not in text
        query = '{ calls(first: 1, filter: {account: {eq: "globex"}}) { nodes { id } } }'
        foreign = demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"][0]["id"]
    async with console(demo, may_say="400|403|404|422") as page:
        await page.sign_in("partner", f"logs?range=30d&account=globex&call={foreign}")
        await page.settled()
        await expect(page.page.locator("aside.call")).not_to_contain_text("globex")
        await expect(page.page.locator(ROW)).to_have_count(0)


async def test_costs_of_a_call_are_exact(demo: Demo) -> None:
    """The drawer has the amount as the service says it, to its last digit, its parts, and where they come from."""
    key = demo.keys["viewer"]
    query = """{ calls(first: 1, filter: {amountSource: {eq: ESTIMATED}, model: {eq: "gpt-5-mini"}}) { nodes {
        id amount { amount currency } amountParts { meter priceList } } } }"""
    call = demo.service.ask(key, query)["data"]["calls"]["nodes"][0]
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={call['id']}")
        drawer = page.page.locator("aside.call")
        await expect(drawer.locator(f"[title*='{call['amount']['amount']}']").first).to_be_visible()
        await expect(drawer).to_contain_text(call["amountParts"][0]["priceList"].partition("@")[0])


async def test_an_answer_from_a_cache_says_so(demo: Demo) -> None:
    """The attempt that a cache has answered is marked, in its own colour, beside the others of its trace."""
    query = "{ calls(first: 1, filter: {cacheHit: {eq: true}}) { nodes { id } } }"
    call = demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"][0]
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={call['id']}")
        attempt = page.page.locator("aside.call .waterfall li[aria-current=true]")
        await expect(attempt.locator(".badge").first).to_have_text("from cache")
        await expect(attempt.locator(".waterfall-cache")).to_be_visible()
        await page.page.get_by_label("Language").select_option("zh-CN")
        await expect(attempt.locator(".badge").first).to_have_text("来自缓存")


async def test_a_call_says_how_long_it_is_kept(demo: Demo) -> None:
    """The days of the policy in force, calls and errors apart, and the way to the page that has all of them."""
    asked = "{ calls(first: 1) { nodes { id } } policy { windows { store class windowDays } } }"
    data = demo.service.ask(demo.keys["viewer"], asked)["data"]
    days = {one["store"]: one["windowDays"] for one in data["policy"]["windows"] if one["class"] == "OPERATIONAL"}
    async with console(demo) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={data['calls']['nodes'][0]['id']}")
        foot = page.page.locator("aside.call .no-content")
        said = f"kept for {days['CALL']} days, and the details of its error for {days['CALL_ERROR']}."
        await expect(foot).to_contain_text(said)
        await foot.get_by_role("link").click()
        await expect(page.page.get_by_role("table", name="Classes of data")).to_be_visible()


async def test_an_id_is_copied(demo: Demo) -> None:
    """A press, or Enter, copies the whole id, and says so to who sees it and to who hears it."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=7d")
        await shown(page)
        await page.page.locator(f"{ROW} > [role=gridcell]").first.click()
        title = page.page.locator("aside.call .call-title")
        id_ = await title.locator("code").inner_text()
        await title.get_by_role("button", name=f"Copy {id_}").focus()
        await page.page.keyboard.press("Enter")
        await expect(title.get_by_role("status")).to_have_text("Copied")
        assert await page.page.evaluate("navigator.clipboard.readText()") == id_
        assert id_.startswith("call_")
        await expect(title.get_by_role("status")).to_have_text("")
        # Over plain HTTP there is no clipboard for scripts; what is selected is copied all the same.
        await page.page.evaluate("navigator.clipboard.writeText('another')")
        await page.page.evaluate("Object.defineProperty(navigator.clipboard, 'writeText', {value: undefined})")
        await title.get_by_role("button", name=f"Copy {id_}").click()
        await expect(title.get_by_role("status")).to_have_text("Copied")
        assert await page.page.evaluate("navigator.clipboard.readText()") == id_


async def test_filters_are_opened_and_closed_on_a_phone(demo: Demo) -> None:
    """They lie over the list, take the focus, and go again by their button or Escape, which give the focus back."""
    async with console(demo, size=PHONE) as page:
        await page.sign_in("viewer", "logs?range=7d")
        await shown(page)
        opens = page.page.get_by_role("button", name="Filters", exact=True)
        closes = page.page.get_by_role("button", name="Close the filters")
        await opens.click()
        await expect(closes).to_be_focused()
        await page.page.get_by_role("checkbox", name="Failed").check()
        await expect(page.page.locator(".chips .chip")).to_have_count(1)
        await closes.click()
        await expect(page.page.locator(".facets")).to_be_hidden()
        await expect(opens).to_be_focused()
        await page.page.keyboard.press("Enter")
        await expect(closes).to_be_focused()
        await page.page.keyboard.press("Escape")
        await expect(page.page.locator(".facets")).to_be_hidden()


async def test_calls_are_ordered_by_what_they_cost(demo: Demo) -> None:
    """Of several currencies the page asks which one, and then has the dearest first; a bound of amounts is the same."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=7d")
        await shown(page)
        await page.page.get_by_role("columnheader", name="Cost").get_by_role("button").click()
        await expect(page.page.get_by_text("Amounts of one currency at a time")).to_be_visible()
        await expect(page.page.locator(".summary strong")).to_be_visible()
        await page.page.get_by_role("button", name="EUR", exact=True).click()
        await shown(page)
        costs = [float(text.split()[0]) for text in await column(page, "Cost")]
        assert costs == sorted(costs, reverse=True)
        assert costs[0] > costs[-1]
        await has_parameters(page.page, {"range": ["7d"], "sort": ["amount"], "currency": ["EUR"]})
        least = f"{costs[3]:f}"
        await page.open(f"logs?{DAYS}&currency=EUR&min.amount={least}")
        await page.enter(demo.keys["viewer"])
        await shown(page)
        assert await total(page) == counted(demo, "viewer", f'currency: {{eq: "EUR"}}, amount: {{gte: "{least}"}}')


async def test_what_stands_above_the_list_leads_to_more_of_it(demo: Demo) -> None:
    """Failures lead to their kinds, and a sum to its costs: of the calls that the list is filtered by."""
    async with console(demo) as page:
        await page.sign_in("viewer", "logs?range=7d&account=huaxing&sort=latencyMs")
        await shown(page)
        summary = page.page.locator(".summary")
        await expect(summary).to_contain_text("tokens")
        amount = texts([await summary.get_by_role("link", name="CNY").inner_text()])[0]
        await summary.get_by_role("link", name="CNY").click()
        await expect(page.page.locator(".figure", has_text="Cost").first).to_contain_text(amount)
        asked = {"range": ["7d"], "account": ["huaxing"], "money": ["CNY"]}
        assert await has_parameters(page.page, asked) == asked
        await page.page.go_back()
        await shown(page)
        await summary.get_by_role("link", name="failed").click()
        await expect(page.page.get_by_role("heading", name="Errors", exact=True)).to_be_visible()
        asked = {"range": ["7d"], "account": ["huaxing"]}
        assert await has_parameters(page.page, asked) == asked


async def test_a_failed_call_leads_to_errors_like_it(demo: Demo) -> None:
    """The link opens the kind of its error, with its newest ones."""
    query = '{ calls(first: 1, filter: {errorType: {eq: "Timeout"}}) { nodes { id } } }'
    call = demo.service.ask(demo.keys["viewer"], query)["data"]["calls"]["nodes"][0]
    async with console(demo, size=PHONE) as page:
        await page.sign_in("viewer", f"logs?range=30d&call={call['id']}")
        await page.page.get_by_role("link", name="Errors like this one").click()
        opened = page.page.locator(".error-detail")
        await expect(opened.get_by_role("heading")).to_have_text("Timeout")
        await expect(opened.locator("tbody tr").first).to_be_visible()
        widths = await page.page.evaluate(
            "[...document.querySelectorAll('.page-body > *')].map(one => one.offsetWidth)"
        )
        assert max(widths) <= PHONE[0], "a wide table scrolls in its frame"
