"""docs/statements.md lists every statement of the service by the table that it is about.

`python tests/unit/test_statements.py` writes the page anew.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/statements.md"
FOLDERS = ("query", "storage", "retention", "ledger", "keyring")
STATEMENT = re.compile(
    r"\s*(SELECT|WITH|INSERT\s+INTO|UPDATE\s+\w+\s+(AS\s+\w+\s+)?SET|DELETE\s+FROM|TRUNCATE|COPY\s|CREATE\s|"
    r"ALTER\s|DROP\s|GRANT\s|REVOKE\s|MERGE\s|LOCK\s|VALUES\s*\(|SET\s+(LOCAL|ROLE|SESSION))\b"
)
PRIVILEGES = ROOT / "service/storage/schema/row_security.py"
"""Its constants name privileges (`SELECT`), and no statements."""
WRITTEN = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_.]+)")
READ = re.compile(r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?([a-z_.]+)")
SESSION = "(no table: session, locks, catalogue, or a table that is filled in)"
HEAD = """# Statements

Every statement that the service sends to PostgreSQL, by the table that it writes or else reads first.
A statement that is put together stands with the function that does it, as `function()`.
"What for" is what the constant, or else the function that runs it, says of itself.
Where it says nothing, `tests/unit/test_statements.py` fails.

This page is generated: `python tests/unit/test_statements.py`.
"""


@dataclass
class Statement:
    """A statement as its module holds it. `users`: functions of the module, and other modules, that use it."""

    module: str
    name: str
    text: str
    said: str
    users: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The table that it writes first, or else reads first, among those of the schema."""
        named = [*WRITTEN.findall(self.text), *READ.findall(self.text)]
        return next((name for name in named if name in TABLES), SESSION)


def tables() -> set[str]:
    """The tables that row-level security knows, and those of a keyring in PostgreSQL."""
    text = PRIVILEGES.read_text("utf-8")
    found = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', text))
    models = (ROOT / "service/storage/schema/models.py").read_text("utf-8")
    return (
        found
        | set(re.findall(r'table = "(\w+)"', models))
        | {f"calledger_keyring.{name}" for name in ("keyring", "entry", "tombstone")}
    )


TABLES = tables() - {"public", "select", "insert", "update", "delete"}


def modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / "service" / folder).rglob("*.py"))


def texts(node: ast.AST) -> Iterator[str]:
    """The statements inside of a node, f-strings with `{}` where a part is filled in."""
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        if STATEMENT.match(text):
            yield text
        # A part can hold a statement of its own, as in a sub-select that is chosen.
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from texts(part.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if STATEMENT.match(node.value):
            yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def first_sentence(node: ast.AST) -> str:
    said = ast.get_docstring(node) if isinstance(node, FUNCTIONS) else None  # type: ignore[arg-type]
    return re.split(r"(?<=[.:])\s", " ".join(said.split()))[0].rstrip(":") if said else ""


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def functions(node: ast.AST, above: tuple[ast.AST, ...] = ()) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """The functions of a module, methods too, each with the classes around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, (*above, child))
        elif isinstance(child, FUNCTIONS):
            yield child, above


def statements_of(path: Path) -> list[Statement]:
    """The statements of one module: its constants, then those in functions."""
    module = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text("utf-8"))
    found: list[Statement] = []
    docs: dict[str, str] = {}
    runs = list(functions(tree))
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        held = [text for text in texts(node.value) if text.strip() not in {"SELECT", "TRUNCATE"}]
        if path == PRIVILEGES:
            held = [text for text in held if len(text.split()) > 3 and "," not in text.split("FROM")[0][:40]]
        said = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            said = re.split(r"(?<=\.)\s", " ".join(after.value.value.split()))[0]
        docs[name] = said
        if held:
            found.append(Statement(module, name, "\n".join(held), said))
    for function, above in runs:
        held = [text for text in texts(function) if text != ast.get_docstring(function, clean=False)]  # type: ignore[arg-type]
        called = f"{above[-1].name}.{function.name}" if above else function.name  # type: ignore[attr-defined]
        if held:
            said = first_sentence(function) or next((first_sentence(one) for one in reversed(above)), "")
            found.append(Statement(module, f"{called}()", "\n".join(held), said))
        names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        for statement in found:
            if statement.name in names:
                statement.users.append(f"{called}()")
                said = first_sentence(function) or next((first_sentence(one) for one in reversed(above)), "")
                statement.said = statement.said or said
    return found


def importers() -> dict[tuple[str, str], list[str]]:
    """Modules by what they import, as module and name."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted((ROOT / "service").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    key = (node.module.replace(".", "/") + ".py", alias.name)
                    found.setdefault(key, []).append(str(path.relative_to(ROOT)))
    return found


def statements() -> list[Statement]:
    imported = importers()
    found = [statement for path in modules() for statement in statements_of(path)]
    for statement in found:
        statement.users += imported.get((statement.module, statement.name.split("(")[0]), [])
        # `statements.NAME`: the module as a whole is imported.
        package, _, name = statement.module.removesuffix(".py").rpartition("/")
        if not statement.users and not statement.name.endswith("()"):
            statement.users += imported.get((f"{package}.py", name), [])
    return found


def page() -> str:
    """The page: a table of statements for each table of the database."""
    lines = [HEAD]
    by_table: dict[str, list[Statement]] = {}
    for statement in statements():
        by_table.setdefault(statement.table, []).append(statement)
    for table in sorted(by_table, key=lambda name: (name == SESSION, name)):
        lines += ["", f"## {table}", "", "| statement | module | what for | used by |", "|---|---|---|---|"]
        for one in by_table[table]:
            users = ", ".join(f"`{user}`" for user in dict.fromkeys(one.users)) or "its module"
            lines.append(f"| `{one.name}` | `{one.module}` | {one.said.replace('|', chr(92) + '|')} | {users} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def test_every_statement_is_on_the_page() -> None:
    """docs/statements.md is what the modules hold now: write it anew when a statement is added, moved or renamed."""
    assert PAGE.read_text("utf-8") == page()


MODULES = modules()


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_every_statement_is_described(path: Path) -> None:
    """Each statement has a name, of its own or of its function, and a line that says what it is for."""
    assert [one.name for one in statements_of(path) if not one.said.strip() or not one.name] == []


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), "utf-8") and 0)
