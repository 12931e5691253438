"""Run as a program: `serve`, cancelled again and again, each time at a later await. Prints at how many.

A process of its own, as `serve` has it: what a cancelled start leaves behind ends with it.
"""

import asyncio
import sys
from pathlib import Path

from cancelling import ends_when_cancelled

from service.server.supervisor import serve
from service.settings import Settings

STEP = 13
AWAITS_MAX = 2_000


async def main(url: str, data: str, at_answer: str) -> None:
    settings = Settings(data=Path(data), database_url=url, port=0)
    for position in range(0, AWAITS_MAX, STEP):
        work = serve(settings, lambda _: None, None)
        if not await ends_when_cancelled(work, position, at_answer=at_answer == "True"):
            break
    print(f"ended at {position // STEP} awaits")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
