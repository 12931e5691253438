"""The options that every benchmark takes."""

import argparse
from pathlib import Path


def parser(description: str | None, *, calls: int | None = None, quick_calls: int = 100_000) -> argparse.ArgumentParser:
    """`--quick` and `--json`; with `calls` also how many calls the ledger holds."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="small data and few rounds: for orientation only")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    if calls is not None:
        made.add_argument("--calls", type=int, help=f"calls in the ledger (default {calls:,}; quick {quick_calls:,})")
        made.set_defaults(whole_calls=calls, quick_calls=quick_calls)
    return made


def calls_of(chosen: argparse.Namespace) -> int:
    return chosen.calls or (chosen.quick_calls if chosen.quick else chosen.whole_calls)
