"""Pictures of the console for the README, of a service with the demo's data: `make screenshots`.

A page of its own is one line of `PICTURES`; who changes a page looks at what this writes.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chromium import browsing
from console import Demo, Language, Theme, console
from playwright.async_api import expect
from running import RunningService

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
SIZE: Final = (1440, 810)


@dataclass(frozen=True, slots=True)
class Picture:
    """`shows` has to be there; `press` is pressed first, where that opens something."""

    name: str
    role: str
    address: str
    shows: str
    press: str | None = None
    theme: Theme = "light"
    language: Language = "en"


PICTURES: Final = (
    Picture("logs", "viewer", "logs?range=7d", "main canvas"),
    Picture(
        "call", "support", "logs?range=30d&errorType=InternalServerError", "aside.call mark", ".calls-row", theme="dark"
    ),
    Picture("costs", "viewer", "costs?range=7d", "main canvas"),
    Picture("retention", "auditor", "retention", "main table"),
)


async def take(demo: Demo, picture: Picture) -> None:
    """Open the page as the picture has it, and write it."""
    async with console(demo, language=picture.language, theme=picture.theme, size=SIZE, zone="UTC") as page:
        await page.sign_in(picture.role, picture.address)
        await page.settled()
        if picture.press is not None:
            await page.page.locator(picture.press).first.click()
        await expect(page.page.locator(picture.shows).first).to_be_visible()
        await page.settled()
        await page.page.mouse.move(0, SIZE[1])
        await page.painted()
        path = FOLDER / f"{picture.name}.png"
        await page.page.screenshot(path=path, animations="disabled")
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="calledger-") as folder:
        service = await asyncio.to_thread(RunningService, Path(folder) / "data", "--demo")
        try:
            async with browsing() as browser:
                demo = Demo(service, dict(line.split() for line in service.lines[:-1]), browser)
                for picture in PICTURES:
                    await take(demo, picture)
        finally:
            await asyncio.to_thread(service.stop)


if __name__ == "__main__":
    asyncio.run(main())
