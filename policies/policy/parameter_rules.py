"""The allow-list of request parameters, as the document writes it: a path has a type and a bound, or only a shape."""

import re
from typing import Final

import re2

from policies.policy.model import ParameterRule, ParameterType
from policies.policy.toml_reader import TomlTable

PATHS_MAX: Final = 200
VALUES_MAX: Final = 100
TEXT_LENGTH_MAX: Final = 1000
PATTERN_LENGTH_MAX: Final = 200
DEPTH_MAX: Final = 5

_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}+(\[\])?(\.[A-Za-z_][A-Za-z0-9_]{0,63}+(\[\])?)*", re.ASCII)
# Backslash pairs and character classes are one unit, so that an escaped `*` or one in a class is not a repetition.
_UNIT: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d+,\}|.", re.DOTALL)


def parse_parameters(table: TomlTable) -> dict[str, ParameterRule]:
    """Path -> rule. `PolicyDocumentError` for a path, type or bound that would let anything through."""
    paths = table.remaining()
    if len(paths) > PATHS_MAX:
        table.fail(f"lists more than {PATHS_MAX} parameters")
    rules = {path: _rule(table, path) for path in paths}
    shaped = [path for path, rule in rules.items() if rule.shape]
    for path in paths:
        above = next((over for over in shaped if path != over and path.startswith((f"{over}.", f"{over}[]"))), None)
        if above is not None:
            table.fail(
                f"is never reached: `{above}` is kept as its shape only", key=path, advice="leave one of the two"
            )
    return rules


def _rule(parameters: TomlTable, path: str) -> ParameterRule:
    if not _PATH.fullmatch(path) or path.count(".") >= DEPTH_MAX:
        parameters.fail(
            "is not a path",
            key=path,
            advice=f"write up to {DEPTH_MAX} names with dots, `[]` for every element of a list: `tools[].type`",
        )
    table = parameters.table(path, advice='write { type = ..., and its bound } or { action = "shape" }')
    if table.has("action"):
        if table.text("action") != "shape":
            table.fail("must be `shape`", key="action", advice="a path that is not listed is dropped")
        table.done()
        return ParameterRule(path, shape=True)
    kind = table.choice("type", ParameterType)
    rule = _bounded(path, kind, table)
    table.done()
    return rule


def _bounded(path: str, kind: ParameterType, table: TomlTable) -> ParameterRule:
    match kind:
        case ParameterType.BOOLEAN:
            return ParameterRule(path, type=kind)
        case ParameterType.INTEGER | ParameterType.NUMBER:
            low, high = table.number("min"), table.number("max")
            if low > high:
                table.fail("`min` is above `max`", advice="no value would pass")
            return ParameterRule(path, type=kind, minimum=low, maximum=high)
        case ParameterType.TEXT:
            length = table.integer("max_length", low=1, high=TEXT_LENGTH_MAX)
            pattern = _pattern(table) if table.has("pattern") else None
            return ParameterRule(path, type=kind, max_length=length, pattern=pattern)
        case ParameterType.ENUM:
            values = table.texts("values")
            if not 1 <= len(values) <= VALUES_MAX or max(map(len, values)) > TEXT_LENGTH_MAX:
                table.fail(f"an enum needs 1 to {VALUES_MAX} values", key="values", advice='write values = ["..."]')
            return ParameterRule(path, type=kind, values=tuple(sorted(values)))


def _pattern(table: TomlTable) -> str:
    pattern = table.text("pattern", length_max=PATTERN_LENGTH_MAX)
    if any(unit in "*+" or unit.endswith(",}") for unit in _UNIT.findall(pattern)):
        table.fail("repeats without a bound", key="pattern", advice="write `{1,40}` for `+` and `{0,40}` for `*`")
    try:
        re2.compile(pattern, _quiet())
    except re2.error:
        table.fail("is not an RE2 pattern", key="pattern", advice="look-around and back-references are not in RE2")
    return pattern


def _quiet() -> "re2.Options":
    options = re2.Options()
    options.log_errors = False
    return options
