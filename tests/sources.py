"""The package's own sources as syntax trees, for the tests over the whole tree."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "probatum"


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module by its path in the package, such as "engine/plan.py"."""
    found = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {name: ast.parse(path.read_text(encoding="utf-8"), name) for name, path in found.items()}


def room_of(module: str) -> str:
    """The folder right under the package, or the name of a module that lies there itself."""
    return module.partition("/")[0].removesuffix(".py")


def imports_of(tree: ast.Module) -> list[str]:
    """The full names of the modules that are imported; of the package itself, the names taken from it."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            from_package = node.module == "probatum"
            prefix = "." * node.level + (node.module or "")
            names += [f"probatum.{alias.name}" for alias in node.names] if from_package else [prefix]
    return names


def calls_of(tree: ast.Module) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
