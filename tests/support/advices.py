"""What to do, as the package's sources write it: every advice that an error or a finding may carry."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import airflow_cbr

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["advices_in_the_sources", "shape_of"]

_PACKAGE: Final = Path(airflow_cbr.__file__).parent
#: Calls that are given a part of an advice, by a parameter.
_WITH_PARTS: Final = {"needed": ("on",), "check_record_ids": ("source",)}
#: Functions that return an advice.
_FUNCTIONS: Final = ("advice", "permission_advice")
_PLACE: Final = re.compile(r"(?<!\{)\{\w+\}(?!\})")


def advices_in_the_sources() -> dict[str, str]:
    """Return where each advice is written, by its shape: ``{}`` stands for what is known only at run time."""
    found: dict[str, str] = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        if "emulator" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = dict(_constants(tree))
        for value in _values(tree):
            for text in _texts(value, constants):
                found.setdefault(text, f"{path.relative_to(_PACKAGE).as_posix()}:{value.lineno}")
    # What is nothing but other advices is among these.
    return {text: where for text, where in found.items() if re.search(r"[A-Za-z]{2}", text.replace("{}", ""))}


def shape_of(key: str) -> str:
    """Return a text of the catalogue with ``{}`` for each of its values.

    :param key: the text.
    """
    return _PLACE.sub("{}", key)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _values(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what is given as an advice: to a call, to a variable or to a class, or is returned by a function for one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "advice":
            yield node.value
        elif isinstance(node, ast.Call) and _name_of(node.func) in _WITH_PARTS:
            yield from (keyword.value for keyword in node.keywords if keyword.arg in _WITH_PARTS[str(_name_of(node.func))])
        elif isinstance(node, ast.FunctionDef) and node.name.strip("_") in _FUNCTIONS:
            yield from (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value is not None)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_name_of(target) == "advice" for target in targets):
                yield node.value


def _name_of(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def _texts(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name) if name in constants:
            return _texts(constants[name], {})
        case ast.IfExp(body=body, orelse=other):
            return _texts(body, constants) + _texts(other, constants)
        case ast.BoolOp(values=values):
            return [text for value in values for text in _texts(value, constants)]
        case ast.JoinedStr(values=parts):
            return ["".join(_part(part, constants) for part in parts)]
    return []


def _part(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value).replace("{", "{{").replace("}", "}}")
    texts = _texts(node.value, constants) if isinstance(node, ast.FormattedValue) else []
    return texts[0] if len(texts) == 1 else "{}"
