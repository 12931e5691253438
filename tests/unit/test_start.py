"""What a start loads, and when."""

import subprocess
import sys

COMMAND_LOADED = """
import sys
import service.commands.service.serve

print([name for name in ("strawberry", "graphql", "aiohttp", "service.api", "service.ingest") if name in sys.modules])
"""

MODELS_LOADED = """
import inspect
import tortoise.models

def refused(_):
    raise RuntimeError("a model's source was read")

inspect.getsource = refused
import service.storage.schema.models
print(service.storage.schema.models.Hold._meta.db_table)
"""


def output(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_database_does_not_wait_for_what_answers() -> None:
    """`serve` comes to start its database without GraphQL, HTTP and ingest: a thread loads them meanwhile."""
    assert output(COMMAND_LOADED) == "[]"


def test_no_source_is_parsed_to_load_the_models() -> None:
    """Tortoise's search for comments in our models, the dearest part of loading them, is left out."""
    assert output(MODELS_LOADED) == "hold"
