"""Run as a program: a purge of the ledger at an address and in a folder, which ends without a farewell at a step."""

import asyncio
import os
import sys
from pathlib import Path

from purging import open_environment


async def main(url: str, folder: str, step: str) -> None:
    """`step`: the number of the step right after which it ends, from 1; 0: it does not."""
    left = int(step)

    def on_step(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(137)

    async with open_environment(url, Path(folder)) as env:
        await env.purge(on_step=on_step)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
