"""Objects of a user's own code, named as `package.module:name` or `./file.py:name`. Naming one runs that code."""

import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from probatum.errors import InvalidInput, MissingFile, UnknownName

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def is_import_path(text: str) -> bool:
    """True if a text has the form `module:name`, where the module is a dotted name or a file that ends in .py."""
    module, colon, name = text.rpartition(":")
    named = module.endswith(".py") or all(part.isidentifier() for part in module.split("."))
    return bool(colon) and named and all(part.isidentifier() for part in name.split("."))


def refuse_bare_file(text: str) -> None:
    """Raises InvalidInput where a text names a Python file, but no object in it."""
    if text.endswith(".py"):
        raise InvalidInput(f"{text} is a file; name the object in it: {text}:NAME")


def import_object(path: str) -> Any:
    """Imports a module, which runs its code, and returns an object of it.

    The folder of a file, and for a dotted name the current one, comes first on the import path, as for `python FILE`
    and `python -m MODULE`.

    Args:
        path: `package.module:name` or `path/to/file.py:name`; the name may have dots, as in `Class.method`.

    Raises:
        InvalidInput: the text has another form, there is no such file or module, or its code raises an error.
        UnknownName: the module has no such name.
    """
    found: Any = import_module_of(path)
    where, _, name = path.rpartition(":")
    for part in name.split("."):
        if not hasattr(found, part):
            raise UnknownName(f"object of {where}", name, _defined(found) or [""])
        found = getattr(found, part)
    return found


def _defined(holder: Any) -> list[str]:
    """The public names of a module or class, without what it imports from elsewhere."""
    home = holder.__name__ if inspect.ismodule(holder) else getattr(holder, "__module__", None)
    named = {name: getattr(holder, name, None) for name in dir(holder) if not name.startswith("_")}
    return [name for name, each in named.items() if not _is_of_another_module(each, home)]


def _is_of_another_module(found: Any, home: str | None) -> bool:
    if inspect.isclass(found) or inspect.isroutine(found):
        return getattr(found, "__module__", None) != home
    return inspect.ismodule(found)


def import_module_of(path: str) -> ModuleType:
    """Imports the module of a path, which runs its code unless it was imported before; see `import_object`."""
    if not is_import_path(path):
        raise InvalidInput(f"{path!r} names no object; write package.module:name or ./file.py:name")
    where, _, _ = path.rpartition(":")
    return _import_file(Path(where)) if where.endswith(".py") else _import_module(where)


def _import_module(name: str) -> ModuleType:
    _put_first(Path.cwd())
    with _running(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise InvalidInput(
                f"there is no module {error.name!r}; install it, or run the command in the folder that holds it"
            ) from error


def _import_file(path: Path) -> ModuleType:
    """Imports a file once, under its full path as the name, so that it hides no other module."""
    if not path.is_file():
        raise MissingFile("file", path)
    path = path.resolve()
    if str(path) in sys.modules:
        return sys.modules[str(path)]
    spec = importlib.util.spec_from_file_location(str(path), path)
    assert spec is not None, f"{path} ends in .py"
    assert spec.loader is not None, f"{path} ends in .py"
    _put_first(path.parent)
    module = sys.modules[str(path)] = importlib.util.module_from_spec(spec)
    try:
        with _running(str(path)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[str(path)]
        raise
    return module


def _put_first(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@contextmanager
def _running(name: str) -> Iterator[None]:
    """Turns an error of a user's code into one that names the error and its line."""
    try:
        yield
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{name} cannot be imported: {described(error)}") from error


def described(error: BaseException) -> str:
    """An error of foreign code in one line: its kind, its first line, and the last line of a user's file behind it."""
    message = (str(error).strip() or "no message").splitlines()[0]
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({_base(error.filename)}, line {error.lineno})"
    behind = list(traceback.extract_tb(error.__traceback__))
    frames = [frame for frame in behind if not _is_installed(frame.filename)] or behind
    place = f" ({_base(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}{place}"


def _is_installed(filename: str) -> bool:
    """True if a file belongs to this package, to an installed library or to Python."""
    return filename.startswith(("<", str(Path(__file__).parent), *_INSTALLED))


def _base(filename: str | None) -> str:
    return os.path.basename(filename or "")
