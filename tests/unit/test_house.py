"""The rules of the code that no linter knows, and that the limits of the linters are those of CONTRIBUTING.md."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
TEST_LINES_MAX = 500
FOLDER_MODULES_MAX = 14
COMPLEXITY_MAX = 15
PARAGRAPH_LINES_MAX = 5
LIBRARIES = {"re2", "stdnum", "cryptography", "msgspec", "policies"}
IMPURE_MODULES = {"asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil"}
IMPURE_MODULES |= {"signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"}
IMPURE_CALLS = {"open", "print", "input", "breakpoint", "eval", "exec", "compile", "__import__"}
# Readings of a clock or of chance, by attribute: `datetime.now()`, `date.today()`, `uuid.uuid4()`.
IMPURE_ATTRIBUTES = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom", "token_bytes", "generate_key"}
NOT_MAPPED = {"__pycache__", ".git", ".venv", "dist", "build", "node_modules"}


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "node_modules" not in path.parts)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@cache
def tree_of(path: Path) -> ast.Module:
    """The module as parsed: once for all tests, which leave it as it is."""
    return ast.parse(path.read_text("utf-8"))


def findings(paths: list[Path], find: Callable[[ast.Module], Iterable[str]]) -> dict[str, list[str]]:
    """What is found in each file in which something is: one test for all files, since two thousand tests cost more."""
    found = {str(path.relative_to(ROOT)): list(find(tree_of(path))) for path in paths}
    return {name: what for name, what in found.items() if what}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def impurities(tree: ast.AST) -> Iterator[str]:
    for name in imported(tree):
        if name in IMPURE_MODULES or (name not in LIBRARIES and name not in sys.stdlib_module_names):
            yield f"import of {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"async at line {node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{node.func.id}() at line {node.lineno}"
        if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_ATTRIBUTES:
            yield f".{node.func.attr}() at line {node.lineno}"


POLICIES = modules("policies")
CODE = modules("policies", "service")


def imported_part(tree: ast.Module) -> ast.Module:
    """The module without its `if __name__ == "__main__":`, which runs only where the file is a program of its own."""
    body = [node for node in tree.body if not ast.unparse(node).startswith("if __name__ == '__main__':")]
    return ast.Module(body, type_ignores=[])


def test_policies_are_pure() -> None:
    """No module of policies/ reads, writes, waits, logs, rolls dice or asks the time, or imports what could."""
    assert findings(POLICIES, lambda tree: impurities(imported_part(tree))) == {}


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from pathlib import Path",
        "import asyncpg",
        "from service.errors import ServiceError",
        "def f():\n    open('x')",
        "async def f(): ...",
        "from datetime import datetime\nx = datetime.now()",
        "import uuid\nx = uuid.uuid4()",
    ],
)
def test_the_check_of_purity_bites(source: str) -> None:
    """Each kind of impurity is found."""
    assert list(impurities(ast.parse(source))) != []


def long_functions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name}: {lines} lines"


def test_modules_and_functions_are_short() -> None:
    """Modules stay under 400 lines, functions at 70 or less."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in CODE}

    assert findings(CODE, long_functions) == {}
    assert {name: lines for name, lines in lengths.items() if lines >= MODULE_LINES_MAX} == {}


def test_functions_are_simple() -> None:
    """No function has a cyclomatic complexity of more than 15, whatever pyproject.toml would let pass."""
    limit = f"lint.mccabe.max-complexity={COMPLEXITY_MAX}"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "C901", "--config", limit]
    found = subprocess.run([*command, "service", "policies"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stderr) == (0, ""), found.stdout


def imports_of(path: Path, known: Mapping[str, Path]) -> Iterator[Path]:
    """The modules that a module imports, wherever in it the import stands, but for those of types alone."""
    tree = tree_of(path)
    of_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in of_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [name for alias in node.names for name in (f"{node.module}.{alias.name}", node.module)]
            names = [names[at] if names[at] in known else names[at + 1] for at in range(0, len(names), 2)]
        else:
            continue
        yield from (known[name] for name in names if name in known)


def circles(graph: Mapping[Path, set[Path]]) -> set[Path]:
    """The modules that import themselves by way of others, and those between two circles: what is left once all go that
    import none that is left, or that none of these imports.
    """
    left = {path: set(targets) for path, targets in graph.items()}
    while True:
        imported = set().union(*left.values()) if left else set()
        ends = {path for path, targets in left.items() if not targets & left.keys() or path not in imported}
        if not ends:
            return set(left)
        left = {path: targets - ends for path, targets in left.items() if path not in ends}


def test_no_imports_run_in_a_circle() -> None:
    """No module imports itself by way of others, not even within a function."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in CODE}

    graph = {path: set(imports_of(path, known)) - {path} for path in CODE}

    assert names(sorted(circles(graph))) == []


def test_the_check_of_circles_bites() -> None:
    """Two modules that import each other are found, and what only leads to them or from them is not."""
    a, b, c, d = (Path(name) for name in "abcd")

    assert circles({a: {b}, b: {c}, c: {b, d}, d: set()}) == {b, c}


def sql(tree: ast.AST) -> Iterator[str]:
    """Whatever speaks to the database: statements, calls that run one, and the models of its tables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
            yield f"statement at line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in RUNS_STATEMENTS:
            yield f".{node.attr} at line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in ("execute", "cursor"):
            # GraphQL's schemas execute and pages give out cursors; whatever else does is the database's.
            receiver = ast.unparse(node.value)
            if not receiver.endswith(("schema", "schema()", "super()", "page")):
                yield f".{node.attr} at line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and (
            node.module == "service.storage.schema.models"
            or (
                (node.module == "tortoise" or (node.module or "").startswith("tortoise."))
                and node.module != "tortoise.exceptions"
            )
            or (
                (node.module or "").startswith("service.storage")
                and {alias.name for alias in node.names} & (MODELS | {"control_transaction"})
            )
        ):
            yield f"import from {node.module} at line {node.lineno}"


STATEMENT = re.compile(
    r"\s*(SELECT|WITH|INSERT\s+INTO|UPDATE\s+\w+\s+(AS\s+\w+\s+)?SET|DELETE\s+FROM|TRUNCATE|COPY\s|CREATE\s|ALTER\s|DROP\s|"
    r"GRANT\s|REVOKE\s|MERGE\s|LOCK\s|VALUES\s*\(|SET\s+(LOCAL|ROLE|SESSION))\b",
)
RUNS_STATEMENTS = {
    "fetch",
    "fetchrow",
    "fetchval",
    "executemany",
    "fetchmany",
    "copy_records_to_table",
    "copy_to_table",
}
RUNS_STATEMENTS |= {"copy_from_query", "prepare_statement", "execute_query", "execute_query_dict", "execute_script"}
MODELS = {
    node.name
    for node in ast.parse((ROOT / "service/storage/schema/models.py").read_text("utf-8")).body
    if isinstance(node, ast.ClassDef)
}
SQL_PACKAGES = ("query", "storage", "retention", "ledger", "keyring")
# The way in runs the statements that `storage/statements/` holds.
RUNS_FOR_INGEST = {
    f"service/ingest/{name}.py"
    for name in (
        "pipeline/batch_store", "pipeline/inserting", "amendments/bills", "amendments/completion",
        "amendments/correction", "amendments/own_correction", "amendments/repricing",
    )
}  # fmt: skip
OTHERS_DATABASES = ROOT / "service/imports/sources/databases"
"""Reads tables of other programs, over connections that never meet our own."""
WITHOUT_SQL = [
    path
    for path in modules("service")
    if path.relative_to(ROOT / "service").parts[0] not in SQL_PACKAGES and OTHERS_DATABASES not in path.parents
]


def test_sql_stays_in_its_packages() -> None:
    """Only query, storage, retention, ledger and keyring speak to the database: what a role sees is decided there."""
    found = findings(WITHOUT_SQL, sql)
    for name in RUNS_FOR_INGEST:
        found[name] = [one for one in found[name] if one.startswith(("statement", "import"))]

    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        '_X = "SELECT 1"',
        '_X = """\n    WITH a AS (SELECT 1) SELECT"""',
        '_X = f"DELETE FROM {table}"',
        '_X = "UPDATE hold SET lifted_at = now()"',
        "await context.owner.fetch(x)",
        "await runtime.database.owner.fetchval(x, timeout=2)",
        "run = connection.fetchrow",
        "await connection.execute(x)",
        "connection.cursor(x)",
        "from service.storage.schema.models import Hold",
        "from service.storage.control.api_keys import ApiKey",
        "from tortoise import connections",
        "from service.storage.schema.tortoise import control_transaction",
    ],
)
def test_the_check_of_sql_bites(source: str) -> None:
    """Each way to the database is found."""
    assert list(sql(ast.parse(source))) != []


ANSWERING = [*modules("service/api"), ROOT / "service/export/download.py", ROOT / "service/export/sources/rows.py"]


def powers(tree: ast.AST) -> Iterator[str]:
    """Uses of connections that row-level security does not bind to a scope."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("owner", "writer"):
            receiver = ast.unparse(node.value)
            if receiver.endswith(("database", "context", "retention", "self")) or "retention_context(" in receiver:
                yield f"{receiver}.{node.attr} at line {node.lineno}"


def test_what_answers_has_no_owner_s_connection() -> None:
    """Whoever asks is answered through connections that PostgreSQL itself keeps to the asker's accounts."""
    assert findings(ANSWERING, powers) == {}


@pytest.mark.parametrize(
    "source",
    ["context.owner", "retention.owner", "x = runtime.database.owner", "retention_context(c).owner", "database.writer"],
)
def test_the_check_of_connections_bites(source: str) -> None:
    """The owner's pool and the writer's are found."""
    assert list(powers(ast.parse(source))) != []


def undocumented(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        is_public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_"
        if is_public and not ast.get_docstring(node):
            yield f"{node.name} at line {node.lineno}"


def test_what_is_public_says_what_it_does() -> None:
    """Each public class, function, method and property has a docstring."""
    assert findings(CODE, undocumented) == {}


def test_folders_can_be_taken_in_at_a_glance() -> None:
    """No folder of code, tests, benchmarks or the console's source holds more than 14 modules, `__init__.py` and
    `conftest.py` not counted.
    """
    console = (ROOT / "service/console/app/src").rglob("*.*")
    paths = [*CODE, *modules("tests", "benchmarks"), *(path for path in console if "gql" not in path.parts)]
    counts = Counter(path.parent.relative_to(ROOT) for path in paths if path.name not in ("__init__.py", "conftest.py"))

    assert {str(folder): count for folder, count in counts.items() if count > FOLDER_MODULES_MAX} == {}


def shown(cls: ast.ClassDef) -> bool:
    """Whether the class is a type of the GraphQL schema, which may have the name of what it shows."""
    return any("strawberry." in ast.unparse(decorator) for decorator in cls.decorator_list)


def test_a_class_name_means_one_thing() -> None:
    """No two classes share a name: whoever searches for one finds one. Only the schema's own names may recur in api/,
    and Tortoise asks each of its models for a `Meta`.
    """
    found: dict[str, list[str]] = {}
    for path in CODE:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and node.name != "Meta" and not shown(node):
                found.setdefault(node.name, []).append(str(path.relative_to(ROOT)))

    assert {name: where for name, where in found.items() if len(where) > 1} == {}


FOR_OTHERS = {"verify_consistency"}
"""What others call: whoever verifies the ledger by `policies.evidence`."""


def uses(tree: ast.Module) -> Iterator[str]:
    """Names that a module uses, by whatever it calls them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.asname)


def offers(tree: ast.Module) -> Iterator[str]:
    """Functions and methods that a module has for others. Decorators and base classes call what they know of."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module) and not (
            isinstance(node, ast.ClassDef) and not node.bases and not shown(node)
        ):
            continue
        for one in node.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("__"):
                known = {"property", "staticmethod", "classmethod", "contextmanager", "asynccontextmanager"}
                if {ast.unparse(decorator) for decorator in one.decorator_list} <= known:
                    yield one.name


def test_what_the_code_has_it_uses() -> None:
    """No function or method of service/ and policies/ is there for tests alone."""
    used = {name for path in [*CODE, *modules("migrations", "benchmarks")] for name in uses(tree_of(path))}

    assert findings(CODE, lambda tree: sorted({*offers(tree)} - used - FOR_OTHERS)) == {}


def test_every_folder_at_the_top_is_on_the_map() -> None:
    """Each top-level folder that holds tracked work is in the map of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    mapped = {folder.partition("/")[0] for folder in re.findall(r"`([a-z_]+/[a-z_/]*)`", text)}
    folders = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in NOT_MAPPED and any(path.iterdir())
    }

    assert folders - mapped == set()


def test_every_folder_of_code_is_on_the_map() -> None:
    """Each folder of service/ and policies/ that holds Python has its line in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    mapped = set(re.findall(r"^\| `([a-z_/]+)/` \|", text, re.MULTILINE))

    assert {str(path.parent.relative_to(ROOT)) for path in CODE} - mapped == set()


def test_the_map_names_files_that_are_there() -> None:
    """Each folder of the map of CONTRIBUTING.md is there, and so is each file that its line names."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    lines = re.findall(r"^\| `([a-z_/]+)/` \| (.*) \|$", text, re.MULTILINE)
    files = [f"{folder}/{name}" for folder, said in lines for name in re.findall(r"`(\w+\.py)`", said)]

    assert len(lines) > 60
    assert [path for path in [*files, *(folder for folder, _ in lines)] if not (ROOT / path).exists()] == []


PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_paths_in_the_pages_are_there(page: Path) -> None:
    """What CONTRIBUTING.md and docs/ name by its path from the root exists."""
    paths = re.findall(
        r"`((?:service|policies|tests|benchmarks|migrations|docs|typings)/[\w./-]*)`", page.read_text("utf-8")
    )

    assert [path for path in paths if not (ROOT / path).exists()] == []


def paragraphs(text: str) -> Iterator[list[str]]:
    """The lines of each paragraph of prose: neither code nor table, heading, list or quotation."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for part in re.split(r"\n\s*\n", text):
        lines = part.strip().splitlines()
        if lines and not part.startswith(" ") and not re.match(r"[|#<>*-]|\d+\.", lines[0].strip()):
            yield lines


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_paragraphs_are_short(page: Path) -> None:
    """No paragraph of prose in the pages is longer than five lines of source, which are a sentence each."""
    assert [lines[0] for lines in paragraphs(page.read_text("utf-8")) if len(lines) > PARAGRAPH_LINES_MAX] == []


def test_files_of_tests_are_short() -> None:
    """A file of tests has fewer than 500 lines: a worker takes whole files, and a reader as well."""
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in modules("tests")}

    assert {name: lines for name, lines in lengths.items() if lines >= TEST_LINES_MAX} == {}


def test_files_of_tests_have_names_of_their_own() -> None:
    """No two test files share a name, for pytest imports them without packages."""
    paths = modules("tests")
    stems = [path.name for path in paths if path.name.startswith("test_")]

    assert sorted(set(stems)) == sorted(stems)
