"""Whatever bytes a reader meets, it gives a sound object or an error of the package: nothing else, and soon."""

import gzip
import io
import struct
import sys

import numpy as np
import pytest
import torch
from fuzzing import Reader, reader
from hypothesis import strategies as st
from mutations import changed, damaged, json_files, png_claiming, texts, zip_files
from PIL import Image
from torch import nn

from probatum.benchmarks import Entry, Record, read_records
from probatum.data import IMAGENET, load_photographs, open_photograph, read_mnist
from probatum.data.sst2 import read_tsv
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.experiments import CheckConfig
from probatum.models import EpochRecord, TrainingReport, load_checkpoint
from probatum.reproductions import ReproductionConfig
from probatum.runs.cache import read_training, write_training
from probatum.runs.cells import Cell, CellStore
from probatum.runs.files import read_arrays, read_json, read_table
from probatum.runs.resume import is_finished, requested

READERS: dict[str, Reader] = {}


@reader(READERS)
def settings_of_a_check(folder):
    return changed(CheckConfig(samples=3, memory_budget="1 GiB").to_json()), CheckConfig.from_json


@reader(READERS)
def settings_of_a_reproduction(folder):
    config = ReproductionConfig("adebayo2018", ("figure3",), seed=3, data_dir="data")
    return changed(config.to_json()), ReproductionConfig.from_json


@reader(READERS)
def an_unfinished_run(folder):
    (folder / "unfinished").mkdir()
    facts = {"kind": "check", "config": CheckConfig().to_json(), "parts": {"noun": "checks", "names": ["a"]}}
    facts |= {"rounding_settings": {"threads": 1, "memory_budget": None}, "cells": 4}

    def read(content):
        (folder / "unfinished" / "run.json").write_bytes(content)
        found = requested(folder)
        assert found is None or isinstance(found["kind"], str)
        assert not is_finished(folder)

    return json_files(facts), read


@reader(READERS)
def cells(folder):
    store = CellStore(folder, "a run")
    maps = {"maps": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "scores": np.ones(3)}
    store.save(Cell(0, 2, 1), maps)
    path = store.path(Cell(0, 2, 1))

    def read(content):
        path.write_bytes(content)
        found = store.load(Cell(0, 2, 1))
        assert found is None or all(np.array_equal(found[name], maps[name]) for name in maps)

    return zip_files(path.read_bytes()), read


@reader(READERS)
def archives_of_arrays(folder):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(6.0).reshape(2, 3), b=np.array([True]), c=np.zeros((0, 3), np.float16))

    def read(content):
        (folder / "a.npz").write_bytes(content)
        arrays = read_arrays(folder / "a.npz")
        assert not any(array.dtype.hasobject for array in arrays.values())
        assert sum(array.nbytes for array in arrays.values()) <= len(content)

    return zip_files(buffer.getvalue()), read


@reader(READERS)
def tables(folder):
    text = b'a,b,c\n1,"x, ""y""\nz",3\n4,5,6\n'

    def read(content):
        (folder / "t.csv").write_bytes(content)
        try:
            rows = read_table(folder / "t.csv", ("a", "c"))
        except ValueError:
            return
        assert all(isinstance(row["a"], str) and isinstance(row["c"], str) for row in rows)

    return damaged(text), read


@reader(READERS)
def plain_json(folder):
    def read(content):
        (folder / "x.json").write_bytes(content)
        try:
            read_json(folder / "x.json")
        except ValueError:
            return

    nested = st.integers(0, 200_000).map(lambda depth: b"[" * depth + b"]" * depth)
    return json_files({"a": [1, {"b": None}]}) | nested, read


@reader(READERS)
def benchmark_records(folder):
    entries = (Entry("work", "probatum", seconds=(1.0, 2.0), maps=3, scores={"x": 1.0}), Entry("work", "bare"))
    record = Record("panel", "all", {"batch": 1}, {"device": "cpu"}, entries, ("left out",))

    def read(content):
        (folder / "record.json").write_bytes(content)
        for each in read_records(folder / "record.json"):
            assert all(isinstance(second, (int, float)) for entry in each.entries for second in entry.seconds)

    return json_files([record.to_json()]), read


@reader(READERS)
def records_of_trainings(folder):
    path = folder / "training.json"
    epochs = tuple(EpochRecord(number, 0.5, 0.9, 0.8) for number in (1, 2))
    write_training(TrainingReport(epochs, epochs[0], None), path)

    def read(content):
        path.write_bytes(content)
        report = read_training(path)
        f"{report.best_accuracy:.4f} {report.final_accuracy:.4f}"

    return damaged(path.read_bytes()) | json_files(
        {"history": [{"epoch": 1, "loss": 0.5, "running_accuracy": 0.9, "accuracy": 0.8}] * 2}
        | {"best": {"epoch": 1, "loss": 0.5, "running_accuracy": 0.9, "accuracy": 0.8}, "reached_target": None}
    ), read


@reader(READERS, long=1500)
def idx_files(folder):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    names = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    images = struct.pack(">4i", 0x803, 3, 28, 28) + bytes(range(196)) * 12
    labels = struct.pack(">2i", 0x801, 3) + bytes((1, 2, 3))

    def read(case):
        first, second, packed = case
        for name, content in zip(names, (first, second), strict=True):
            (raw / name).unlink(missing_ok=True)
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
            if not packed:
                (raw / name).write_bytes(content)
        pixels, classes = read_mnist(folder, "test")
        assert not packed  # an archive that is not the official one is not even unpacked
        assert pixels.shape[1:] == (1, 28, 28)
        assert classes.shape == pixels.shape[:1]

    return st.tuples(st.just(images) | damaged(images), st.just(labels) | damaged(labels), st.booleans()), read


@reader(READERS)
def tables_of_sentences(folder):
    def read(content):
        (folder / "train.tsv").write_bytes(content)
        found = read_tsv(folder / "train.tsv", "sentences")
        assert len(found) == len(found.labels)

    return damaged(b"sentence\tlabel\na film\t1\r\nno film\t0\n\n"), read


def _pictures():
    rng = np.random.default_rng(0)
    colors = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    exif = colors.getexif()
    exif[0x112] = 6
    return {
        "a.png": (colors.convert("RGBA"), {}),
        "b.png": (Image.fromarray(rng.integers(0, 65536, (9, 12)).astype(np.uint16)), {}),
        "c.png": (colors.convert("P"), {"transparency": 3}),
        "a.jpg": (colors, {"exif": exif}),
        "b.jpg": (colors.convert("CMYK"), {"progressive": True}),
        "a.bmp": (colors, {}),
        "a.webp": (colors.convert("RGBA"), {"lossless": True}),
        "a.gif": (colors.convert("P"), {"transparency": 3}),
        "a.tif": (colors, {"compression": "tiff_lzw"}),
        "a.ppm": (colors, {}),
    }


@reader(READERS, short=80, long=3000)
def photographs(folder):
    contents = []
    for name, (picture, options) in _pictures().items():
        picture.save(folder / name, **options)
        contents.append((folder / name).read_bytes())

    def read(content):
        (folder / "x.jpg").write_bytes(content)
        assert open_photograph(folder / "x.jpg").mode == "RGB"
        assert load_photographs(folder / "x.jpg", IMAGENET).images.shape == (1, 3, 224, 224)

    edges = st.sampled_from((0, 1, 2, 65_500, 100_000, 2**31 - 1, 2**32 - 1)) | st.integers(0, 10_000)
    claims = st.builds(png_claiming, edges, edges, st.just(contents[0]))
    ppm = st.builds(lambda width, height: b"P6 %d %d 255\n" % (width, height) + bytes(300), edges, edges)
    return st.one_of(*(damaged(content) for content in contents), claims, ppm), read


@reader(READERS)
def lists_of_photographs(folder):
    Image.new("RGB", (40, 40)).save(folder / "a.png")
    lines = st.lists(texts | st.sampled_from(("a.png", "./a.png", "nowhere.png", str(folder), "#x")), max_size=4)

    def read(content):
        (folder / "list.txt").write_bytes(content)
        assert load_photographs(folder / "list.txt", IMAGENET).image_names == ("a.png",)

    return lines.map(lambda each: "\n".join(each).encode("utf-8", "surrogatepass")) | damaged(b"a.png\n"), read


@reader(READERS)
def folders_of_tiny_imagenet(folder):
    files = {
        "wnids.txt": b"n01\nn02\n",
        "words.txt": b"n01\tcat, felis\nn02\tdog\n",
        "val/val_annotations.txt": b"0.JPEG\tn01\t0\t0\t9\t9\n1.JPEG\tn02\t0\t0\t9\t9\n",
    }
    (folder / "val" / "images").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "val" / "images" / "0.JPEG")
    picture = (folder / "val" / "images" / "0.JPEG").read_bytes()
    files |= {"val/images/0.JPEG": picture, "val/images/1.JPEG": picture}

    def read(case):
        for name, content in (files | case).items():
            (folder / name).write_bytes(content)
        assert read_tiny_imagenet(folder, ("n02", "n01"), "test").images.shape[1:] == (3, 64, 64)

    return st.one_of(*(st.fixed_dictionaries({name: damaged(content)}) for name, content in files.items())), read


@reader(READERS, long=1500)
def checkpoints(folder):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    small = model.state_dict()
    contents = []
    for content, options in (
        (small, {}),
        ({"state_dict": small, "epoch": 3}, {}),
        (small, {"_use_new_zipfile_serialization": False}),
        ({"conv": torch.zeros(2, 2).to_sparse(), "x": torch.zeros(2, dtype=torch.complex64)}, {}),
        ({1: torch.zeros(1), None: torch.zeros(1)}, {}),
        ({"w": torch.zeros(1).expand(10**6, 10**6)}, {}),
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer, **options)
        contents.append(buffer.getvalue())
    strategies = [damaged(content) if number == 2 else zip_files(content) for number, content in enumerate(contents)]

    def read(content):
        (folder / "w.pt").write_bytes(content)
        load_checkpoint(model, folder / "w.pt")
        assert all(value.isfinite().all() for value in model.state_dict().values())

    return st.one_of(st.sampled_from(contents), *strategies), read


@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_refused(name, tmp_path):
    sound, refused = READERS[name].fuzz(tmp_path, thorough=False)
    assert sound + refused >= READERS[name].short


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_any_bytes_are_read_or_refused_at_length(name, tmp_path, capsys):
    sound, refused = READERS[name].fuzz(tmp_path, thorough=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {sound} sound, {refused} refused\n")


def test_the_long_run_has_ten_thousand_cases():
    assert sum(each.long for each in READERS.values()) >= 10_000
