import gzip
import hashlib
import importlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from probatum.data import DATASETS, MNIST_RGB_64, load_dataset, render_digits
from probatum.errors import InvalidInput, UnknownName

DATA = os.environ.get("PROBATUM_DATA")
needs_mnist = pytest.mark.skipif(
    DATA is None or not Path(DATA, "MNIST", "raw").is_dir(), reason="PROBATUM_DATA is unset or holds no MNIST"
)


def idx(values: np.ndarray) -> bytes:
    """The bytes of an idx file of unsigned bytes."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """A small Fashion-MNIST test split as archives, with their own md5 sums declared official."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for name, values in (("t10k-images-idx3-ubyte.gz", IMAGES), ("t10k-labels-idx1-ubyte.gz", LABELS)):
        (raw / name).write_bytes(gzip.compress(idx(values)))
        resources.append((name, hashlib.md5((raw / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    return tmp_path


def test_digits_by_name():
    digits = load_dataset("digits", "test", count=12, seed=2)
    images, labels = render_digits(12, "test", seed=2)
    assert torch.equal(digits.images, DATASETS["digits"].preprocessing.apply(images))
    assert torch.equal(digits.labels, labels)
    assert digits.image_names[11] == "test-00011"
    assert len(digits.take_per_class(1)) == 10
    torch.testing.assert_close(digits.pictures(), images / 255, atol=1e-6, rtol=0)


def test_another_preprocessing():
    assert load_dataset("digits", count=2, preprocessing=MNIST_RGB_64).images.shape == (2, 3, 64, 64)


@pytest.mark.parametrize("name", DATASETS)
def test_specifications(name):
    spec = DATASETS[name]
    assert spec.name == name
    assert len(spec.class_names) == 10
    assert importlib.import_module(spec.where)


def test_archives_in_a_folder_that_must_not_change(fashion):
    raw = fashion / "FashionMNIST" / "raw"
    raw.chmod(0o555)
    try:
        loaded = load_dataset("fashion-mnist", "test", count=5, data_dir=fashion)
        assert sorted(file.suffix for file in raw.iterdir()) == [".gz", ".gz"]
    finally:
        raw.chmod(0o755)
    assert loaded.labels.tolist() == LABELS.tolist()
    torch.testing.assert_close(loaded.pictures()[:, 0], torch.from_numpy(IMAGES) / 255, atol=1e-6, rtol=0)


def test_unpacked_files(fashion):
    raw = fashion / "FashionMNIST" / "raw"
    for archive in raw.glob("*.gz"):
        archive.with_suffix("").write_bytes(gzip.decompress(archive.read_bytes()))
        archive.unlink()
    assert load_dataset("fashion-mnist", "test", count=2, data_dir=fashion).labels.tolist() == [3, 1]


def test_a_damaged_archive(fashion):
    archive = fashion / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(InvalidInput, match=r"t10k-labels-idx1-ubyte\.gz is not the official file"):
        load_dataset("fashion-mnist", "test", count=1, data_dir=fashion)


@pytest.mark.parametrize("content", [b"", idx(LABELS)[:-2], idx(np.zeros((5, 20, 20), np.uint8)), idx(LABELS)])
def test_damaged_unpacked_files(fashion, content):
    (fashion / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(InvalidInput, match="fetch them again"):
        load_dataset("fashion-mnist", "test", count=1, data_dir=fashion)


def test_missing_files(tmp_path):
    with pytest.raises(InvalidInput, match=r"MNIST.raw is missing train-images-idx3-ubyte\.gz and train-labels"):
        load_dataset("mnist", "train", data_dir=tmp_path)
    with pytest.raises(InvalidInput, match="give the data folder"):
        load_dataset("mnist")


def test_a_failed_download(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [tmp_path.joinpath("no-mirror").as_uri() + "/"])
    with pytest.raises(InvalidInput, match="could not be downloaded"):
        load_dataset("mnist", data_dir=tmp_path / "data", download=True)


def test_wrong_requests():
    with pytest.raises(UnknownName, match="did you mean 'mnist'"):
        load_dataset("minst")
    with pytest.raises(UnknownName, match="split"):
        load_dataset("digits", "tests")
    with pytest.raises(InvalidInput, match=r"10001 images .* MNIST.* 10000"):
        load_dataset("mnist", count=10_001)
    with pytest.raises(InvalidInput, match="0 images"):
        load_dataset("digits", count=0)


@needs_mnist
def test_real_mnist():
    mnist = load_dataset("mnist", "test", data_dir=DATA)
    assert mnist.images.shape == (10_000, 1, 28, 28)
    assert mnist.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
