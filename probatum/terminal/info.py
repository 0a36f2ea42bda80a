"""What `probatum info` shows: versions, devices, caches, data, and how to get what is missing."""

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from probatum.runs.cache import cache_folder
from probatum.runs.identity import software
from probatum.terminal.output import show, show_table

_NEEDED = "needed"
_EXTRAS = ("text", "timm", "storage", "bench")  # the others are for those who change the package
_DATA = {  # folders below a data folder, and what brings them
    "mnist": "MNIST/raw",
    "fashion-mnist": "FashionMNIST/raw",
    "tiny-imagenet": "tiny-imagenet-200",
    "sst2": "sst2",
}


def info(data_dir: Path | None = None) -> dict[str, Any]:
    """Facts about this installation as JSON values.

    Args:
        data_dir: a data folder, whose data sets are listed.
    """
    return {
        **{name: software()[name] for name in ("probatum", "python")},
        "platform": platform.platform(),
        "packages": {name: {"version": found, "extra": extra} for name, found, extra in _packages()},
        "devices": list(_devices()),
        "caches": {name: {"folder": str(folder), **_size(folder)} for name, folder in _caches().items()},
        "data": {} if data_dir is None else {name: _holds_files(data_dir / place) for name, place in _DATA.items()},
    }


def show_info(facts: dict[str, Any]) -> None:
    """Shows what `info` found, and how to get what is missing."""
    show(f"probatum {facts['probatum']}, Python {facts['python']}, {facts['platform']}")
    rows = [(name, each["version"] or "missing", each["extra"]) for name, each in facts["packages"].items()]
    show_table("packages", ("name", "version", "for"), rows)
    show_table("devices", ("name", "what"), [(each["name"], each["what"]) for each in facts["devices"]])
    caches = [
        (name, each["folder"], f"{each['files']} files, {each['bytes'] / 2**20:.0f} MiB")
        for name, each in facts["caches"].items()
    ]
    show_table("caches", ("what", "folder", "content"), caches)
    for sentence in remedies(facts):
        show(sentence)


def remedies(facts: dict[str, Any]) -> Iterator[str]:
    """A sentence for each missing package or data set that says how to get it."""
    missing: dict[str, list[str]] = {}
    for name, each in facts["packages"].items():
        if each["version"] is None:
            missing.setdefault(each["extra"], []).append(name)
    for extra, names in missing.items():
        source = "probatum" if extra == _NEEDED else f"'probatum[{extra}]'"
        yield f"{', '.join(names)}: pip install {source}"
    for name, there in facts["data"].items():
        if not there:
            yield f"{name}: probatum download {name} --data-dir FOLDER"


def _packages() -> Iterator[tuple[str, str | None, str]]:
    """Name, version and the extra that asks for it, of everything that the package can use."""
    asked: dict[str, str] = {}
    for line in requires("probatum") or ():
        name, *_ = re.split(r"[^\w.-]", line)
        extra = re.search(r"extra == ['\"](\w+)", line)
        if extra is None or extra[1] in _EXTRAS:
            asked.setdefault(name, _NEEDED if extra is None else extra[1])
    for name, extra_or_needed in asked.items():
        yield name, torch.__version__ if name == "torch" else _version(name), extra_or_needed  # names CUDA, too


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[dict[str, str]]:
    yield {"name": "cpu", "what": f"{os.cpu_count()} cores, threads of torch: {torch.get_num_threads()}"}
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        yield {"name": f"cuda:{index}", "what": f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"}


def _caches() -> dict[str, Path]:
    return {
        "networks trained here (PROBATUM_CACHE)": cache_folder(),
        "published weights (TORCH_HOME)": Path(torch.hub.get_dir()) / "checkpoints",
    }


def _holds_files(folder: Path) -> bool:
    """True if a folder is there and not empty, as an interrupted download leaves it."""
    return folder.is_dir() and any(folder.iterdir())


def _size(folder: Path) -> dict[str, int]:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return {"files": len(sizes), "bytes": sum(sizes)}
