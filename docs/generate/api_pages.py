"""A page for each room of the package: what it exports, each name once, on the page of the room that defines it."""

from pathlib import Path

import griffe
from markup import file_of, first_line, table
from method_pages import grouped, page_of

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("attributions", "randomization", "metrics", "metrics.quality", "maps", "models", "models.text", "data"),
    *("engine", "experiments", "conformance", "reproductions", "report", "report.html", "benchmarks", "errors"),
)


def pages() -> dict[str, str]:
    """Path and text of every page, the overview first."""
    package = griffe.load("probatum", search_paths=[ROOT])
    assert isinstance(package, griffe.Module)
    modules = {room: package[room] for room in ROOMS}
    exported = {room: _exports(module) for room, module in modules.items()}
    # The home of a name is the innermost room that defines and exports it; else the first that exports it.
    homes = {path: room for room in reversed(ROOMS) for path in exported[room].values()}
    homes |= {path: room for room in sorted(ROOMS, key=len) for path in exported[room].values() if _defines(room, path)}
    return {"api/index.md": _overview(modules)} | {
        f"api/{room}.md": _page(room, modules[room], exported[room], homes) for room in ROOMS
    }


def _exports(module: griffe.Object) -> dict[str, str]:
    """Name and full path of what a room exports: its `__all__`, or all that it defines without an underscore."""
    names = module.exports or [n for n, m in module.members.items() if not m.is_alias and not n.startswith("_")]
    found = {str(name): module.members[str(name)] for name in names}
    return {
        name: (member.final_target if isinstance(member, griffe.Alias) else member).path
        for name, member in found.items()
    }


def _defines(room: str, path: str) -> bool:
    return path.startswith(f"probatum.{room}.")


def _overview(modules: dict[str, griffe.Object]) -> str:
    rows = [(f"[`probatum.{room}`]({room}.md)", first_line(_docstring(module))) for room, module in modules.items()]
    return "\n\n".join(
        (
            "# Python",
            "`probatum.attribute` is [`attribute`][probatum.attributions.base.attribute], and `attribute_stream` takes "
            "a DataLoader; everything else is imported from its room. Imports go downward only: `cli` → "
            "`reproductions`, `benchmarks`, `report` → `experiments` → `attributions`, `randomization`, `metrics`, "
            "`maps`, `models`, `data` → `engine`.",
            table(("room", "what is in it"), rows),
        )
    )


def _page(room: str, module: griffe.Object, exported: dict[str, str], homes: dict[str, str]) -> str:
    methods = {f"{method.__module__}.{method.__qualname__}": method for method in grouped()}
    parts = [
        f"# probatum.{room}",
        f"Source: {file_of(f'probatum.{room}', package=module.is_init_module)}",
        _docstring(module),
    ]
    here = [path for path in exported.values() if homes.get(path) == room and path not in methods]
    elsewhere = [(name, path) for name, path in exported.items() if homes.get(path) != room and path not in methods]
    own = [methods[path] for path in exported.values() if path in methods]
    if own:
        links = ", ".join(f"[`{method.__name__}`](../{page_of(method)})" for method in own)
        parts.append(f"The methods have pages of their own: {links}.")
    if elsewhere:
        parts.append("Also exported: " + ", ".join(f"[`{name}`][{path}]" for name, path in elsewhere) + ".")
    return "\n\n".join([*parts, *(f"::: {path}\n    options:\n      heading_level: 2" for path in here)])


def _docstring(module: griffe.Object) -> str:
    return module.docstring.value if module.docstring else ""
