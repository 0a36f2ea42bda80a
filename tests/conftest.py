"""Fixtures and settings that all tests share."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
import typechecks

typechecks.use()
torch.set_num_threads(1)  # tiny networks; tests run side by side in processes instead
# The same examples in each run, however slow the machine is.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Takes what was imported and collected out of the garbage collector's walks, each of which takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _patient() -> None:
    """The first command of a process loads much, which on a busy machine would be announced among its errors."""
    from probatum.terminal import waiting

    waiting.PATIENCE = 3600.0


@pytest.fixture(scope="session", autouse=True)
def _trained_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps trained networks in a folder of the session, not in the user's; equal trainings are done once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROBATUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data; tests that need it skip where there is none."""
    root = os.environ.get("PROBATUM_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("real data is not here: set PROBATUM_DATA to a folder with MNIST/ and imagenet-samples/")
    return Path(root)


@pytest.fixture(scope="session")
def squeezenet_weights(data_root: Path) -> Path:
    """A checkpoint of SqueezeNet 1.0 with real ImageNet weights."""
    path = data_root.parent / "checkpoints" / "squeezenet1_0-deepcompressed.pth"
    if not path.is_file():
        pytest.skip("no SqueezeNet checkpoint in the folder checkpoints/ beside PROBATUM_DATA")
    return path


@pytest.fixture
def code_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, for modules of a test's own: none of them stays imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
